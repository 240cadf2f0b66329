"""What a graph means, in numpy: the reference that passes and backends are held to. Plain and slow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import InternalError
from edgeslm.ir import nodes
from edgeslm.ir.graph import Constant, Graph, Node, Quantization, Tensor

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]

UNARY: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * _logistic(x),
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "tanh": np.tanh,
    "logistic": lambda x: _logistic(x),
    "exp": np.exp,
    "erf": lambda x: _erf(x),
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "abs": np.abs,
    "neg": np.negative,
    "square": np.square,
}
BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "min": np.minimum,
    "max": np.maximum,
    "pow": np.power,
    "squared_difference": lambda a, b: np.square(a - b),
}
REDUCE: dict[str, Callable[..., Array]] = {"sum": np.sum, "mean": np.mean, "max": np.max}


class Interpreter:
    """Runs a graph step by step. Constants are read once, by `values`; states begin as zeros and are in `states`."""

    def __init__(self, graph: Graph, values: Callable[[Constant], Array] = lambda constant: constant.read()) -> None:
        self.graph = graph
        self.constants: Arrays = {one.name: values(one).astype(one.tensor.dtype) for one in graph.constants}
        self.states: Arrays = {one.name: np.zeros(one.shape, one.dtype) for one in graph.states}

    def run(self, inputs: Mapping[str, Array]) -> Arrays:
        """One step. Raises InternalError where an input or a result is not as the graph says."""
        known = dict(self.constants)
        for tensor in self.graph.inputs:
            known[tensor.name] = _checked(inputs[tensor.name], tensor)
        for node in self.graph.nodes:
            operands = [known[name] for name in node.inputs]
            made = evaluate(node, operands, [self.graph.tensor(name) for name in node.inputs], self.states)
            known[node.name] = _checked(made, node.output)
        return {name: known[name] for name in self.graph.outputs}


def evaluate(node: Node, operands: Sequence[Array], tensors: Sequence[Tensor], states: Arrays) -> Array:
    """The value a node makes. `tensors` describe the operands; `states` are changed in place."""
    kind, out = node.kind, node.output
    x = operands[0] if operands else np.zeros(0)
    match kind:
        case nodes.Embedding():
            made = x[operands[1]]
        case nodes.Gather():
            made = np.take(x, operands[1], axis=kind.axis)
        case nodes.Linear():
            made = x @ operands[1].T
            made = made + operands[2] if len(operands) > 2 else made
        case nodes.MatMul():
            made = x @ operands[1]
        case nodes.RmsNorm():
            made = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(kind.epsilon))
            made = made * operands[1] if len(operands) > 1 else made
        case nodes.LayerNorm():
            made = x - x.mean(axis=-1, keepdims=True)
            made = made / np.sqrt(np.mean(made * made, axis=-1, keepdims=True) + np.float32(kind.epsilon)) * operands[1]
            made = made + operands[2] if len(operands) > 2 else made
        case nodes.UnitNorm():
            made = x / np.maximum(np.sqrt(np.sum(x * x, axis=-1, keepdims=True)), np.float32(kind.least))
        case nodes.Rotary():
            made = _rotated(kind, x, operands[1])
        case nodes.CachedAttention():
            made = _cached_attention(kind, operands, states)
        case nodes.Attention():
            made = _attention(kind, operands)
        case nodes.Gated():
            made = UNARY[kind.activation](x) * operands[1]
        case nodes.SoftCap():
            made = kind.cap * np.tanh(x / np.float32(kind.cap))
        case nodes.Scale():
            made = x * np.float32(kind.factor) + np.float32(kind.offset)
        case nodes.Softmax():
            made = _softmax(x * np.float32(kind.beta))
        case nodes.Clamp():
            made = np.clip(x, np.float32(kind.low), np.float32(kind.high))
        case nodes.Pool():
            made = _pooled(kind, x, operands[1])
        case nodes.Unary():
            made = UNARY[kind.function](x)
        case nodes.Binary():
            made = BINARY[kind.function](x, operands[1])
        case nodes.Reduce():
            made = REDUCE[kind.function](x, axis=kind.axes, keepdims=kind.keep)
        case nodes.Reshape():
            made = x.reshape(out.shape)
        case nodes.Transpose():
            made = x.transpose(kind.order)
        case nodes.Slice():
            made = x[(slice(None),) * kind.axis + (slice(kind.start, kind.stop, kind.step),)]
        case nodes.Concat():
            made = np.concatenate(operands, axis=kind.axis)
        case nodes.Pad():
            made = np.pad(x, list(zip(kind.before, kind.after, strict=True)))
        case nodes.Broadcast():
            made = np.broadcast_to(x, out.shape)
        case nodes.Cast():
            made = x
        case nodes.Quantize():
            made = quantized(dequantized(x, tensors[0].quantization), out)
        case _:
            raise InternalError(f"{node.name}: the interpreter has no {type(kind).__name__}")
    return np.asarray(made).astype(out.dtype, copy=False)


# ---- Quantization ----------------------------------------------------------------------------------------------------


def quantized(reals: Array, tensor: Tensor) -> Array:
    """Integers of the tensor's type nearest to the reals, ties to even; the reals themselves where it has no scale."""
    if tensor.quantization is None:
        return reals
    limits = np.iinfo(tensor.dtype)
    scales, zero_points = spread(tensor.quantization, tensor.shape)
    return cast(Array, np.clip(np.rint(reals / scales) + zero_points, limits.min, limits.max).astype(tensor.dtype))


