"""Graphs of one operator each, with inputs of any numbers: what a law is measured on.

Each function emits its operator and gives the inputs of the run and the result. `number` is that of the copy: a matrix
of weights is another one in each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeslm.artifacts import Precision
from edgeslm.backends.tflite.kernel_shapes import TABLE_ROWS
from edgeslm.backends.tflite.lower.graph import LoweringGraph
from edgeslm.backends.tflite.lower.packed import PackedMatrix, add_packed
from edgeslm.formats.tflite import schema

Shape = Sequence[int]

OPTIONS = {"ADD": "Add", "MUL": "Mul", "DIV": "Div", "GELU": "Gelu", "EXP": "Exp", "CAST": "Cast"}


def linear(
    graph: LoweringGraph, number: int, rows: int, inner: int, columns: int, precision: Precision, group: int | None
) -> tuple[list[int], int]:
    x, y = graph.add_tensor("x", [rows, inner]), graph.add_tensor("y", [rows, columns])
    weights = matrix(graph, columns, inner, precision, group, number)
    inputs = [x, weights, graph.constant_of("bias", np.ones(columns, np.float32))]
    return [x], graph.emit("FULLY_CONNECTED", inputs, y, "FullyConnected", keepNumDims=True)


def static_linear(graph: LoweringGraph, number: int, rows: int, inner: int, columns: int) -> tuple[list[int], int]:
    """Integers from end to end: int8 in, int32 biases, int8 out."""
    x, y = _quantized(graph, "x", (rows, inner)), _quantized(graph, "y", (rows, columns))
    weights = matrix(graph, columns, inner, "int8", None, number)
    bias = graph.add_content("bias", (columns,), np.int32, np.ones(columns, np.int32))
    described = graph.subgraph.tensors[bias].quantization = schema().QuantizationParametersT()
    described.scale, described.zeroPoint = np.full(columns, 0.01, np.float32), np.zeros(columns, np.int64)
    return [x], graph.emit("FULLY_CONNECTED", [x, weights, bias], y, "FullyConnected", keepNumDims=True)


def quantized(graph: LoweringGraph, number: int, shape: Shape) -> tuple[list[int], int]:
    x = graph.add_tensor("x", shape)
    return [x], graph.emit("QUANTIZE", [x], _quantized(graph, "y", shape), "Quantize")


def _quantized(graph: LoweringGraph, name: str, shape: Shape) -> int:
    """An int8 tensor whose numbers are codes, with a scale of 1."""
    tensor = graph.add_tensor(name, shape, np.int8)
    described = graph.subgraph.tensors[tensor].quantization = schema().QuantizationParametersT()
    described.scale, described.zeroPoint = np.ones(1, np.float32), np.zeros(1, np.int64)
    return tensor


def lookup(
    graph: LoweringGraph, number: int, rows: int, width: int, precision: Precision, group: int | None
) -> tuple[list[int], int]:
    ids, y = graph.add_tensor("x", [rows], np.int32), graph.add_tensor("y", [rows, width])
    return [ids], graph.emit("EMBEDDING_LOOKUP", [ids, matrix(graph, TABLE_ROWS, width, precision, group, number)], y)


def matrix(
    graph: LoweringGraph, rows: int, columns: int, precision: Precision, group: int | None, number: int = 0
) -> int:
    """`number`: another one of the same shape, which lies elsewhere in memory."""
    random = np.random.default_rng(rows * 65537 + columns + number)
    if precision in ("fp32", "fp16"):
        values = random.standard_normal((rows, columns), dtype=np.float32)
        if precision == "fp32":
            return graph.constant_of("w", values)
        half = graph.add_content("w/half", (rows, columns), np.float16, values.astype(np.float16))
        return graph.emit("DEQUANTIZE", [half], graph.add_tensor("w", [rows, columns]), "Dequantize")
    if precision == "int8":
        codes = random.integers(-127, 128, (rows, columns)).astype(np.int8)
        return add_packed(graph, "w", PackedMatrix("int8", columns, codes, np.full(rows, 0.01, np.float32)))
    assert group is not None
    nibbles = random.integers(0, 256, (rows, columns // 2)).astype(np.uint8)
    scales = np.full((rows, columns // group), 0.01, np.float16)
    return add_packed(graph, "w", PackedMatrix("int4", columns, nibbles, scales, group))


def binary(graph: LoweringGraph, number: int, kind: str, left: Shape, right: Shape) -> tuple[list[int], int]:
    inputs = [graph.add_tensor("x0", left), graph.add_tensor("x1", right)]
    y = graph.add_tensor("y", np.broadcast_shapes(tuple(left), tuple(right)))
    return inputs, graph.emit(kind, inputs, y, OPTIONS[kind])


def unary(graph: LoweringGraph, number: int, kind: str, shape: Shape) -> tuple[list[int], int]:
    types = schema().TensorType
    x = graph.add_tensor("x", shape, np.int32 if kind == "CAST" else np.float32)
    fields = {"inDataType": types.INT32, "outDataType": types.FLOAT32} if kind == "CAST" else {}
    return [x], graph.emit(kind, [x], graph.add_tensor("y", shape), OPTIONS.get(kind, ""), **fields)


def chained(graph: LoweringGraph, number: int, count: int) -> tuple[list[int], int]:
    first = last = graph.add_tensor("x", (1,))
    for _ in range(count):
        last = graph.emit("LOGISTIC", [last], graph.add_tensor("y", (1,)))
    return [first], last


def softmax(graph: LoweringGraph, number: int, shape: Shape) -> tuple[list[int], int]:
    x = graph.add_tensor("x", shape)
    return [x], graph.emit("SOFTMAX", [x], graph.add_tensor("y", shape), "Softmax", beta=1.0)


def reduced(graph: LoweringGraph, number: int, kind: str, shape: Shape, axis: int) -> tuple[list[int], int]:
    x = graph.add_tensor("x", shape)
    made = list(shape)
    made[axis] = 1
    inputs = [x, graph.index("axes", [axis % len(shape)])]
    return [x], graph.emit(kind, inputs, graph.add_tensor("y", made), "Reducer", keepDims=True)


def mean_squared(graph: LoweringGraph, number: int, shape: Shape) -> tuple[list[int], int]:
    x, squared = graph.add_tensor("x", shape), graph.add_tensor("squared", shape)
    graph.emit("MUL", [x, x], squared, "Mul")
    inputs = [squared, graph.index("axes", [len(shape) - 1])]
    return [x], graph.emit("MEAN", inputs, graph.add_tensor("y", [*shape[:-1], 1]), "Reducer", keepDims=True)


def dequantized(graph: LoweringGraph, number: int, shape: Shape) -> tuple[list[int], int]:
    x = _quantized(graph, "x", shape)
    return [x], graph.emit("DEQUANTIZE", [x], graph.add_tensor("y", shape), "Dequantize")


def product(
    graph: LoweringGraph, number: int, shape: tuple[int, int, int, int], *, adjoint: bool
) -> tuple[list[int], int]:
    """`shape`: batch, rows, inner, columns."""
    batch, rows, inner, columns = shape
    right = [batch, columns, inner] if adjoint else [batch, inner, columns]
    inputs = [graph.add_tensor("x0", [batch, rows, inner]), graph.add_tensor("x1", right)]
    y = graph.add_tensor("y", [batch, rows, columns])
    return inputs, graph.emit("BATCH_MATMUL", inputs, y, "BatchMatMul", adjY=adjoint)


def sliced(graph: LoweringGraph, number: int, shape: Shape, part: Shape) -> tuple[list[int], int]:
    x = graph.add_tensor("x", shape)
    inputs = [x, graph.index("begin", [0] * len(shape)), graph.index("size", list(part))]
    return [x], graph.emit("SLICE", inputs, graph.add_tensor("y", part), "Slice")


def concatenated(graph: LoweringGraph, number: int, shape: Shape, axis: int) -> tuple[list[int], int]:
    inputs = [graph.add_tensor(f"x{place}", shape) for place in range(2)]
    made = list(shape)
    made[axis] *= 2
    return inputs, graph.emit("CONCATENATION", inputs, graph.add_tensor("y", made), "Concatenation", axis=axis)


def transposed(graph: LoweringGraph, number: int, shape: Shape, order: Shape) -> tuple[list[int], int]:
    x = graph.add_tensor("x", shape)
    return [x], graph.transposed(x, order, "y", graph.add_tensor("y", [shape[axis] for axis in order]))
