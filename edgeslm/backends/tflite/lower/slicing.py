"""Taking tensors apart and putting them together along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute, axis_of, refuse

if TYPE_CHECKING:
    import onnx_ir


def lower_slice(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    value, *given = node.inputs
    assert value is not None
    numbers = [graph.integers(one) for one in given]
    if any(one is not None and known is None for one, known in zip(given, numbers, strict=True)):
        refuse(node, "where it begins or ends is computed")
    starts, ends, axes, steps = (*numbers, None, None)[:4]
    shape = graph.shape_of(value)
    if starts is None or ends is None:
        refuse(node, "it names no beginning or no end")
    first, last, stride = [0] * len(shape), list(shape), [1] * len(shape)
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = axes[place] % len(shape) if axes is not None else place
        step = steps[place] if steps is not None else 1
        if step < 1:
            refuse(node, f"a step of {step} along axis {axis}")
        kept = range(*slice(start, end, step).indices(shape[axis]))
        first[axis], last[axis], stride[axis] = kept.start, max(kept.stop, kept.start), step
    result, tensor = node.outputs[0], graph.tensor(value)
    if graph.shape(tensor) == graph.shape_of(result):
        graph.same(result, tensor)
    elif set(stride) == {1}:
        _cut(graph, tensor, first, graph.shape_of(result), str(result.name), graph.result(result))
    else:
        bounds = [graph.index(f"{result.name}/{what}", x) for what, x in (("b", first), ("e", last), ("s", stride))]
        graph.emit("STRIDED_SLICE", [tensor, *bounds], graph.result(result), "StridedSlice")


def lower_split(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """A slice for each part: parts need not be equal, nor all be read."""
    value = node.inputs[0]
    assert value is not None
    shape = graph.shape_of(value)
    axis, begin = axis_of(node, len(shape), 0), 0
    for part in node.outputs:
        size = graph.shape_of(part)
        if part.uses() or part.is_graph_output():
            first = [begin if place == axis else 0 for place in range(len(shape))]
            _cut(graph, graph.tensor(value), first, size, str(part.name), graph.result(part))
        begin += size[axis]


def lower_concat(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    parts = [value for value in node.inputs if value is not None and 0 not in graph.shape_of(value)]
    result = node.outputs[0]
    axis = axis_of(node, len(graph.shape_of(result)), 0)
    tensors = [graph.tensor(value) for value in parts]
    graph.emit("CONCATENATION", tensors, graph.result(result), "Concatenation", axis=axis)


def lower_pad(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    value, amounts, *rest = node.inputs
    assert value is not None
    filler, chosen = (*rest, None, None)[:2]
    shape, counts, mode = graph.shape_of(value), graph.integers(amounts), attribute(node, "mode", "constant")
    axes = graph.integers(chosen) if chosen is not None else list(range(len(shape)))
    if counts is None or axes is None:
        refuse(node, "how much it pads is computed")
    if mode != "constant" or min(counts, default=0) < 0:
        refuse(node, f"mode {mode} by {counts}")
    around = np.zeros((len(shape), 2), dtype=np.int32)
    for place, axis in enumerate(axes):
        around[axis % len(shape)] = counts[place], counts[place + len(axes)]
    result, tensor = node.outputs[0], graph.tensor(value)
    inputs = [tensor, graph.index(f"{result.name}/amounts", around)]
    known = graph.values(filler)
    if filler is None or (known is not None and not known.any()):
        graph.emit("PAD", inputs, graph.result(result), "Pad")
    else:
        graph.emit("PADV2", [*inputs, graph.tensor(filler)], graph.result(result), "PadV2")


def lower_scatter(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """Rows put in the place of others: each row of the result is one of either, read from both joined."""
    value, ids, updates = node.inputs
    assert value is not None
    assert updates is not None
    places, shape = graph.values(ids), graph.shape_of(value)
    if places is None or places.shape[-1] != 1 or attribute(node, "reduction", "none") != "none":
        refuse(node, "it puts more or less than whole rows, or at places that are computed")
    rows = places.reshape(-1)
    source = np.arange(shape[0], dtype=np.int32)
    source[rows] = shape[0] + np.arange(len(rows), dtype=np.int32)
    result = node.outputs[0]
    news = graph.reshaped(graph.tensor(updates), [len(rows), *shape[1:]], f"{result.name}/rows")
    joined = graph.between(result, "joined", [shape[0] + len(rows), *shape[1:]], graph.type_of(value))
    graph.emit("CONCATENATION", [graph.tensor(value), news], joined, "Concatenation", axis=0)
    taken = graph.index(f"{result.name}/taken", source)
    graph.emit("GATHER", [joined, taken], graph.result(result), "Gather", axis=0, batchDims=0)


def _cut(graph: LoweringGraph, tensor: int, first: Sequence[int], size: Sequence[int], name: str, output: int) -> None:
    bounds = [graph.index(f"{name}/begin", first), graph.index(f"{name}/size", size)]
    graph.emit("SLICE", [tensor, *bounds], output, "Slice")
