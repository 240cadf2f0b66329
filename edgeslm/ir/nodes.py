"""What nodes can do: one frozen dataclass a kind. An importer writes the plain kinds, passes fuse them.

Shapes: T tokens, D width, K in, N out, V vocabulary, H heads, G key/value heads, E head dimension, C context. "…" is
any number of leading extents. Inputs in [brackets] may be left out. All are float32 unless said otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Activation = Literal["relu", "silu", "gelu", "gelu_tanh", "tanh", "logistic"]
"""`gelu` is the exact one by the error function, `gelu_tanh` its approximation; `logistic` is 1 / (1 + exp(-x))."""
Pooling = Literal["mean", "weightedmean", "mean_sqrt_len_tokens", "max", "lasttoken"]
"""As sentence-transformers calls them; the first token alone (cls) is a Slice."""


@dataclass(frozen=True)
class Kind:
    """What all kinds are."""

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states that the node reads and writes."""
        return ()


# ---- Fused kinds: what language models and encoders are made of, and backends have kernels for -----------------------


@dataclass(frozen=True)
class Embedding(Kind):
    """table (V, D), ids (…) int32 -> (…, D): rows of a table. Word, position and type embeddings."""


@dataclass(frozen=True)
class Linear(Kind):
    """x (…, K), weight (N, K), [bias (N)] -> (…, N): x · weightᵀ + bias."""


@dataclass(frozen=True)
class RmsNorm(Kind):
    """x (…, n), [weight (n)] -> (…, n): x / sqrt(mean(x²) + epsilon) · weight, over the last axis."""

    epsilon: float


@dataclass(frozen=True)
class LayerNorm(Kind):
    """x (…, n), weight (n), [bias (n)] -> (…, n): (x - mean) / sqrt(variance + epsilon) · weight + bias."""

    epsilon: float


@dataclass(frozen=True)
class Rotary(Kind):
    """x (1, heads, E), position (1) int32 -> the same shape: dimension i < n is turned against dimension i + n by the
    angle position · frequencies[i], n = len(frequencies); dimensions from 2n on stay. `scale` is of cos and sin."""

    frequencies: tuple[float, ...]  # radians per position
    scale: float = 1.0


@dataclass(frozen=True)
class CachedAttention(Kind):
    """query (1, H·E), key (1, G·E), value (1, G·E), position (1) int32 -> (1, H·E): one token over a cache.

    Key and value are written into the states `keys` and `values` (G, C, E) at `position`; then each query head h looks
    at positions max(0, position - window + 1) … position of head h · G / H. Scores are query · key · scale, capped to
    cap · tanh(score / cap) where there is a cap.
    """

    keys: str
    values: str
    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    window: int | None = None
    cap: float | None = None

    @property
    def states(self) -> tuple[str, ...]:
        return self.keys, self.values


@dataclass(frozen=True)
class Attention(Kind):
    """query (…, T, H·E), key (…, T, G·E), value (…, T, G·E), [mask (…, T) int32] -> (…, T, H·E): each token over the
    whole text, or over its tokens whose mask is not 0. Scores are query · key · scale."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float


@dataclass(frozen=True)
class Gated(Kind):
    """gate, x of one shape -> the same: activation(gate) · x."""

    activation: Activation


@dataclass(frozen=True)
class SoftCap(Kind):
    """x -> the same shape: cap · tanh(x / cap)."""

    cap: float


@dataclass(frozen=True)
class Scale(Kind):
    """x -> the same shape: x · factor + offset."""

    factor: float
    offset: float = 0.0


@dataclass(frozen=True)
class Pool(Kind):
    """x (…, T, D), mask (…, T) int32 -> (…, D): one row for the tokens whose mask is not 0."""

    mode: Pooling


@dataclass(frozen=True)
class UnitNorm(Kind):
    """x (…, n) -> the same shape: x / max(sqrt(sum(x²)), least), over the last axis."""

    least: float


@dataclass(frozen=True)
class Limited(Kind):
    """Inputs as `inner` has them -> its integers, no less than `low` and no more than `high`: a Clamp that is part of
    what it limits."""

    inner: Kind
    low: int
    high: int


@dataclass(frozen=True)
class Table(Kind):
    """x int8, table (256) int8 -> the same shape: table[x + 128]. What any function of one int8 is."""


# ---- Plain kinds -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unary(Kind):
    """x -> the same shape, element by element. Activations are among them."""

    function: Literal[Activation, "exp", "erf", "sqrt", "rsqrt", "reciprocal", "abs", "neg", "square"]


@dataclass(frozen=True)
class Binary(Kind):
    """a, b -> numpy's broadcast shape, element by element."""

    function: Literal["add", "sub", "mul", "div", "min", "max", "pow", "squared_difference"]


@dataclass(frozen=True)
class Clamp(Kind):
    """x -> the same shape: no less than `low`, no more than `high`; a tensor of integers keeps its scale."""

    low: float
    high: float = math.inf


@dataclass(frozen=True)
class Reduce(Kind):
    """x -> x without `axes` (1 each where `keep`)."""

    function: Literal["sum", "mean", "max"]
    axes: tuple[int, ...]  # from 0, ascending
    keep: bool


@dataclass(frozen=True)
class MatMul(Kind):
    """a (…, M, K), b (…, K, N) -> (…, M, N), leading extents broadcast."""


@dataclass(frozen=True)
class Softmax(Kind):
    """x -> the same shape, over the last axis: of x · beta."""

    beta: float = 1.0


@dataclass(frozen=True)
class Reshape(Kind):
    """x -> the same elements in the same order, in the output's shape."""


@dataclass(frozen=True)
class Transpose(Kind):
    """x -> axis i of the result is axis order[i] of x."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Slice(Kind):
    """x -> the indices start, start + step, … below stop along an axis."""

    axis: int
    start: int
    stop: int
    step: int = 1


@dataclass(frozen=True)
class Concat(Kind):
    """Any number of values -> one after the other along an axis."""

    axis: int


@dataclass(frozen=True)
class Pad(Kind):
    """x -> so many zeros before and after the numbers of each axis."""

    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Broadcast(Kind):
    """x -> the output's shape, by numpy's rules."""


@dataclass(frozen=True)
class Gather(Kind):
    """x, indices int32 -> x at the indices along an axis, whose place their shape takes."""

    axis: int


@dataclass(frozen=True)
class Cast(Kind):
    """x -> the same numbers in the output's type."""


@dataclass(frozen=True)
class Quantize(Kind):
    """x -> the same shape: into, out of or between integers, as the two tensors' quantizations say."""
