"""The nouns, in the order a build meets them.

    Checkpoint -> OnnxModel -> LoweredModel -> CompiledModel -> Bundle
                        QuantPlan ------------^

All are frozen and printable. A noun that owns files holds their folder in `root` and names them relative
to it, so that the stage cache can move the folder; `parent` is the digest of the noun it was made from.
A digest is the lower-case hex SHA-256 of contents, never of timings or paths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgeslm.decoder import Decoder

Task = Literal["embedding", "classification", "token-classification", "fill-mask", "generation", "tensors"]
Role = Literal["embedding", "linear", "other"]
"""What a parameter does: a looked-up table, the weight of a matrix product, anything else (norms, biases)."""
Precision = Literal["fp32", "fp16", "int8", "int4", "int32"]
"""How one tensor is stored. int32: biases of a net that came quantized."""
KvCache = Literal["float32", "float16", "int8"]
"""How a language model's keys and values are kept; float16 on microcontrollers alone."""
PYTORCH = "PyTorch"
FIRMWARE = "firmware"
"""The runtime of a model that is compiled into its program."""
Converter = Literal["edgeslm", "onnx2tf"]
"""What writes the tflite backend's float model: our own lowering, or a tool in an environment of its own."""


@dataclass(frozen=True)
class Parameter:
    """One tensor of the checkpoint, under the name the checkpoint gives it."""

    name: str
    shape: tuple[int, ...]
    role: Role

    @property
    def elements(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        return count


@dataclass(frozen=True)
class TokenizerSpec:
    """What turns text into the model's ids."""

    file: str  # tokenizer.json, relative to the checkpoint's folder
    max_length: int  # tokens, special ones included: the checkpoint's own limit
    pad_id: int
    vocab_size: int
    mask_token: str | None = None


@dataclass(frozen=True)
class GenerationSpec:
    """How a language model's text begins, ends and talks."""

    bos: int | None  # the token that begins a text
    eos: tuple[int, ...]  # the tokens that end it
    add_bos: bool  # whether a prompt gets the first one, where the tokenizer's own template does not put it
    chat_template: str | None = None  # Jinja2, from the checkpoint
    special: tuple[tuple[str, str], ...] = ()  # name -> text, for the template: bos_token, eos_token, …


@dataclass(frozen=True)
class Turn:
    """What a chat template puts around a user's only message, the token that begins a text left out."""

    before: str
    after: str


@dataclass(frozen=True)
class Checkpoint:
    """A model as its author left it: read and checked, nothing of it run yet."""

    name: str
    source: str  # as the user gave it: a folder, `module:function`, or `demo`
    digest: str
    task: Task
    architecture: str  # config.json's model_type, or the class of a plain module
    parameters: tuple[Parameter, ...]
    tokenizer: TokenizerSpec | None = None
    pooling: str | None = None  # mean, cls, max, lasttoken, mean_sqrt_len_tokens; embedding models only
    normalize: bool = False  # unit length at the end
    labels: tuple[str, ...] = ()
    multi_label: bool = False  # labels are independent of each other: a sigmoid each, not one softmax
    notes: tuple[str, ...] = ()  # what was assumed where the checkpoint says nothing
    generation: GenerationSpec | None = None  # language models only
    decoder: Decoder | None = field(default=None, compare=False)  # language models only
    licence: str | None = None  # SPDX name from the model card, if it gives one
    root: Path | None = field(default=None, compare=False)  # the folder; None for a plain module and a net
    net: Path | None = field(default=None, compare=False)  # the .tflite file of a net, which came quantized

    @property
    def elements(self) -> int:
        return sum(parameter.elements for parameter in self.parameters)


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output. A `-1` in the shape is the text's length in tokens."""

    name: str
    dtype: str  # numpy's name: int32, float32
    shape: tuple[int, ...]
    scale: float | None = None  # of int8 alone: real = scale · (integer - zero point)
    zero_point: int | None = None
    ids: int | None = None  # of an input of ids: they are below it


@dataclass(frozen=True)
class OnnxModel:
    """The exported graph after the passes.

    `lengths` are the length buckets in tokens, ascending; empty for a plain module, whose shapes are fixed.
    `files` maps a bucket to its static graph ("model-64.onnx"); key 0 is the graph with a symbolic length
    (or, for a plain module, the only one). Weights of all graphs lie once, in `weights` (ONNX external data).
    `parameter_of` maps an initializer's name to the checkpoint parameter whose values it holds, possibly
    transposed.
    """

    root: Path = field(compare=False)
    digest: str
    parent: str
    task: Task
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    lengths: tuple[int, ...]
    files: dict[int, str]
    weights: str
    parameter_of: dict[str, str]
    pad_id: int = 0  # the token that fills a text up to its bucket

    def path(self, length: int = 0) -> Path:
        return self.root / self.files[length]

    @property
    def is_fixed(self) -> bool:
        """Whether the only graph is of one fixed text length: the family cannot be traced with a symbolic one."""
        return len(self.lengths) == 1 and self.files[0] == self.files[self.lengths[0]]


@dataclass(frozen=True)
class Samples:
    """Inputs for a model, a text (or random example) each: what calibrates it or scores it.

    `arrays` is an .npz whose keys are "0/input_ids", "0/attention_mask", "1/input_ids", …: shape (1, tokens),
    not padded. `described` says for the report what they are ("32 built-in texts", the user's file and digest).
    Behind the `count` samples that somebody wrote may be `made` ones: they tell what directions activations have, and
    nothing of their range.
    """

    root: Path = field(compare=False)
    digest: str
    described: str
    count: int
    arrays: str = "samples.npz"
    truncated: int = 0  # texts cut to the maximum length
    made: int = 0

    @property
    def path(self) -> Path:
        return self.root / self.arrays


@dataclass(frozen=True)
class TensorChoice:
    """What the plan wants for one checkpoint parameter, and why."""

    precision: Precision
    reason: str
    group: int | None = None  # block length along the input dimension; None is per channel


@dataclass(frozen=True)
class QuantPlan:
    """The decision, as data. `choices` is keyed by checkpoint parameter name."""

    target: str
    backend: str
    scheme: str
    choices: dict[str, TensorChoice]
    reasons: tuple[str, ...]  # why this backend, this scheme
    warnings: tuple[str, ...]
    lengths: tuple[int, ...]
    weight_bytes: int  # expected size of the model's files
    resident_bytes: int  # expected memory on the target, from measured factors
    digest: str = ""
    converter: Converter | None = None  # None where the backend has one way alone
    kv_cache: KvCache = "float32"  # language models only, as are the next two
    cache_bytes: int = 0
    cache_writers: bool = False  # graphs that write rows into the cache: for runtimes that cannot write a part of it


@dataclass(frozen=True)
class LoweredModel:
    """A backend's own format, still in floats. `tensors`: its tensor name -> checkpoint parameter."""

    root: Path = field(compare=False)
    digest: str
    parent: str
    backend: str
    files: tuple[str, ...]  # the first is the one a runtime opens
    tensors: dict[str, str]
    lengths: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return sum((self.root / name).stat().st_size for name in self.files)


@dataclass(frozen=True)
class StoredTensor:
    """How a checkpoint parameter really ended up in the compiled model."""

    parameter: str
    tensor: str  # the backend's name for it
    precision: Precision
    bytes: int  # padding and scales included
    note: str = ""  # why it is not what the plan asked for


@dataclass(frozen=True)
class LanguageSignature:
    """A graph of a language model: `tokens` at once, which reads the first `segments` of the cache."""

    name: str
    tokens: int
    segments: int


@dataclass(frozen=True)
class LanguageSpec:
    """What the device's loop needs to know of a language model. Segments and signatures are LiteRT's alone."""

    context: int  # tokens the cache holds
    vocabulary: int
    layers: int
    kv_heads: int
    head_dim: int
    kv_cache: KvCache
    segments: tuple[int, ...] = ()  # rows of the cache that lie together
    signatures: tuple[LanguageSignature, ...] = ()

    @property
    def cache_bytes(self) -> int:
        """Of keys and values; int8 rows have a float32 scale each."""
        rows = 2 * self.layers * self.kv_heads * (sum(self.segments) or self.context)
        sizes = {"float32": 4 * self.head_dim, "float16": 2 * self.head_dim, "int8": self.head_dim + 4}
        return rows * sizes[self.kv_cache]


@dataclass(frozen=True)
class CompiledModel:
    """What a runtime opens on the device, after quantization."""

    root: Path = field(compare=False)
    digest: str
    parent: str
    backend: str
    scheme: str
    runtime: str  # the package that opens it: ai-edge-litert, openvino
    files: tuple[str, ...]  # the first is the one a runtime opens
    lengths: tuple[int, ...]
    stored: tuple[StoredTensor, ...]
    kept_float: tuple[str, ...]  # operators that compute in float although the scheme computes in integers
    signatures: dict[int, str] = field(default_factory=dict)  # bucket -> signature; {} for one dynamic graph
    language: LanguageSpec | None = None  # language models only
    inputs: tuple[TensorSpec, ...] = ()  # of a net alone, as are outputs: others have their ONNX model's
    outputs: tuple[TensorSpec, ...] = ()

    @property
    def is_net(self) -> bool:
        """Whether it came quantized, as a .tflite file, and was compiled."""
        return self.runtime == FIRMWARE and bool(self.outputs)

    @property
    def bytes(self) -> int:
        """Of the files that a runtime opens; of a model that is compiled into firmware, what it takes of flash."""
        if self.runtime == FIRMWARE:
            return sum(tensor.bytes for tensor in self.stored)
        return sum((self.root / name).stat().st_size for name in self.files)


@dataclass(frozen=True)
class OutputScore:
    """One output against PyTorch's, over all scoring samples."""

    output: str
    cosine_min: float
    cosine_mean: float
    max_abs_error: float
    label_agreement: float | None = None  # classifiers only: share of samples with the same best label
    identical: float | None = None  # of a net: the share of numbers that are the reference's, to the bit


@dataclass(frozen=True)
class Gate:
    """A promise held: `value` must be at least (cosine, agreement) or at most (size) the `threshold`."""

    name: str
    value: float
    threshold: float
    passed: bool


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood of each next token, of PyTorch in float32 and of the built model."""

    reference: float
    compiled: float
    tokens: int  # that were predicted

    @property
    def kept(self) -> float:
        """PyTorch's ÷ the built model's: 1 where nothing was lost. Six decimals, never up."""
        return math.floor(self.reference / self.compiled * 1e6) / 1e6


@dataclass(frozen=True)
class Fidelity:
    """What the compiled model keeps of the one that was trained."""

    texts: str  # what it was scored on
    samples: int
    scores: tuple[OutputScore, ...]
    gates: tuple[Gate, ...]
    worst_tensors: tuple[tuple[str, float], ...] = ()  # parameter, relative weight error; filled on a missed gate
    perplexity: Perplexity | None = None  # language models only
    reference: str = PYTORCH  # what the scores are against

    @property
    def cosine_min(self) -> float:
        return min(score.cosine_min for score in self.scores)

    @property
    def max_abs_error(self) -> float:
        return max(score.max_abs_error for score in self.scores)

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.gates)


@dataclass(frozen=True)
class BuiltModel:
    """One of the models that a bundle for Android holds, from plan to score. `onnx` is None for a language model."""

    plan: QuantPlan
    onnx: OnnxModel | None
    compiled: CompiledModel
    fidelity: Fidelity


@dataclass(frozen=True)
class StageRecord:
    """What a stage of this build cost here. Never part of the bundle: timings are not content."""

    name: str
    seconds: float
    peak_rss_mib: float
    cached: bool


@dataclass(frozen=True)
class Bundle:
    path: Path
    digest: str
    bytes: int


@dataclass(frozen=True)
class Figure:
    """What a search predicted of the plan it chose, and what was measured of it; `limit` as it was asked for."""

    name: str  # size, ram, latency, instructions, fidelity
    predicted: float
    measured: float | None = None
    limit: float | None = None
    plus_minus: float | None = None  # of the prediction, in its unit
    held_out: int | None = None  # kernel shapes that the prediction's laws were held against


@dataclass(frozen=True)
class BuildReport:
    """What `build` answers with."""

    bundle: Bundle
    plan: QuantPlan
    checkpoint: Checkpoint
    compiled: CompiledModel
    fidelity: Fidelity
    stages: tuple[StageRecord, ...]
    below_gate: bool
    others: tuple[BuiltModel, ...] = ()  # of an Android bundle of several schemes: all but the first
    figures: tuple[Figure, ...] = ()  # of a plan that limits had found
