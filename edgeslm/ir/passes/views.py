"""Fewer reshapes: of two in a row one, of those that change nothing none."""

from __future__ import annotations

from dataclasses import replace

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.match import made_by
from edgeslm.ir.nodes import Broadcast, Cast, Reshape, Slice, Transpose
from edgeslm.ir.rewrite import Change, until_settled


def simplify_views(graph: Graph) -> Graph:
    return until_settled(graph, _simpler)


def _simpler(node: Node, graph: Graph) -> Change | None:
    x = graph.tensor(node.inputs[0]) if node.inputs else node.output
    same = x.shape == node.output.shape and x.dtype == node.output.dtype
    if same and isinstance(node.kind, Reshape | Slice | Broadcast | Cast):
        return x.name if x.quantization == node.output.quantization and node.name not in graph.outputs else None
    if isinstance(node.kind, Transpose):
        order = [axis for axis in node.kind.order if x.shape[axis] > 1]
        return [replace(node, kind=Reshape())] if order == sorted(order) else None
    inner = made_by(graph, x.name, Reshape) if isinstance(node.kind, Reshape) else None
    return [replace(node, inputs=inner.inputs)] if inner is not None else None
