"""What a `Decoder` means, in numpy: whole text at once, no cache, no tricks. Slow and plain on purpose.

Shapes: T tokens; D, H, G, E, F, V as in edgeslm/decoder.py. Everything is float64, so what differs from another
computation is that one's rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeslm.decoder import Activation, Decoder, Layer, Matrix, Norm, Part, Rotary

Array: TypeAlias = NDArray[np.float64]
Weights: TypeAlias = Callable[[str], NDArray[Any]]


def run(decoder: Decoder, weights: Weights, tokens: Sequence[int]) -> Array:
    """Logits [T, V] after each of `tokens`; `weights` gives a checkpoint's tensor by its name, as it is stored."""
    x = matrix(decoder.embedding, weights)[list(tokens)] * decoder.embedding_scale
    if decoder.learned_positions:
        x = x + matrix(decoder.learned_positions, weights)[: len(tokens)]
    for layer in decoder.layers:
        x = block(decoder, layer, weights, x)
    logits = linear(decoder.head, weights, normalize(decoder.norm, weights, x))
    return cap(logits, decoder.logit_cap)


def block(decoder: Decoder, layer: Layer, weights: Weights, x: Array) -> Array:
    """[T, D] to [T, D]."""
    attended = normalize(layer.norm_attention, weights, x)
    attention = attend(decoder, layer, weights, attended)
    if layer.after_attention:
        attention = normalize(layer.after_attention, weights, attention)
    if layer.norm_feed is None:
        return x + attention + feed(decoder, layer, weights, attended)
    x = x + attention
    fed = feed(decoder, layer, weights, normalize(layer.norm_feed, weights, x))
    return x + (normalize(layer.after_feed, weights, fed) if layer.after_feed else fed)


def attend(decoder: Decoder, layer: Layer, weights: Weights, x: Array) -> Array:
    """Causal attention of H query heads, H/G of which share a head of keys and values. [T, D] to [T, D]."""
    tokens, heads, groups, size = len(x), decoder.heads, decoder.kv_heads, decoder.head_dim
    rows = linear(layer.query_key_value, weights, x).reshape(tokens, heads + 2 * groups, size).transpose(1, 0, 2)
    queries, keys, values = rows[:heads], rows[heads : heads + groups], rows[heads + groups :]
    if layer.query_norm:
        queries = normalize(layer.query_norm, weights, queries)
    if layer.key_norm:
        keys = normalize(layer.key_norm, weights, keys)
    if layer.rotary:
        queries, keys = rotate(layer.rotary, queries), rotate(layer.rotary, keys)
    mine = np.arange(tokens)[:, None]
    theirs = np.arange(tokens)[None, :]
    seen = theirs <= mine
    if layer.window is not None:
        seen &= theirs > mine - layer.window
    mixed = np.empty((heads, tokens, size))
    for head in range(heads):
        group = head * groups // heads
        scores = cap(queries[head] @ keys[group].T * decoder.attention_scale, decoder.score_cap)
        mixed[head] = softmax(np.where(seen, scores, -np.inf)) @ values[group]
    return linear(layer.output, weights, mixed.transpose(1, 0, 2).reshape(tokens, heads * size))


def feed(decoder: Decoder, layer: Layer, weights: Weights, x: Array) -> Array:
    """down(activation(gate(x)) · up(x)), or down(activation(up(x))) without a gate."""
    up = linear(layer.up, weights, x)
    if layer.gate is None:
        return linear(layer.down, weights, activate(decoder.activation, up))
    return linear(layer.down, weights, activate(decoder.activation, linear(layer.gate, weights, x)) * up)


def rotate(rotary: Rotary, x: Array) -> Array:
    """[heads, T, E]: the first 2n dimensions of each head turned by position · frequency, the others as they are."""
    count = len(rotary.frequencies)
    angles = np.arange(x.shape[1])[:, None] * np.array(rotary.frequencies)
    cos, sin = np.cos(angles) * rotary.scale, np.sin(angles) * rotary.scale
    first, second, rest = x[..., :count], x[..., count : 2 * count], x[..., 2 * count :]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin, rest], axis=-1)


def normalize(norm: Norm, weights: Weights, x: Array) -> Array:
    """Over the last axis."""
    weight = weights(norm.weight).astype(np.float64) + norm.offset
    if norm.kind == "layer":
        x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + norm.epsilon) * weight
    return x + weights(norm.bias) if norm.bias else x


def linear(of: Matrix, weights: Weights, x: Array) -> Array:
    """[..., in] to [..., out]."""
    product: Array = x @ matrix(of, weights).T
    return product + np.concatenate([rows(part, weights) for part in of.bias]) if of.bias else product


def matrix(of: Matrix, weights: Weights) -> Array:
    """[rows, columns]."""
    whole = np.concatenate([rows(part, weights) for part in of.parts])
    assert whole.shape == (of.rows, of.columns), of
    return whole


def rows(part: Part, weights: Weights) -> Array:
    stored = weights(part.parameter)
    taken = (stored.T if part.transposed else stored)[part.start : part.start + part.rows]
    return taken.astype(np.float64)


def activate(kind: Activation, x: Array) -> Array:
    if kind == "silu":
        y = x / (1 + np.exp(-x))
    elif kind == "gelu":
        y = x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2
    elif kind == "gelu_tanh":
        y = x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    else:
        y = np.maximum(x, 0)
    return np.asarray(y, np.float64)


def cap(x: Array, limit: float | None) -> Array:
    return x if limit is None else np.asarray(limit * np.tanh(x / limit), np.float64)


def softmax(x: Array) -> Array:
    """Over the last axis."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float64)
