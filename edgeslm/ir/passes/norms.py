"""RMSNorm (Zhang and Sennrich 2019), LayerNorm (Ba et al. 2016) and unit length, written out in plain arithmetic."""

from __future__ import annotations

from dataclasses import replace

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.match import made_by, number, pairs
from edgeslm.ir.nodes import Binary, LayerNorm, Reduce, RmsNorm, Scale, Unary, UnitNorm
from edgeslm.ir.rewrite import Change, rewrite


def fuse_norms(graph: Graph) -> Graph:
    for rule in (_rms_norm, _rms_weight, _layer_norm, _layer_bias, _unit_norm):
        graph = rewrite(graph, rule)
    return graph


def _rms_norm(node: Node, graph: Graph) -> Change | None:
    """x · rsqrt(mean(x²) + epsilon)."""
    for x, other in pairs(node, "mul"):
        root = made_by(graph, other, Unary("rsqrt"))
        steady = made_by(graph, root.inputs[0], Scale) if root is not None else None
        if steady is None or not isinstance(steady.kind, Scale) or steady.kind.factor != 1:
            continue
        mean = _reduced(graph, steady.inputs[0], "mean")
        square = made_by(graph, mean, Unary("square")) if mean is not None else None
        if square is not None and square.inputs == (x,):
            return [replace(node, kind=RmsNorm(steady.kind.offset), inputs=(x,))]
    return None


def _rms_weight(node: Node, graph: Graph) -> Change | None:
    for x, weight in pairs(node, "mul"):
        norm = made_by(graph, x, RmsNorm)
        if norm is None or len(norm.inputs) > 1 or len(graph.readers(x)) > 1 or not _is_vector(graph, weight, x):
            continue
        return [replace(node, kind=norm.kind, inputs=(*norm.inputs, weight))]
    return None


def _layer_norm(node: Node, graph: Graph) -> Change | None:
    """The RMSNorm of x - mean(x)."""
    if not isinstance(node.kind, RmsNorm) or len(node.inputs) < 2:
        return None
    centered = made_by(graph, node.inputs[0], Binary("sub"))
    if centered is None or _reduced(graph, centered.inputs[1], "mean") != centered.inputs[0]:
        return None
    return [replace(node, kind=LayerNorm(node.kind.epsilon), inputs=(centered.inputs[0], node.inputs[1]))]


def _layer_bias(node: Node, graph: Graph) -> Change | None:
    for x, bias in pairs(node, "add"):
        norm = made_by(graph, x, LayerNorm)
        if norm is not None and len(norm.inputs) == 2 and len(graph.readers(x)) == 1 and _is_vector(graph, bias, x):
            return [replace(node, kind=norm.kind, inputs=(*norm.inputs, bias))]
    return None


def _unit_norm(node: Node, graph: Graph) -> Change | None:
    """x / max(sqrt(sum(x²)), least)."""
    if node.kind != Binary("div"):
        return None
    x, divisor = node.inputs
    for length, least in pairs(graph.producer(divisor), "max"):
        root, limit = made_by(graph, length, Unary("sqrt")), number(graph, least)
        total = _reduced(graph, root.inputs[0], "sum") if root is not None else None
        square = made_by(graph, total, Unary("square")) if total is not None else None
        if limit is not None and square is not None and square.inputs == (x,):
            return [replace(node, kind=UnitNorm(limit), inputs=(x,))]
    return None


def _reduced(graph: Graph, name: str, function: str) -> str | None:
    """What the value is the mean or sum of along its last axis, kept as 1."""
    node = made_by(graph, name, Reduce)
    if node is None or not isinstance(node.kind, Reduce):
        return None
    last = len(node.output.shape) - 1
    return node.inputs[0] if (node.kind.function, node.kind.axes, node.kind.keep) == (function, (last,), True) else None


def _is_vector(graph: Graph, name: str, x: str) -> bool:
    constant = graph.constant(name)
    return constant is not None and constant.tensor.shape == graph.tensor(x).shape[-1:]
