"""Graphs of one kernel each, in as many copies as are asked for: what a law is measured on.

Each function gives the graph's parameters and results. A copy reads the one before it where a result has the shape of
the input, else all read the input; a matrix of weights is another one in each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edgeslm.artifacts import Precision
from edgeslm.backends.openvino.compress import dequantized, nibbles
from edgeslm.backends.openvino.flows import LEVELS
from edgeslm.backends.openvino.pairs import LARGEST
from edgeslm.cost.kernels import MOST_COPIES

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

Graph: TypeAlias = "tuple[list[openvino.Node], list[openvino.Node]]"
"""Parameters and results."""
ANY = -1  # a side that is symbolic


def linear(copies: int, inner: int, columns: int, precision: Precision, group: int | None, activated: bool) -> Graph:
    """x · weightsᵀ + bias, and GELU behind it where it is `activated`."""
    from openvino import opset13 as ops

    x = ops.parameter([1, ANY, inner], np.float32)
    made = []
    for number in range(copies):
        y = ops.matmul(x, matrix(columns, inner, precision, group, number), False, True)
        y = ops.add(y, _bias(columns))
        made.append(ops.gelu(y, "erf") if activated else y)
    return [x], made


def static_linear(copies: int, inner: int, columns: int) -> Graph:
    """As static_graph.py leaves a layer: activations in 256 steps, once for all copies, and int8 weights with a scale a
    row."""
    from openvino import opset13 as ops

    x = ops.parameter([1, ANY, inner], np.float32)
    low, high = (ops.constant(np.float32(end)) for end in (-1.5, 2.0))
    codes = ops.fake_quantize(x, low, high, low, high, LEVELS + 1)
    made = []
    for number in range(copies):
        random = np.random.default_rng(columns * 65537 + inner + number)
        stored = ops.constant(random.integers(-LARGEST, LARGEST + 1, (columns, inner)).astype(np.int8))
        weights = ops.multiply(ops.convert(stored, "f32"), ops.constant(np.full((columns, 1), 0.01, np.float32)))
        made.append(ops.add(ops.matmul(codes, weights, False, True), _bias(columns)))
    return [x], made


def lookup(copies: int, height: int, width: int, precision: Precision) -> Graph:
    """Rows of a table by their numbers."""
    from openvino import opset13 as ops

    ids = ops.parameter([1, ANY], np.int32)
    axis = ops.constant(np.int64(0))
    return [ids], [ops.gather(matrix(height, width, precision, None, number), ids, axis) for number in range(copies)]


def matrix(rows: int, columns: int, precision: Precision, group: int | None, number: int = 0) -> openvino.Node:
    """[rows, columns] as compress.py stores it. `number`: another one of the same shape."""
    from openvino import opset13 as ops

    random = np.random.default_rng(rows * 65537 + columns + number)
    name = f"weights{number}"
    if precision in ("fp32", "fp16"):
        values = random.standard_normal((rows, columns), dtype=np.float32)
        return (
            ops.constant(values) if precision == "fp32" else ops.convert(ops.constant(values.astype(np.float16)), "f32")
        )
    if precision == "int8" or group is None:
        codes = random.integers(0, 256, (rows, columns)).astype(np.uint8)
        zeros, scales = np.full((rows, 1), 128, np.uint8), np.full((rows, 1), 0.01, np.float16)
        return dequantized(name, ops.constant(codes), ops.constant(zeros), ops.constant(scales), None)
    blocks = (rows, columns // group)
    codes = random.integers(0, 16, (*blocks, group)).astype(np.uint8)
    zeros, scales = np.full((*blocks, 1), 8, np.uint8), np.full((*blocks, 1), 0.01, np.float16)
    return dequantized(name, nibbles(codes), nibbles(zeros), ops.constant(scales), (rows, columns))


def norm(copies: int, width: int) -> Graph:
    """A layer norm: mean and variance of rows, a scale and a shift of each column."""
    from openvino import opset13 as ops

    x = ops.parameter([1, ANY, width], np.float32)
    y = x
    for _ in range(copies):
        y = ops.mvn(y, ops.constant(np.array([-1])), True, 1e-5, "INSIDE_SQRT")
        scale = ops.constant(np.full((1, 1, width), 1.01, np.float32))
        y = ops.add(ops.multiply(y, scale), ops.constant(np.full((1, 1, width), 0.01, np.float32)))
    return [x], [y]


def softmax(copies: int, width: int) -> Graph:
    from openvino import opset13 as ops

    x = ops.parameter([1, ANY, width], np.float32)
    y = x
    for _ in range(copies):
        y = ops.softmax(y, -1)
    return [x], [y]


def elementwise(copies: int, width: int) -> Graph:
    """Sums of two tensors, each with inputs of its own: sums that follow each other would be joined."""
    from openvino import opset13 as ops

    given = [ops.parameter([1, ANY, width], np.float32) for _ in range(2 * copies)]
    return given, [ops.add(*pair) for pair in zip(given[::2], given[1::2], strict=True)]


def transposed(copies: int, width: int) -> Graph:
    """Keys as attention wants them, each another tensor: [1, rows, heads, 32] to [1, heads, 32, rows]."""
    from openvino import opset13 as ops

    depth, order = min(32, width), ops.constant(np.array([0, 2, 3, 1]))
    given = [ops.parameter([1, ANY, width // depth, depth], np.float32) for _ in range(copies)]
    return given, [ops.transpose(x, order) for x in given]


def attention(copies: int, heads: int, depth: int) -> Graph:
    """Of all tokens to all tokens, with a mask of which of them are there, the last parameter."""
    from openvino import opset13 as ops

    mask = ops.parameter([1, 1, 1, ANY], np.float32)
    order = ops.constant(np.array([0, 2, 1, 3]))
    given, made = [], []
    for _ in range(copies):
        own = [ops.parameter([1, ANY, heads, depth], np.float32) for _ in range(3)]
        given += own
        y = ops.scaled_dot_product_attention(*(ops.transpose(one, order) for one in own), mask)
        made.append(ops.transpose(y, order))
    return [*given, mask], made


def product(copies: int, batch: int, inner: int, columns: int) -> Graph:
    """Of two tensors, neither of which is a weight."""
    from openvino import opset13 as ops

    given, made = [], []
    for _ in range(copies):
        left = ops.parameter([1, batch, ANY, inner], np.float32)
        right = ops.parameter([1, batch, inner, columns], np.float32)
        given += [left, right]
        made.append(ops.matmul(left, right, False, False))
    return given, made


def chained(copies: int) -> Graph:
    """Hardly anything, `copies` times, one after the other."""
    from openvino import opset13 as ops

    x = ops.parameter([ANY, MOST_COPIES], np.float32)
    y = x
    for _ in range(copies):
        y = ops.softmax(y, -1)
    return [x], [y]


def widened(copies: int) -> Graph:
    """Hardly anything, with MOST_COPIES results, whatever is asked for."""
    from openvino import opset13 as ops

    x = ops.parameter([ANY, MOST_COPIES], np.float32)
    return [x], list(ops.split(x, ops.constant(np.int64(1)), MOST_COPIES).outputs())


def gathered(copies: int) -> Graph:
    """Hardly anything, of MOST_COPIES parameters, whatever is asked for."""
    from openvino import opset13 as ops

    given = [ops.parameter([ANY, 1], np.float32) for _ in range(MOST_COPIES)]
    return given, [ops.concat(given, 1)]


def _bias(columns: int) -> openvino.Node:
    from openvino import opset13 as ops

    return ops.constant(np.ones((1, 1, columns), np.float32))
