"""Operators that go number by number over one, two or three tensors; LiteRT repeats extents of 1 as ONNX does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.tflite.lower.embedding import rows_or_constant
from edgeslm.backends.tflite.lower.graph import LoweringGraph, refuse

if TYPE_CHECKING:
    import onnx_ir

BINARY = {
    "Add": ("ADD", "Add"),
    "Sub": ("SUB", "Sub"),
    "Mul": ("MUL", "Mul"),
    "Div": ("DIV", "Div"),
    "Min": ("MINIMUM", "MaximumMinimum"),
    "Max": ("MAXIMUM", "MaximumMinimum"),
    "Equal": ("EQUAL", "Equal"),
    "Less": ("LESS", "Less"),
    "LessOrEqual": ("LESS_EQUAL", "LessEqual"),
    "Greater": ("GREATER", "Greater"),
    "GreaterOrEqual": ("GREATER_EQUAL", "GreaterEqual"),
    "And": ("LOGICAL_AND", "LogicalAnd"),
    "Or": ("LOGICAL_OR", "LogicalOr"),
}
"""ONNX operator -> LiteRT's, and the class of its options."""
DEEPEST = 4
"""Axes up to which all of LiteRT's kernels repeat extents of 1."""


def lower_binary(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    kind, options = BINARY[node.op_type]
    first, *others = (value for value in node.inputs if value is not None)
    if len(graph.shape_of(node.outputs[0])) > DEEPEST and any(
        graph.shape_of(value) != graph.shape_of(first) for value in others
    ):
        refuse(node, f"LiteRT repeats extents of 1 over {DEEPEST} axes at most")
    made = rows_or_constant(first, graph) if kind == "ADD" else graph.tensor(first)
    for place, value in enumerate(others):
        other = rows_or_constant(value, graph) if kind == "ADD" else graph.tensor(value)
        last = place == len(others) - 1
        shape = np.broadcast_shapes(graph.shape(made), graph.shape(other))
        type_ = graph.type_of(first)
        output = graph.result(node.outputs[0]) if last else graph.between(node.outputs[0], f"{place}", shape, type_)
        made = graph.emit(kind, [made, other], output, options)
    if not others:
        graph.same(node.outputs[0], made)


def lower_pow(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """Squares and roots have kernels of their own, which are several times faster."""
    base, exponent = node.inputs
    assert base is not None
    assert exponent is not None
    power = graph.values(exponent)
    tensor, output = graph.tensor(base), graph.result(node.outputs[0])
    simple = power is not None and power.size == 1 and graph.shape(tensor) == graph.shape(output)
    number = float(power.reshape(-1)[0]) if simple and power is not None else 0.0
    if number == 2.0:
        graph.emit("MUL", [tensor, tensor], output, "Mul")
    elif number == 0.5:
        graph.emit("SQRT", [tensor], output)
    else:
        if graph.type_of(base) != graph.type_of(exponent):
            refuse(node, "LiteRT wants base and exponent of one type")
        graph.emit("POW", [tensor, graph.tensor(exponent)], output, "Pow")


def lower_where(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    operands = [graph.tensor(value) for value in node.inputs if value is not None]
    graph.emit("SELECT_V2", operands, graph.result(node.outputs[0]), "SelectV2")


def lower_clip(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """Limits are inputs, each of which may be left out."""
    value, *limits = node.inputs
    assert value is not None
    low, high = (*limits, None, None)[:2]
    tensor, result = graph.tensor(value), node.outputs[0]
    steps = [(kind, limit) for kind, limit in (("MAXIMUM", low), ("MINIMUM", high)) if limit is not None]
    for place, (kind, limit) in enumerate(steps):
        last = place == len(steps) - 1
        shape, type_ = graph.shape(tensor), graph.type_of(value)
        output = graph.result(result) if last else graph.between(result, kind.lower(), shape, type_)
        tensor = graph.emit(kind, [tensor, graph.tensor(limit)], output, "MaximumMinimum")
    if not steps:
        graph.same(result, tensor)


def lower_cast(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """Integers of 64 bits are 32 bits wide here, so between them there is nothing to do."""
    from edgeslm.formats.tflite import schema

    (value,) = node.inputs
    assert value is not None
    given, wanted = graph.type_of(value), graph.type_of(node.outputs[0])
    if given == wanted:
        graph.same(node.outputs[0], graph.tensor(value))
        return
    types = {np.float32: "FLOAT32", np.int32: "INT32", np.bool_: "BOOL"}
    source, target = (getattr(schema().TensorType, types[kind]) for kind in (given, wanted))
    output = graph.result(node.outputs[0])
    graph.emit("CAST", [graph.tensor(value)], output, "Cast", inDataType=source, outDataType=target)
