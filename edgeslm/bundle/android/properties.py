"""What an app's classes read of a model: `java.util.Properties`, the manifest's parts flattened with dots.

Properties need no parser of ours on the phone. Keys are sorted and there is no date in the file, so the same model has
the same bytes. The format is that of java.util.Properties.load: ASCII, what is beyond it written as \\uXXXX.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from edgeslm.artifacts import Turn
from edgeslm.bundle.manifest import FidelityPart, FilePart, GenerationPart, ModelPart, TensorPart, TokenizerPart

FORMAT: Final = 1
MODEL: Final = "model.tflite"
TABLE: Final = "tokenizer.edgetok"
PROPERTIES: Final = "model.properties"
INDEX: Final = "models.properties"


class Described(Protocol):
    """What is told of a model. A Manifest is one."""

    @property
    def name(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def below_gate(self) -> bool: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def multi_label(self) -> bool: ...
    @property
    def model(self) -> ModelPart: ...
    @property
    def tokenizer(self) -> TokenizerPart | None: ...
    @property
    def generation(self) -> GenerationPart | None: ...
    @property
    def fidelity(self) -> FidelityPart: ...


def model_properties(described: Described, model: FilePart, table: FilePart, turn: Turn | None = None) -> bytes:
    """model.properties of one model. `model` and `table`: size and digest of model.tflite and of tokenizer.edgetok,
    beside which it lies; `turn`: what is put around a message of a chat, where the model has such a template."""
    entries: dict[str, str] = {
        "format": str(FORMAT),
        "name": described.name,
        "task": described.task,
        "architecture": described.architecture,
        "scheme": described.scheme,
        "backend": "tflite",
        "below_gate": _word(described.below_gate),
        "multi_label": _word(described.multi_label),
        "model.file": MODEL,
        "model.sha256": model.sha256,
        "model.bytes": str(model.bytes),
        "model.digest": described.model.digest,
        "model.pad_id": str(described.model.pad_id),
        "tokenizer.file": TABLE,
        "tokenizer.sha256": table.sha256,
        "tokenizer.bytes": str(table.bytes),
        "lengths": _list(described.model.lengths),
        "labels.count": str(len(described.labels)),
        **{f"labels.{place}": label for place, label in enumerate(described.labels)},
        **{f"signatures.{bucket}": name for bucket, name in described.model.signatures.items()},
        **_tensors("inputs", described.model.inputs),
        **_tensors("outputs", described.model.outputs),
        **_language(described.model),
        **_fidelity(described.fidelity),
    }
    if described.tokenizer is not None:
        entries["tokenizer.max_length"] = str(described.tokenizer.max_length)
        entries["tokenizer.pad_id"] = str(described.tokenizer.pad_id)
        if described.tokenizer.mask_token is not None:
            entries["tokenizer.mask_token"] = described.tokenizer.mask_token
    if described.generation is not None:
        entries["generation.context"] = str(described.generation.context)
        entries["generation.eos"] = _list(described.generation.eos)
        entries["generation.add_bos"] = _word(described.generation.add_bos)
        if described.generation.bos is not None:
            entries["generation.bos"] = str(described.generation.bos)
    if turn is not None:
        entries["chat.before"], entries["chat.after"] = turn.before, turn.after
    return write_properties(entries)


def models_properties(ids: tuple[str, ...]) -> bytes:
    """models.properties: which models the library holds; the first is the one that an app gets if it names none."""
    return write_properties({"default": ids[0], "models": _list(ids)})


def write_properties(entries: Mapping[str, str]) -> bytes:
    """One line an entry, in order of key. Any text may be a value, surrogates of pairs are written as Java has them."""
    lines = [
        f"{_escaped(key, is_key=True)}={_escaped(value, is_key=False)}\n" for key, value in sorted(entries.items())
    ]
    return "".join(lines).encode("ascii")


def _escaped(text: str, *, is_key: bool) -> str:
    """As Properties.load takes it: it drops white space before a value, and ends a key at the first space, = or :."""
    written: list[str] = []
    for place, unit in enumerate(_units(text)):
        character = chr(unit)
        if character == "\\" or (character in "=:#!" and is_key):
            written.append("\\" + character)
        elif character == " " and (is_key or place == 0):
            written.append("\\ ")
        elif 0x20 <= unit < 0x7F:
            written.append(character)
        else:
            written.append(f"\\u{unit:04x}")
    return "".join(written)


def _units(text: str) -> Iterable[int]:
    """UTF-16 code units: what a char is in Java."""
    content = text.encode("utf-16-le", "surrogatepass")
    return (content[at] | content[at + 1] << 8 for at in range(0, len(content), 2))


def _word(value: bool) -> str:
    return "true" if value else "false"


def _list(values: Iterable[object]) -> str:
    return ",".join(map(str, values))


def _tensors(kind: str, parts: tuple[TensorPart, ...]) -> dict[str, str]:
    """Names, numpy's names of types, and shapes; a -1 in a shape is the text's length in tokens."""
    entries = {f"{kind}.count": str(len(parts))}
    for place, part in enumerate(parts):
        entries[f"{kind}.{place}.name"] = part.name
        entries[f"{kind}.{place}.dtype"] = part.dtype
        entries[f"{kind}.{place}.shape"] = _list(part.shape)
    return entries


def _language(model: ModelPart) -> dict[str, str]:
    language = model.language
    if language is None:
        return {}
    entries = {
        "language.context": str(language.context),
        "language.vocabulary": str(language.vocabulary),
        "language.layers": str(language.layers),
        "language.kv_heads": str(language.kv_heads),
        "language.head_dim": str(language.head_dim),
        "language.kv_cache": language.kv_cache,
        "language.segments": _list(language.segments),
        "language.signatures.count": str(len(language.signatures)),
    }
    for place, signature in enumerate(language.signatures):
        entries[f"language.signatures.{place}.name"] = signature.name
        entries[f"language.signatures.{place}.tokens"] = str(signature.tokens)
        entries[f"language.signatures.{place}.segments"] = str(signature.segments)
    return entries


def _fidelity(fidelity: FidelityPart) -> dict[str, str]:
    """Scores as JSON writes numbers; a score that is none is left out."""
    entries = {
        "fidelity.texts": fidelity.texts,
        "fidelity.samples": str(fidelity.samples),
        "fidelity.passed": _word(fidelity.passed),
    }
    scores = {"cosine_min": fidelity.cosine_min, "max_abs_error": fidelity.max_abs_error}
    if fidelity.perplexity is not None:
        scores["perplexity.compiled"] = fidelity.perplexity.compiled
        scores["perplexity.reference"] = fidelity.perplexity.reference
        scores["perplexity.kept"] = fidelity.perplexity.kept
    return entries | {f"fidelity.{name}": json.dumps(score) for name, score in scores.items() if score is not None}