def dequantized(integers: Array, quantization: Quantization | None) -> Array:
    if quantization is None:
        return integers
    scales, zero_points = spread(quantization, integers.shape)
    return ((integers.astype(np.float32) - zero_points) * scales).astype(np.float32)


def spread(quantization: Quantization, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Scales and zero points, of a shape that broadcasts against `shape`."""
    scales = np.array(quantization.scales, np.float32)
    zero_points = np.array(quantization.zero_points or (0,), np.float32) + np.zeros_like(scales)
    if quantization.block is not None:
        blocks = *shape[:-1], -(-shape[-1] // quantization.block)
        both = (np.repeat(one.reshape(blocks), quantization.block, axis=-1) for one in (scales, zero_points))
        wide, offsets = (one[..., : shape[-1]] for one in both)
        return wide, offsets
    if quantization.axis is None:
        return scales.reshape(()), zero_points.reshape(())
    extents = [1] * len(shape)
    extents[quantization.axis] = len(scales)
    return scales.reshape(extents), zero_points.reshape(extents)


# ---- Kinds of more than a line ---------------------------------------------------------------------------------------


def _rotated(kind: nodes.Rotary, x: Array, position: Array) -> Array:
    angles = position.astype(np.float32) * np.array(kind.frequencies, np.float32)
    cos, sin = np.cos(angles) * np.float32(kind.scale), np.sin(angles) * np.float32(kind.scale)
    half = len(kind.frequencies)
    first, second = x[..., :half], x[..., half : 2 * half]
    turned = first * cos - second * sin, second * cos + first * sin, x[..., 2 * half :]
    return np.concatenate(turned, axis=-1)


def _cached_attention(kind: nodes.CachedAttention, operands: Sequence[Array], states: Arrays) -> Array:
    query, key, value, position = operands
    place, groups, dim = int(position[0]), kind.kv_heads, kind.head_dim
    keys, values = states[kind.keys], states[kind.values]
    keys[:, place], values[:, place] = key.reshape(groups, dim), value.reshape(groups, dim)
    first = 0 if kind.window is None else max(0, place - kind.window + 1)
    seen = slice(first, place + 1)
    scores = query.reshape(groups, -1, dim) @ keys[:, seen].transpose(0, 2, 1) * np.float32(kind.scale)
    if kind.cap is not None:
        scores = np.float32(kind.cap) * np.tanh(scores / np.float32(kind.cap))
    return cast(Array, (_softmax(scores) @ values[:, seen]).reshape(query.shape))


def _attention(kind: nodes.Attention, operands: Sequence[Array]) -> Array:
    query, key, value, *mask = operands

    def heads(x: Array, count: int) -> Array:
        """(…, count, T, E)"""
        return np.swapaxes(x.reshape(*x.shape[:-1], count, kind.head_dim), -2, -3)

    group = kind.heads // kind.kv_heads
    turned = (np.repeat(heads(one, kind.kv_heads), group, axis=-3) for one in (key, value))
    keys, values = turned
    scores = heads(query, kind.heads) @ np.swapaxes(keys, -1, -2) * np.float32(kind.scale)
    if mask:
        scores = np.where(mask[0][..., None, None, :] != 0, scores, np.float32(-1e30))
    mixed = np.swapaxes(_softmax(scores) @ values, -2, -3)
    return cast(Array, mixed.reshape(query.shape))


def _pooled(kind: nodes.Pool, x: Array, mask: Array) -> Array:
    seen = (mask != 0)[..., None].astype(x.dtype)
    if kind.mode == "max":
        return cast(Array, np.where(seen != 0, x, -np.inf).max(axis=-2))
    if kind.mode == "lasttoken":
        return np.take_along_axis(x, np.cumsum(seen, axis=-2).argmax(axis=-2)[..., None, :], axis=-2)[..., 0, :]
    if kind.mode == "weightedmean":
        seen = seen * np.arange(1, x.shape[-2] + 1, dtype=x.dtype)[:, None]
    count = seen.sum(axis=-2)
    return cast(Array, (x * seen).sum(axis=-2) / (np.sqrt(count) if kind.mode == "mean_sqrt_len_tokens" else count))


def _softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return cast(Array, powers / powers.sum(axis=-1, keepdims=True))


def _logistic(x: Array) -> Array:
    return cast(Array, 0.5 * (1 + np.tanh(x / 2)))


def _erf(x: Array) -> Array:
    return cast(Array, np.vectorize(math.erf, otypes=[np.float32])(x))


def _checked(values: Array, tensor: Tensor) -> Array:
    if values.shape != tensor.shape:
        raise InternalError(f"{tensor.name} is {values.shape}, described as {tensor.shape}")
    return values.astype(tensor.dtype, copy=False)
