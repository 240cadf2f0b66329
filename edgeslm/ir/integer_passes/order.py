"""Functions of one number are computed before elements are moved, where nobody else sees the difference: limits then
meet what makes the numbers, and tables each other."""

from __future__ import annotations

from dataclasses import replace

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.nodes import Clamp, Quantize, Reshape, Transpose, Unary
from edgeslm.ir.rewrite import Change, until_settled


def limit_before_views(graph: Graph) -> Graph:
    return until_settled(graph, _swapped)


def _swapped(node: Node, graph: Graph) -> Change | None:
    view = graph.producer(node.inputs[0]) if isinstance(node.kind, Clamp | Quantize | Unary) else None
    if view is None or not isinstance(view.kind, Reshape | Transpose) or len(graph.readers(view.name)) > 1:
        return None
    x = graph.tensor(view.inputs[0])
    if view.name in graph.outputs or x.quantization != view.output.quantization or x.dtype != "int8":
        return None
    if node.output.dtype != "int8":
        return None
    inner = replace(node.output, name=f"{node.name}#before", shape=x.shape)
    return [replace(node, inputs=(x.name,), output=inner), replace(view, inputs=(inner.name,), output=node.output)]
