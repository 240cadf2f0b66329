"""The manifest: what a bundle says about itself, with the SHA-256 of every other member.

Its own digest names the bundle. docs/bundle-format.md describes every field; docs/schema/manifest.json is generated
from the models here.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeslm.artifacts import PYTORCH, Fidelity, KvCache, Perplexity, Task
from edgeslm.digest import json_digest
from edgeslm.errors import BundleError
from edgeslm.target import Target

SCHEMA_VERSION: Final = 5
"""2 added language models: model.language, generation, fidelity.perplexity; they have no parents onnx and lowered.
3 added firmware; 4 its digest, its UF2 file and how its board is flashed, and is what firmware bundles have. 5 added
android, and is what Android bundles have. Others stay as they were."""
LINUX_VERSION: Final = 2
FIRMWARE_VERSION: Final = 4
MANIFEST = "manifest.json"
MAX_BYTES = 8 << 20
"""Of manifest.json; the largest one seen, with a thousand labels, has 60 kB."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Score = float | None
"""None where the model gave no number (infinite, or not a number)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TensorPart(_Part):
    """An input or output. A -1 in the shape is the text's length in tokens."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None = None  # of a net's int8: real = scale · (integer - zero point)
    zero_point: int | None = None
    ids: int | None = None  # of a net's input of ids: they are below it


class SignaturePart(_Part):
    name: str
    tokens: int
    segments: int  # of the cache, that it reads


class LanguagePart(_Part):
    """A language model's graphs and its cache."""

    context: int
    vocabulary: int
    layers: int
    kv_heads: int
    head_dim: int
    kv_cache: KvCache
    segments: tuple[int, ...]  # rows of the cache that lie together; () where the runtime keeps the cache
    signatures: tuple[SignaturePart, ...]


class ModelPart(_Part):
    """What a runtime needs to know to run the model."""

    runtime: Literal["ai-edge-litert", "openvino", "firmware"]  # the last: compiled into its program
    files: tuple[str, ...] = Field(min_length=1)  # the first is the one a runtime opens
    digest: Digest
    pad_id: int
    scheme: str
    lengths: tuple[int, ...]  # length buckets in tokens; [] for a plain module
    signatures: dict[str, str]  # bucket -> signature; {} for one dynamic graph
    inputs: tuple[TensorPart, ...]
    outputs: tuple[TensorPart, ...]
    language: LanguagePart | None = None  # language models only


class GenerationPart(_Part):
    """How a language model's text begins, ends and talks."""

    context: int  # tokens of prompt and answer together
    bos: int | None
    eos: tuple[int, ...]
    add_bos: bool  # whether a prompt gets `bos` in front, where the tokenizer does not put it
    chat_template: str | None  # the member that holds it
    special: dict[str, str]  # bos_token, eos_token, …: what the template may ask for


class TokenizerPart(_Part):
    file: str
    max_length: int
    pad_id: int
    mask_token: str | None


class OutputPart(_Part):
    output: str
    cosine_min: Score
    cosine_mean: Score
    max_abs_error: Score
    label_agreement: Score
    identical: Score = None  # of a net: the share of numbers that are the reference's, to the bit


class GatePart(_Part):
    name: str
    value: Score
    threshold: float
    passed: bool


class PerplexityPart(_Part):
    """Of PyTorch in float32 and of this model, on the same tokens."""

    reference: float
    compiled: float
    kept: float  # the first ÷ the second
    tokens: int


class FidelityPart(_Part):
    """The scores against PyTorch; `cosine_min` and `max_abs_error` are the worst of all outputs."""

    texts: str
    samples: int
    passed: bool
    cosine_min: Score
    max_abs_error: Score
    outputs: tuple[OutputPart, ...]
    gates: tuple[GatePart, ...]
    worst_tensors: tuple[tuple[str, Score], ...]  # parameter, relative weight error; filled on a missed gate
    perplexity: PerplexityPart | None = None  # language models only
    reference: str = PYTORCH  # what the scores are against


class ParentsPart(_Part):
    """Digests of what the model was made from, in the order it was made."""

    checkpoint: Digest
    onnx: Digest | None  # None for a language model, whose graphs are never files
    plan: Digest
    lowered: Digest | None
    compiled: Digest


class FirmwarePart(_Part):
    """A microcontroller's program, and what it takes: item -> bytes, as the linker placed them."""

    elf: str
    binary: str  # the bytes of flash, from target.firmware.flash_origin on
    hex: str  # the same in Intel's format
    compiler: str  # "arm-none-eabi-gcc 12.2.1"
    flash: dict[str, int]
    ram: dict[str, int]
    stack_bytes: int
    digest: Digest | None = None  # of the image, which tells its beginning: formats/image_digest. None before version 4
    uf2: str | None = None  # the same in UF2 blocks, for a bootloader that takes them


