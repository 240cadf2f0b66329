"""Sums, means and the like over axes; the place of the largest; running sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute, axis_of, refuse

if TYPE_CHECKING:
    import onnx_ir

KINDS = {
    "ReduceSum": "SUM",
    "ReduceMean": "MEAN",
    "ReduceMax": "REDUCE_MAX",
    "ReduceMin": "REDUCE_MIN",
    "ReduceProd": "REDUCE_PROD",
    "ReduceL2": "SUM",
    "ReduceSumSquare": "SUM",
}
SQUARED = ("ReduceL2", "ReduceSumSquare")


def lower_reduction(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    value, *rest = node.inputs
    assert value is not None
    result, rank = node.outputs[0], len(graph.shape_of(value))
    chosen = graph.integers(rest[0]) if rest and rest[0] is not None else attribute(node, "axes")
    if chosen is None and rest and rest[0] is not None:
        refuse(node, "its axes are computed")
    given, kind = graph.tensor(value), node.op_type
    if not chosen and attribute(node, "noop_with_empty_axes", 0):
        if kind in SQUARED:
            refuse(node, "it squares and sums over no axis")
        graph.same(result, given)
        return
    axes = sorted({axis % rank for axis in chosen}) if chosen else list(range(rank))
    if kind in SQUARED:
        given = graph.emit("MUL", [given, given], graph.between(result, "square", graph.shape(given)), "Mul")
    keep = bool(attribute(node, "keepdims", 1))
    rooted = kind == "ReduceL2"
    output = graph.between(result, "sum", graph.shape_of(result)) if rooted else graph.result(result)
    graph.emit(KINDS[kind], [given, graph.index(f"axes {axes}", axes)], output, "Reducer", keepDims=keep)
    if rooted:
        graph.emit("SQRT", [output], graph.result(result))


def lower_arg(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """LiteRT's keep no axis of one, and find the first of equals."""
    from edgeslm.formats.tflite import schema

    (value,) = node.inputs
    assert value is not None
    if attribute(node, "select_last_index", 0):
        refuse(node, "LiteRT finds the first of equals, not the last")
    kind, options = {"ArgMax": ("ARG_MAX", "ArgMax"), "ArgMin": ("ARG_MIN", "ArgMin")}[node.op_type]
    result, shape = node.outputs[0], graph.shape_of(value)
    axis = axis_of(node, len(shape), 0)
    inputs = [graph.tensor(value), graph.index(f"axis {axis}", [axis])]
    if not attribute(node, "keepdims", 1):
        graph.emit(kind, inputs, graph.result(result), options, outputType=schema().TensorType.INT32)
        return
    flat = graph.between(result, "flat", [*shape[:axis], *shape[axis + 1 :]], graph.type_of(result))
    graph.emit(kind, inputs, flat, options, outputType=schema().TensorType.INT32)
    graph.reshaped(flat, graph.shape_of(result), str(result.name), graph.result(result))


def lower_running_sum(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    value, along = node.inputs
    assert value is not None
    axes = graph.integers(along)
    if axes is None:
        refuse(node, "its axis is computed")
    axis = axes[0] % len(graph.shape_of(value))
    exclusive, reverse = (bool(attribute(node, name, 0)) for name in ("exclusive", "reverse"))
    inputs = [graph.tensor(value), graph.index(f"axis {axis}", [axis])]
    graph.emit("CUMSUM", inputs, graph.result(node.outputs[0]), "Cumsum", exclusive=exclusive, reverse=reverse)
