"""Softmax over any axis: LiteRT's goes over the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeslm.backends.tflite.lower.graph import LoweringGraph, axis_of

if TYPE_CHECKING:
    import onnx_ir

KINDS = {"Softmax": ("SOFTMAX", "Softmax", {"beta": 1.0}), "LogSoftmax": ("LOG_SOFTMAX", "LogSoftmax", {})}


def lower_softmax(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    (value,) = node.inputs
    assert value is not None
    kind, options, fields = KINDS[node.op_type]
    result, shape = node.outputs[0], graph.shape_of(value)
    axis, last = axis_of(node, len(shape), -1), len(shape) - 1
    if axis == last:
        graph.emit(kind, [graph.tensor(value)], graph.result(result), options, **fields)
        return
    order = list(range(len(shape)))
    order[axis], order[last] = last, axis
    turned = graph.transposed(graph.tensor(value), order, f"{result.name}/turned")
    made = graph.emit(kind, [turned], graph.between(result, "softmax", graph.shape(turned)), options, **fields)
    graph.transposed(made, order, f"{result.name}/back", graph.result(result))
