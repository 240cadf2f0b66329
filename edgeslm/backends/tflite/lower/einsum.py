"""Einsum of two tensors: axes brought into the order that BATCH_MATMUL wants, and back."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute, refuse

if TYPE_CHECKING:
    import onnx_ir


def lower_einsum(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """Axes in both and in the result are the batch, axes in both alone are summed over, the others stay apart."""
    equation = str(attribute(node, "equation", b"")).replace(" ", "")
    found = re.fullmatch(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]*)", equation)
    left, right = (*node.inputs, None)[:2]
    if found is None or left is None or right is None or any(len(set(part)) != len(part) for part in found.groups()):
        refuse(node, f"equation {equation}: two tensors, each axis once, are what it may be")
    first, second, made = found.groups()
    batch = [axis for axis in made if axis in first and axis in second]
    summed = [axis for axis in first if axis in second and axis not in made]
    rows = [axis for axis in first if axis not in second]
    columns = [axis for axis in second if axis not in first]
    if not set(rows + columns) <= set(made) or not summed:
        refuse(node, f"equation {equation}: it sums over an axis of one tensor alone, or over none of both")
    extents = dict(zip(first + second, (*graph.shape_of(left), *graph.shape_of(right)), strict=True))
    result = node.outputs[0]

    def size(axes: list[str]) -> int:
        return math.prod(extents[axis] for axis in axes)

    def arranged(tensor: int, given: str, middle: list[str], last: list[str], side: str) -> int:
        order = [given.index(axis) for axis in (*batch, *middle, *last)]
        if order != sorted(order):
            tensor = graph.transposed(tensor, order, f"{result.name}/{side}")
        return graph.reshaped(tensor, [size(batch), size(middle), size(last)], f"{result.name}/{side}/flat")

    a = arranged(graph.tensor(left), first, rows, summed, "left")
    b = arranged(graph.tensor(right), second, summed, columns, "right")
    product = graph.between(result, "product", [size(batch), size(rows), size(columns)])
    graph.emit("BATCH_MATMUL", [a, b], product, "BatchMatMul")
    order = [(*batch, *rows, *columns).index(axis) for axis in made]
    output = graph.result(result)
    if order == sorted(order):
        graph.reshaped(product, graph.shape(output), str(result.name), output)
        return
    apart = graph.reshaped(product, [extents[axis] for axis in (*batch, *rows, *columns)], f"{result.name}/apart")
    graph.transposed(apart, order, str(result.name), output)
