"""What a decoder-only language model is made of, whatever its family: the nouns of its description.

A description is read from a checkpoint's config.json and the headers of its weights (`export/families/`); the graph is
built from it (`export/decoder_graph.py`), so a family is a way of reading, not a graph of its own. Weights stay in
their safetensors files: a `Matrix` says which rows of which tensors it is.

Shapes: D width, H heads, G key/value heads (H is a multiple of G), E head_dim, F feed-forward width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NormKind = Literal["rms", "layer"]
Activation = Literal["silu", "gelu", "gelu_tanh", "relu"]
"""`gelu` is the exact one by the error function, `gelu_tanh` its approximation (gelu_new, gelu_pytorch_tanh)."""


@dataclass(frozen=True)
class Part:
    """Rows [start, stop) of a checkpoint tensor, after it is transposed where it is stored as [in, out]."""

    parameter: str
    rows: int
    start: int = 0
    transposed: bool = False


@dataclass(frozen=True)
class Matrix:
    """[out, in]: the parts' rows, one after the other; a linear layer's weight or a table."""

    parts: tuple[Part, ...]
    columns: int
    bias: tuple[Part, ...] = ()  # the same rows of bias vectors; () where there is none

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True)
class Norm:
    """x / rms(x) · (weight + offset), or LayerNorm with its bias."""

    kind: NormKind
    weight: str
    bias: str | None
    epsilon: float
    offset: float = 0.0  # Gemma stores weight - 1


@dataclass(frozen=True)
class Rotary:
    """Rotary position embedding (Su et al. 2021) over the first `2 * len(frequencies)` of a head's dimensions, halves
    rotated against each other: dimension i with i + len(frequencies)."""

    frequencies: tuple[float, ...]  # radians per position
    scale: float = 1.0  # of cos and sin (YaRN's attention factor)


@dataclass(frozen=True)
class Layer:
    """One block. Sequential: x += out(attend(n1(x))); x += down(ffn(n2(x))). Parallel (`norm_feed` None): both read
    n1(x), and x gets both. `after_*` norms apply to a branch before it is added (Gemma 2)."""

    norm_attention: Norm
    query_key_value: Matrix  # H·E rows of queries, G·E of keys, G·E of values
    query_norm: Norm | None  # over each head's E dimensions, before the rotation
    key_norm: Norm | None
    output: Matrix  # [D, H·E]
    after_attention: Norm | None
    norm_feed: Norm | None
    gate: Matrix | None  # [F, D]; None for a plain feed-forward
    up: Matrix  # [F, D]
    down: Matrix  # [D, F]
    after_feed: Norm | None
    window: int | None = None  # a token sees itself and the window - 1 before it; None: all
    rotary: Rotary | None = None


@dataclass(frozen=True)
class Decoder:
    """A decoder-only language model."""

    family: str  # config.json's model_type
    vocabulary: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    activation: Activation
    positions: int  # the longest context it was trained for
    attention_scale: float  # of the scores, 1/sqrt(head_dim) in most families
    embedding: Matrix  # [V, D]
    embedding_scale: float
    learned_positions: Matrix | None  # [positions, D], GPT-2
    layers: tuple[Layer, ...]
    norm: Norm
    head: Matrix  # [V, D]; the same parts as `embedding` where they are tied
    score_cap: float | None = None  # Gemma 2: cap · tanh(scores / cap)
    logit_cap: float | None = None

    @property
    def tied(self) -> bool:
        return self.head.parts == self.embedding.parts
