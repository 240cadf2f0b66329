"""Rotary positions (Su et al. 2021): x · cos + turned(x) · sin, with rows of a table for the token's position."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.match import examples, is_equal, made_by, pairs, unviewed
from edgeslm.ir.nodes import Concat, Embedding, Rotary, Slice
from edgeslm.ir.rewrite import Change, rewrite


def fuse_rotary(graph: Graph) -> Graph:
    known: dict[str, Rotary | None] = {}

    def rule(node: Node, graph: Graph) -> Change | None:
        return _rotary(node, graph, known)

    return rewrite(graph, rule)


def _rotary(node: Node, graph: Graph, known: dict[str, Rotary | None]) -> Change | None:
    """`known`: what each table that was met says."""
    if len(node.output.shape) != 3:
        return None
    for first, second in pairs(node, "add"):
        for x, cos in pairs(graph.producer(first), "mul"):
            row = _row(graph, cos)
            if row is None or not any(_is_turned(graph, one, x) for one, _ in pairs(graph.producer(second), "mul")):
                continue
            table, position = row.inputs
            if table not in known:
                known[table] = _frequencies(graph, table, node.output.shape[-1])
            kind = known[table]
            made = None if kind is None else replace(node, kind=kind, inputs=(x, position))
            if made is not None and _is_confirmed(graph, made, table):
                return [made]
    return None


def _row(graph: Graph, name: str) -> Node | None:
    """The look-up whose row the value is the first half of."""
    half = made_by(graph, name, Slice)
    return made_by(graph, unviewed(graph, half.inputs[0]), Embedding) if half is not None else None


def _is_turned(graph: Graph, name: str, x: str) -> bool:
    """Whether the value is x in another order."""
    joined = made_by(graph, name, Concat)
    return joined is not None and all(
        (part := made_by(graph, one, Slice)) is not None and part.inputs == (x,) for one in joined.inputs
    )


def _frequencies(graph: Graph, table: str, dim: int) -> Rotary | None:
    """What a table (positions, 2E) of cosines, then sines with their signs, was made from.

    An angle at position p has p · frequency rounded to float32, and there is no rounding where p is a power of two: so
    the frequency comes from the furthest of them, which is reached by doubling, so as not to lose count of the turns.
    """
    constant = graph.constant(table)
    if constant is None:
        return None
    values = constant.read().astype(np.float64)
    if len(values) < 2 or values.shape[1] != 2 * dim:
        return None
    cos, sin = values[:, :dim], values[:, dim:]
    half = int(np.count_nonzero(np.abs(sin).max(axis=0))) // 2
    scale = float(np.float32(np.hypot(cos[1, 0], sin[1, half])))
    if half == 0 or scale == 0:
        return None
    turned = np.arctan2(sin[:, half : 2 * half], cos[:, :half])
    found, place = turned[1], 1
    while 2 * place < len(values):
        place *= 2
        found = _nearest_turn(turned[place], place * found) / place
    return Rotary(tuple(float(one) for one in found.astype(np.float32)), scale)


def _nearest_turn(angle: NDArray[Any], expected: NDArray[Any]) -> NDArray[Any]:
    """The angle, whole turns further, that is nearest to the expected one."""
    turns: NDArray[Any] = angle + 2 * math.pi * np.rint((expected - angle) / (2 * math.pi))
    return turns


def _is_confirmed(graph: Graph, made: Node, table: str) -> bool:
    """At the first, the last and a middle position."""
    x, position = made.inputs
    last = graph.tensor(table).shape[0] - 1
    given = [{**examples(graph, [x]), position: np.array([place], np.int32)} for place in (0, 1, last // 2, last)]
    return is_equal(graph, made.name, [made], given)
