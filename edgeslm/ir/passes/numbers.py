"""Arithmetic with single numbers, in one form: `Scale`, `square`, `rsqrt`."""

from __future__ import annotations

from dataclasses import replace

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.match import made_by, number
from edgeslm.ir.nodes import Binary, Scale, Unary
from edgeslm.ir.rewrite import Change, rewrite, until_settled


def simplify_numbers(graph: Graph) -> Graph:
    """x · c, x / c, x + c, x - c and c - x are Scales, one Scale of another is one, unless others read that; x · x and
    x² are squares, 1 / sqrt(x) is rsqrt(x)."""
    return until_settled(rewrite(graph, _simpler), _joined)


def _simpler(node: Node, graph: Graph) -> Change | None:
    kind = node.kind
    if not isinstance(kind, Binary):
        return _root(node, graph)
    first, second = node.inputs
    if first == second and kind.function == "mul":
        return [replace(node, kind=Unary("square"), inputs=(first,))]
    given = graph.tensor(first), graph.tensor(second)
    for place, constant in ((1, second), (0, first)):
        x, factor = node.inputs[1 - place], number(graph, constant)
        if factor is None or given[1 - place].shape != node.output.shape or given[1 - place].dtype != "float32":
            continue
        if place == 1 and kind.function == "pow" and factor == 2:
            return [replace(node, kind=Unary("square"), inputs=(x,))]
        if place == 0 and kind.function == "div" and factor == 1:
            return _root(replace(node, kind=Unary("reciprocal"), inputs=(x,)), graph) or [
                replace(node, kind=Unary("reciprocal"), inputs=(x,))
            ]
        scale = _scale(kind.function, factor, constant_last=place == 1)
        if scale is not None:
            return [replace(node, kind=scale, inputs=(x,))]
    root = made_by(graph, second, Unary("sqrt"))
    if kind.function == "div" and root is not None:
        turned = replace(root, kind=Unary("rsqrt"), output=replace(root.output, name=f"{node.name}/rsqrt"))
        return [turned, replace(node, kind=Binary("mul"), inputs=(first, turned.name))]
    return None


def _scale(function: str, number: float, *, constant_last: bool) -> Scale | None:
    if function == "mul":
        return Scale(number)
    if function == "add":
        return Scale(1.0, number)
    if function == "sub":
        return Scale(1.0, -number) if constant_last else Scale(-1.0, number)
    return Scale(1 / number) if function == "div" and constant_last and number else None


def _root(node: Node, graph: Graph) -> Change | None:
    if node.kind == Unary("reciprocal"):
        root = made_by(graph, node.inputs[0], Unary("sqrt"))
        if root is not None:
            return [replace(node, kind=Unary("rsqrt"), inputs=root.inputs)]
    return None


def _joined(node: Node, graph: Graph) -> Change | None:
    if not isinstance(node.kind, Scale):
        return None
    inner = made_by(graph, node.inputs[0], Scale)
    if inner is None or len(graph.readers(inner.name)) > 1 or inner.name in graph.outputs:
        return None
    assert isinstance(inner.kind, Scale)
    outer = node.kind
    joined = Scale(outer.factor * inner.kind.factor, outer.factor * inner.kind.offset + outer.offset)
    return [replace(node, kind=joined, inputs=inner.inputs)]
