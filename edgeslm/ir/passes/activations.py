"""GELU (Hendrycks and Gimpel 2016) and SiLU written out, gated units (Shazeer 2020), soft caps (Gemma 2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import cast, get_args

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.match import is_near, made_by, number, pairs, unscaled
from edgeslm.ir.nodes import Activation, Binary, Gated, Scale, SoftCap, Unary
from edgeslm.ir.rewrite import Change, rewrite


def fuse_activations(graph: Graph) -> Graph:
    for rule in (_gelu, _silu, _soft_cap, _gated):
        graph = rewrite(graph, rule)
    return graph


def _gelu(node: Node, graph: Graph) -> Change | None:
    """x · 0.5 · (1 + f(x)), the half with any of its factors, f by erf or tanh as GELU has them."""
    for factors, half in _products(graph, node):
        for x, bell in (factors, factors[::-1]):
            scale, sum_of = made_by(graph, bell, Scale), None
            if scale is not None and isinstance(scale.kind, Scale):
                # half · (1 + f) may have become one Scale, with both its numbers the same.
                sum_of, own = scale.inputs[0], scale.kind.offset
                if scale.kind.factor != own or not is_near(half * own, 0.5):
                    continue
            function = _bell(graph, sum_of, x) if sum_of is not None else None
            if function is not None:
                return [replace(node, kind=Unary(function), inputs=(x,))]
    return None


def _products(graph: Graph, node: Node) -> Iterator[tuple[tuple[str, str], float]]:
    """Two factors of the node, and the number it is multiplied with besides."""
    if isinstance(node.kind, Scale) and node.kind.offset == 0:
        inner = made_by(graph, node.inputs[0], Binary("mul"))
        if inner is not None:
            yield (inner.inputs[0], inner.inputs[1]), node.kind.factor
    for first, second in pairs(node, "mul"):
        yield (first, second), 1.0
        plain, factor = unscaled(graph, first)
        yield (plain, second), factor


def _bell(graph: Graph, name: str, x: str) -> Activation | None:
    """Which GELU f belongs to, where it is computed from x."""
    erf, tanh = made_by(graph, name, Unary("erf")), made_by(graph, name, Unary("tanh"))
    if erf is not None:
        given, factor = unscaled(graph, erf.inputs[0])
        return "gelu" if given == x and is_near(factor, math.sqrt(0.5)) else None
    if tanh is None:
        return None
    total, factor = unscaled(graph, tanh.inputs[0])
    for own, cubic in pairs(graph.producer(total), "add"):
        power, weight = unscaled(graph, cubic)
        if (
            own == x
            and is_near(factor, math.sqrt(2 / math.pi))
            and is_near(weight, 0.044715)
            and _is_cube(graph, power, x)
        ):
            return "gelu_tanh"
    return None


def _is_cube(graph: Graph, name: str, x: str) -> bool:
    power = made_by(graph, name, Binary("pow"))
    if power is not None:
        return power.inputs[0] == x and is_near(number(graph, power.inputs[1]), 3)
    return any(
        one == x and (square := made_by(graph, other, Unary("square"))) is not None and square.inputs == (x,)
        for one, other in pairs(graph.producer(name), "mul")
    )


def _silu(node: Node, graph: Graph) -> Change | None:
    """x · logistic(x)"""
    for x, other in pairs(node, "mul"):
        logistic = made_by(graph, other, Unary("logistic"))
        if logistic is not None and logistic.inputs == (x,):
            return [replace(node, kind=Unary("silu"), inputs=(x,))]
    return None


def _soft_cap(node: Node, graph: Graph) -> Change | None:
    """cap · tanh(x / cap)"""
    squashed, cap = unscaled(graph, node.name)
    tanh = made_by(graph, squashed, Unary("tanh"))
    if tanh is None or squashed == node.name:
        return None
    x, share = unscaled(graph, tanh.inputs[0])
    return [replace(node, kind=SoftCap(cap), inputs=(x,))] if is_near(cap * share, 1) else None


def _gated(node: Node, graph: Graph) -> Change | None:
    """activation(gate) · x"""
    for gate, x in pairs(node, "mul"):
        active = made_by(graph, gate, Unary)
        if active is None or not isinstance(active.kind, Unary) or active.kind.function not in get_args(Activation):
            continue
        if graph.tensor(x).shape == node.output.shape == active.output.shape and len(graph.readers(gate)) == 1:
            return [replace(node, kind=Gated(cast(Activation, active.kind.function)), inputs=(*active.inputs, x))]
    return None
