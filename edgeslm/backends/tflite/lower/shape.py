"""Operators that change a tensor's shape and none of its numbers. Shapes are known, so most are one RESHAPE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute, refuse

if TYPE_CHECKING:
    import onnx_ir


def lower_reshape(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze, Identity: the result's shape says it all."""
    value, result = node.inputs[0], node.outputs[0]
    assert value is not None
    tensor, shape = graph.tensor(value), graph.shape_of(result)
    if graph.shape(tensor) == shape:
        graph.same(result, tensor)
    else:
        graph.reshaped(tensor, shape, str(result.name), graph.result(result))


def lower_transpose(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    (value,) = node.inputs
    assert value is not None
    rank, result = len(graph.shape_of(value)), node.outputs[0]
    order = list(attribute(node, "perm", range(rank)[::-1]))
    if rank > 6:
        refuse(node, "LiteRT transposes tensors of 6 axes at most")
    graph.transposed(graph.tensor(value), order, str(result.name), graph.result(result))


def lower_expand(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    value, result = node.inputs[0], node.outputs[0]
    assert value is not None
    tensor, shape = graph.tensor(value), graph.shape_of(result)
    if graph.shape(tensor) == shape:
        graph.same(result, tensor)
    else:
        graph.emit("BROADCAST_TO", [tensor, graph.index(f"{result.name}/shape", shape)], graph.result(result))


def lower_tile(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    value, repeats = node.inputs
    assert value is not None
    times, result = graph.integers(repeats), node.outputs[0]
    if times is None:
        refuse(node, "how often it repeats is computed")
    graph.emit("TILE", [graph.tensor(value), graph.index(f"{result.name}/times", times)], graph.result(result), "Tile")
