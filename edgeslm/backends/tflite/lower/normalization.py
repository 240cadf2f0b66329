"""LayerNormalization, which LiteRT has no kernel for, in operators that XNNPACK runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute, axis_of, refuse

if TYPE_CHECKING:
    import onnx_ir


def lower_layer_normalization(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, over the axes from `axis` on."""
    value, scale, *rest = node.inputs
    assert value is not None
    assert scale is not None
    bias = rest[0] if rest else None
    result, shape = node.outputs[0], graph.shape_of(value)
    if any(extra.uses() or extra.is_graph_output() for extra in node.outputs[1:]):
        refuse(node, "mean and deviation are read apart from the result")
    axes = list(range(axis_of(node, len(shape), -1), len(shape)))
    summed = [1 if axis in axes else extent for axis, extent in enumerate(shape)]
    over = graph.index(f"axes {axes}", axes)
    epsilon = np.array(attribute(node, "epsilon", 1e-5), dtype=np.float32)

    def between(step: str, extents: list[int] | tuple[int, ...]) -> int:
        return graph.between(result, step, extents)

    def mean(tensor: int, step: str) -> int:
        return graph.emit("MEAN", [tensor, over], between(step, summed), "Reducer", keepDims=True)

    given = graph.tensor(value)
    center = mean(given, "mean")
    centered = graph.emit("SUB", [given, center], between("centered", shape), "Sub")
    variance = mean(graph.emit("MUL", [centered, centered], between("square", shape), "Mul"), "variance")
    steady = [variance, graph.constant_of(f"epsilon {epsilon:.9g}", epsilon)]
    deviation = graph.emit("ADD", steady, between("steady", summed), "Add")
    share = graph.emit("RSQRT", [deviation], between("share", summed))
    factors = [share]
    weights = graph.values(scale)
    if weights is None or not bool((weights == 1).all()):
        factors.append(graph.tensor(scale))
    steps = [("MUL", "Mul", factor) for factor in factors]
    if bias is not None:
        steps.append(("ADD", "Add", graph.tensor(bias)))
    made = centered
    for place, (kind, options, operand) in enumerate(steps):
        output = graph.result(result) if place == len(steps) - 1 else between(f"step{place}", shape)
        made = graph.emit(kind, [made, operand], output, options)