class AndroidModelPart(_Part):
    """One model of an Android library. The first is what the manifest itself tells of."""

    id: str  # what an app opens it by: its scheme
    properties: str  # the member that an app reads
    table: str  # the member that is its tokenizer
    below_gate: bool
    model: ModelPart
    fidelity: FidelityPart
    parents: ParentsPart


class AndroidPart(_Part):
    """The library, and the project that it comes from."""

    library: str  # the .aar
    pom: str  # beside it, in a Maven repository's layout
    coordinate: str  # "org.edgeslm:edgeslm-minilm:0.1.0"
    project: str  # the folder of the Gradle project
    litert: str | None  # LiteRT's Maven coordinate; None where its files are in the library
    merged: dict[str, Digest]  # those files: name -> SHA-256
    models: tuple[AndroidModelPart, ...] = Field(min_length=1)


class FilePart(_Part):
    sha256: Digest
    bytes: int = Field(ge=0)


class Manifest(_Part):
    schema_version: Literal[1, 2, 3, 4, 5]
    edgeslm: str
    name: str
    task: Task
    architecture: str
    target: Target
    backend: str
    scheme: str
    below_gate: bool
    model: ModelPart
    tokenizer: TokenizerPart | None
    generation: GenerationPart | None = None  # language models only
    firmware: FirmwarePart | None = None  # microcontrollers only
    android: AndroidPart | None = None  # Android only
    labels: tuple[str, ...]
    multi_label: bool
    fidelity: FidelityPart
    parents: ParentsPart
    tools: dict[str, str]
    host_cpu: tuple[str, ...]
    files: dict[str, FilePart]

    @property
    def digest(self) -> str:
        """What names the bundle: the SHA-256 of `content`."""
        return json_digest(self._document())

    @property
    def content(self) -> bytes:
        """manifest.json: JSON in canonical form (sorted keys, no spaces), so that its SHA-256 is the digest."""
        document = self._document()
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    def _document(self) -> dict[str, object]:
        """Without the fields that a manifest of an older version does not have: its digest stays what it was."""
        return self.model_dump(mode="json", exclude_unset=True)


def parse_manifest(content: bytes, where: str) -> Manifest:
    """Check manifest.json's content. Raises BundleError that names the field, or the version that reads it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: {MANIFEST} is no JSON: {error}", "it is damaged: copy or build it again") from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        maker = document.get("edgeslm")
        raise BundleError(
            f"{where} has schema version {version}; this edgeslm reads up to {SCHEMA_VERSION}",
            f"it was made by edgeslm {maker}: pip install --upgrade edgeslm, to that version at least",
        )
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        mistakes = error.errors()
        lines = [f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}" for item in mistakes[:4]]
        raise BundleError(
            f"{where}: {MANIFEST} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}\n"
            + "\n".join(f"         {line}" for line in lines),
            "it is damaged or no bundle: copy or build it again",
        ) from None


def fidelity_part(fidelity: Fidelity) -> FidelityPart:
    return FidelityPart(
        texts=fidelity.texts,
        samples=fidelity.samples,
        passed=fidelity.passed,
        cosine_min=finite(fidelity.cosine_min),
        max_abs_error=finite(fidelity.max_abs_error),
        outputs=tuple(
            OutputPart(
                output=score.output,
                cosine_min=finite(score.cosine_min),
                cosine_mean=finite(score.cosine_mean),
                max_abs_error=finite(score.max_abs_error),
                label_agreement=finite(score.label_agreement),
                **({} if score.identical is None else {"identical": score.identical}),
            )
            for score in fidelity.scores
        ),
        gates=tuple(
            GatePart(name=gate.name, value=finite(gate.value), threshold=gate.threshold, passed=gate.passed)
            for gate in fidelity.gates
        ),
        worst_tensors=tuple((name, finite(error)) for name, error in fidelity.worst_tensors),
        perplexity=perplexity_part(fidelity.perplexity) if fidelity.perplexity else None,
        **({} if fidelity.reference == PYTORCH else {"reference": fidelity.reference}),
    )


def perplexity_part(perplexity: Perplexity) -> PerplexityPart:
    return PerplexityPart(
        reference=perplexity.reference,
        compiled=perplexity.compiled,
        kept=perplexity.kept,
        tokens=perplexity.tokens,
    )


def finite(value: float | None) -> float | None:
    """JSON has no word for infinity: None stands for it."""
    return value if value is not None and math.isfinite(value) else None
