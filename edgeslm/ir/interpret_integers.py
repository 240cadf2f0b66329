"""What a graph of static int8 means, bit for bit as TensorFlow Lite Micro's reference kernels compute it, in numpy.

The reference that C kernels are held to. Sums are exact, so their order is free; what rounds is in `fixed_point.py`,
and the factors are in `requantize.py`. Floats may come in and go out (Quantize); elements may be moved in any type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import InternalError
from edgeslm.ir import nodes
from edgeslm.ir.fixed_point import Integers, exp_negative, high_product, reciprocal, scaled, shifted_right
from edgeslm.ir.graph import Graph, Node, Tensor
from edgeslm.ir.interpret import dequantized, evaluate
from edgeslm.ir.lookup_tables import table_of
from edgeslm.ir.requantize import (
    HIGHEST,
    LOWEST,
    SOFTMAX_BITS,
    SumScaling,
    linear_multipliers,
    mean_multiplier,
    product_multiplier,
    scale_of,
    softmax_scaling,
    squared_difference_scaling,
    sum_scaling,
    zero_of,
)

Array: TypeAlias = NDArray[Any]
MOVES = (nodes.Reshape, nodes.Slice, nodes.Transpose, nodes.Concat, nodes.Broadcast, nodes.Gather, nodes.Embedding)
SUM_BITS = 12  # integer bits of a softmax's denominator


class IntegerInterpreter:
    """Runs a graph without states. Constants are read once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constants = {one.name: one.read().astype(one.tensor.dtype, copy=False) for one in graph.constants}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Raises InternalError for a node that has no integer form, or a result that is not as the graph says."""
        known = self.run_all(inputs)
        return {name: known[name] for name in self.graph.outputs}

    def run_all(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every value: to say where another computation first differs."""
        known: dict[str, Array] = dict(self.constants)
        for tensor in self.graph.inputs:
            known[tensor.name] = _checked(np.asarray(inputs[tensor.name]), tensor)
        for node in self.graph.nodes:
            tensors = [self.graph.tensor(name) for name in node.inputs]
            made = evaluate_integers(node, [known[name] for name in node.inputs], tensors)
            known[node.name] = _checked(made.astype(node.output.dtype, copy=False), node.output)
        return known


def evaluate_integers(node: Node, operands: Sequence[Array], tensors: Sequence[Tensor]) -> Array:
    """The value a node makes. `tensors` describe the operands."""
    kind, out = node.kind, node.output
    x = operands[0]
    if isinstance(kind, nodes.Limited):
        made = evaluate_integers(replace(node, kind=kind.inner), operands, tensors)
        return np.clip(made, kind.low, kind.high)
    if isinstance(kind, MOVES):
        return evaluate(node, operands, tensors, {})
    if isinstance(kind, nodes.Pad):
        sides = list(zip(kind.before, kind.after, strict=True))
        return np.pad(x, sides, constant_values=zero_of(out) if out.quantization else 0)
    if isinstance(kind, nodes.Quantize) and "float32" in (tensors[0].dtype, out.dtype):
        return _quantized(x, out) if out.quantization else dequantized(x, tensors[0].quantization)
    if any(tensor.dtype != "int8" for tensor in (tensors[0], out)):
        raise InternalError(f"{node.name}: {type(kind).__name__} is not computed in {tensors[0].dtype}")
    match kind:
        case nodes.Linear():
            made = _linear(operands, tensors, out)
        case nodes.MatMul():
            factor = product_multiplier(tensors[0], tensors[1], out)
            made = scaled(_centred(x, tensors[0]) @ _centred(operands[1], tensors[1]), factor)
        case nodes.Binary(function="add" | "sub"):
            by = sum_scaling(tensors[0], tensors[1], out)
            a, b = _brought_together(operands, tensors, by)
            made = scaled(a + b if kind.function == "add" else a - b, by.result)
        case nodes.Binary(function="squared_difference"):
            by = squared_difference_scaling(tensors[0], tensors[1], out)
            a, b = _brought_together(operands, tensors, by)
            made = scaled((a - b) * (a - b), by.result)
        case nodes.Binary(function="mul"):
            products = _centred(x, tensors[0]) * _centred(operands[1], tensors[1])
            made = scaled(products, product_multiplier(tensors[0], tensors[1], out))
        case nodes.Reduce(function="mean"):
            count = prod(tensors[0].shape[axis] for axis in kind.axes)
            sums = _centred(x, tensors[0]).sum(axis=kind.axes, keepdims=kind.keep)
            made = scaled(sums, mean_multiplier(tensors[0], out, count))
        case nodes.Softmax():
            return _softmax(x, tensors[0], kind.beta)
        case nodes.Table():
            return operands[1][x.astype(np.int64) - LOWEST]
        case _:
            return table_of(kind, tensors[0], out)[x.astype(np.int64) - LOWEST]
    return np.clip(made + zero_of(out), LOWEST, HIGHEST)


def _centred(x: Array, tensor: Tensor) -> Integers:
    return x.astype(np.int64) - zero_of(tensor)


def _linear(operands: Sequence[Array], tensors: Sequence[Tensor], out: Tensor) -> Integers:
    """Of weights by channel, all zero points are 0."""
    quantization = tensors[1].quantization
    weight = operands[1].astype(np.int64)
    if quantization is not None and quantization.axis is None:
        weight = weight - zero_of(tensors[1])
    sums = _centred(operands[0], tensors[0]) @ weight.T
    sums = sums + operands[2] if len(operands) > 2 else sums
    factors = linear_multipliers(tensors[0], tensors[1], out)
    if len(factors) == 1:
        return scaled(sums, factors[0])
    return np.stack([scaled(sums[..., row], factor) for row, factor in enumerate(factors)], axis=-1)


def _brought_together(
    operands: Sequence[Array], tensors: Sequence[Tensor], by: SumScaling
) -> tuple[Integers, Integers]:
    a, b = (_centred(x, tensor) << by.shift for x, tensor in zip(operands, tensors, strict=True))
    return scaled(a, by.first), scaled(b, by.second)


def _softmax(x: Array, tensor: Tensor, beta: float) -> Integers:
    """Scale 1/256 and zero point -128. Powers in Q0, their sum in Q12, its reciprocal in Q0."""
    scaling = softmax_scaling(tensor, beta)
    below = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
    counts = below >= -scaling.end
    powers = exp_negative(np.minimum(scaled(np.where(counts, below, 0), scaling.by), 0), SOFTMAX_BITS)
    sums = np.where(counts, shifted_right(powers, SUM_BITS), 0).sum(axis=-1, keepdims=True)
    inverse, more = reciprocal(sums, SUM_BITS)
    products = high_product(inverse, powers)
    shares = np.zeros(x.shape, np.int64)
    for extra in np.unique(more):
        shares = np.where(more == extra, shifted_right(products, int(extra) + 31 - 8), shares)
    return np.where(counts, np.clip(shares + LOWEST, LOWEST, HIGHEST), LOWEST)


def _quantized(x: Array, out: Tensor) -> Integers:
    """Half away from zero, the quotient a float."""
    quotient = np.clip(x / np.float32(scale_of(out)), -1e6, 1e6).astype(np.float64)
    whole: Integers = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient).astype(np.int64)
    return np.clip(whole + zero_of(out), LOWEST, HIGHEST)


def _checked(values: Array, tensor: Tensor) -> Array:
    if values.shape != tensor.shape or values.dtype != tensor.dtype:
        raise InternalError(
            f"{tensor.name} is {values.dtype} {values.shape}, described as {tensor.dtype} {tensor.shape}"
        )
    return values
