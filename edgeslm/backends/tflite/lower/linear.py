"""Matrix products: FULLY_CONNECTED where the right-hand side is a constant, with what follows it; else BATCH_MATMUL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.tflite.graph import Array
from edgeslm.backends.tflite.lower.fusion import Fusion, only_reader_of
from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute, refuse

if TYPE_CHECKING:
    import onnx_ir

PRODUCTS = ("MatMul", "Gemm")
RELU = 1  # ActivationFunctionType


def find_linear(node: onnx_ir.Node) -> Fusion | None:
    """MatMul by a constant -> Add of a constant -> Relu: one operator from its last node on, two of them or three."""
    relu = node if node.op_type == "Relu" else None
    addition = only_reader_of(relu.inputs[0], "Add") if relu is not None else node if node.op_type == "Add" else None
    bias, product = None, None
    if addition is not None:
        for place, value in enumerate(addition.inputs):
            product = product or only_reader_of(value, "MatMul")
            if product is not None and product.outputs[0] is value:
                bias = addition.inputs[1 - place]
        if product is None or bias is None or not _is_bias(bias, product, addition):
            return None
    elif relu is not None:
        product = only_reader_of(relu.inputs[0], "MatMul") or only_reader_of(relu.inputs[0], "Gemm")
    if product is None or not _is_linear(product):
        return None
    inputs = (product.inputs[0], *(value for value in product.inputs[1:3] if value is not None))
    known, found = product, bias

    def lower(last: onnx_ir.Node, graph: LoweringGraph) -> None:
        _connect(known, graph, last.outputs[0], found, relu=relu is not None)

    return Fusion(lower, tuple(value for value in (*inputs, bias) if value is not None))


def find_turned_product(node: onnx_ir.Node) -> Fusion | None:
    """MatMul by what is transposed just before, as attention does with keys: one BATCH_MATMUL."""
    turned = only_reader_of(node.inputs[1], "Transpose") if node.op_type == "MatMul" else None
    if turned is None or node.inputs[0] is None or node.inputs[0].const_value is not None:
        return None
    left, right, order = node.inputs[0], turned.inputs[0], list(attribute(turned, "perm", []))
    if right is None or right.const_value is not None or left.shape is None or len(left.shape) != len(order):
        return None
    rank = len(order)
    if rank < 2 or rank > 5 or order != [*range(rank - 2), rank - 1, rank - 2]:
        return None

    def lower(last: onnx_ir.Node, graph: LoweringGraph) -> None:
        inputs = [graph.tensor(left), graph.tensor(right)]
        graph.emit("BATCH_MATMUL", inputs, graph.result(last.outputs[0]), "BatchMatMul", adjY=True)

    return Fusion(lower, (left, right))


def lower_product(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    if _is_linear(node):
        _connect(node, graph, node.outputs[0], None, relu=False)
    elif node.op_type == "Gemm":
        _multiply_gemm(node, graph)
    else:
        _multiply(node, graph)


def _is_linear(product: onnx_ir.Node) -> bool:
    """Whether FULLY_CONNECTED takes it."""
    rows, weight, *rest = product.inputs
    if weight is None or rows is None or weight.const_value is None or rows.shape is None:
        return False
    shape = weight.const_value.shape.numpy()
    if len(shape) < 2 or int(np.prod(shape)) != shape[-1] * shape[-2] or len(rows.shape) < 2:
        return False  # another matrix for each batch
    if len(shape) > len(rows.shape) or weight.const_value.dtype.name != "FLOAT":
        return False
    if product.op_type == "MatMul":
        return True
    added = rest[0] if rest else None
    columns = shape[0 if attribute(product, "transB", 0) else 1]
    plain = all(attribute(product, name, 1.0) == 1.0 for name in ("alpha", "beta"))
    return plain and not attribute(product, "transA", 0) and (added is None or _is_row(added, columns))


def _is_bias(value: onnx_ir.Value, product: onnx_ir.Node, addition: onnx_ir.Node) -> bool:
    """One number for each column of the product."""
    shape = product.outputs[0].shape
    return shape is not None and addition.outputs[0].shape == shape and _is_row(value, shape[-1])


def _is_row(value: onnx_ir.Value, columns: object) -> bool:
    tensor = value.const_value
    if tensor is None or tensor.dtype.name != "FLOAT":
        return False
    return tensor.size == 1 or (tensor.size == columns and tensor.shape[-1] == columns)


def _connect(
    product: onnx_ir.Node, graph: LoweringGraph, result: onnx_ir.Value, bias: onnx_ir.Value | None, *, relu: bool
) -> None:
    rows, weight, *rest = product.inputs
    assert rows is not None
    assert weight is not None
    matrix = graph.packed_matrix(str(weight.name), "linear")
    if matrix is None:
        values = graph.values(weight)
        assert values is not None
        plain = values.reshape(values.shape[-2:])
        plain = plain if attribute(product, "transB", 0) else plain.T
        matrix = graph.constant_of(str(weight.name), plain, "linear")
    inputs = [graph.tensor(rows), matrix]
    added = bias if bias is not None else rest[0] if rest else None
    inputs.append(-1 if added is None else _bias(graph, added, graph.shape(matrix)[0]))
    graph.emit(
        "FULLY_CONNECTED",
        inputs,
        graph.result(result),
        "FullyConnected",
        keepNumDims=True,
        fusedActivationFunction=RELU if relu else 0,
    )


def _bias(graph: LoweringGraph, value: onnx_ir.Value, columns: int) -> int:
    values = graph.values(value)
    assert values is not None
    flat: Array = values.reshape(-1) if values.size == columns else np.full(columns, values.reshape(-1)[0])
    return graph.constant_of(str(value.name), flat)


def _multiply(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """Both sides are computed, or the left one is the constant. A side of one axis is a row or a column."""
    left, right = node.inputs
    assert left is not None
    assert right is not None
    result = node.outputs[0]
    first, second = graph.tensor(left), graph.tensor(right)
    if len(graph.shape(first)) == 1:
        first = graph.reshaped(first, [1, *graph.shape(first)], f"{result.name}/left")
    if len(graph.shape(second)) == 1:
        second = graph.reshaped(second, [*graph.shape(second), 1], f"{result.name}/right")
    rank = max(len(graph.shape(first)), len(graph.shape(second)))
    if rank > 5:
        refuse(node, "LiteRT multiplies tensors of 5 axes at most")
    batch = np.broadcast_shapes(graph.shape(first)[:-2], graph.shape(second)[:-2])
    shape = (*batch, graph.shape(first)[-2], graph.shape(second)[-1])
    if shape == graph.shape_of(result):
        graph.emit("BATCH_MATMUL", [first, second], graph.result(result), "BatchMatMul")
        return
    made = graph.emit("BATCH_MATMUL", [first, second], graph.between(result, "product", shape), "BatchMatMul")
    graph.reshaped(made, graph.shape_of(result), str(result.name), graph.result(result))


def _multiply_gemm(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """alpha * A B + beta * C, step by step."""
    left, right, *rest = node.inputs
    assert left is not None
    assert right is not None
    result = node.outputs[0]
    shape = graph.shape_of(result)
    added = rest[0] if rest else None
    factors = {name: float(attribute(node, name, 1.0)) for name in ("alpha", "beta")}
    flips = {"adjX": bool(attribute(node, "transA", 0)), "adjY": bool(attribute(node, "transB", 0))}
    steps = [
        ("BATCH_MATMUL", "BatchMatMul", graph.tensor(right), flips),
        *([("MUL", "Mul", _scalar(graph, factors["alpha"]), {})] if factors["alpha"] != 1 else []),
    ]
    if added is not None:
        term = graph.tensor(added)
        if factors["beta"] != 1:
            scaled = graph.between(result, "beta", graph.shape(term))
            term = graph.emit("MUL", [term, _scalar(graph, factors["beta"])], scaled, "Mul")
        steps.append(("ADD", "Add", term, {}))
    made = graph.tensor(left)
    for place, (kind, options, operand, fields) in enumerate(steps):
        last = place == len(steps) - 1
        output = graph.result(result) if last else graph.between(result, kind.lower(), shape)
        made = graph.emit(kind, [made, operand], output, options, **fields)


def _scalar(graph: LoweringGraph, number: float) -> int:
    return graph.constant_of(f"number {number:.9g}", np.array(number, dtype=np.float32))
