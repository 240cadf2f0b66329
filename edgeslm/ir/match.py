"""Looking backwards in a graph for the forms that things are written in, and holding two forms against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.interpret import Interpreter
from edgeslm.ir.nodes import Binary, Kind, Reshape, Scale
from edgeslm.ir.rewrite import drop_unread

Arrays = Mapping[str, NDArray[Any]]
CLOSE = 1e-3
"""Of two forms of one thing, relative to the largest number: what differs in meaning differs by more."""


def made_by(graph: Graph, name: str, *kinds: Kind | type[Kind]) -> Node | None:
    """The node that makes the value, where it is one of these: a kind with its attributes, or any of a class."""
    node = graph.producer(name)
    if node is None or not any(
        isinstance(node.kind, one) if isinstance(one, type) else node.kind == one for one in kinds
    ):
        return None
    return node


def pairs(node: Node | None, function: str) -> Iterator[tuple[str, str]]:
    """Both orders of the operands of a commutative node; none where it is another."""
    if node is not None and isinstance(node.kind, Binary) and node.kind.function == function:
        first, second = node.inputs
        yield first, second
        yield second, first


def number(graph: Graph, name: str) -> float | None:
    """The value of a constant of one element, as the shortest decimal of its float32."""
    constant = graph.constant(name)
    if constant is None or constant.tensor.elements != 1 or constant.tensor.quantization is not None:
        return None
    return float(str(np.float32(constant.read().reshape(-1)[0])))


def is_near(found: float | None, wanted: float, tolerance: float = 1e-4) -> bool:
    return found is not None and abs(found - wanted) <= tolerance * abs(wanted)


def unscaled(graph: Graph, name: str) -> tuple[str, float]:
    """What a value is a multiple of, and the factor; the value itself and 1 where nobody scales it."""
    node = graph.producer(name)
    if node is not None and isinstance(node.kind, Scale) and node.kind.offset == 0:
        return node.inputs[0], node.kind.factor
    return name, 1.0


def unviewed(graph: Graph, name: str) -> str:
    """The value before it was reshaped."""
    while (node := made_by(graph, name, Reshape)) is not None:
        name = node.inputs[0]
    return name


def inputs_behind(graph: Graph, name: str) -> set[str]:
    """The inputs and states that a value is computed from."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [name]
    given = {one.name for one in (*graph.inputs, *graph.states)}
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if one in given:
            found.add(one)
        node = graph.producer(one)
        waiting += node.inputs if node is not None else ()
    return found


def between(graph: Graph, outputs: Sequence[str], leaves: Sequence[str]) -> Graph:
    """The part of a graph that makes `outputs` from `leaves` and constants; inputs that it needs besides stay."""
    inputs = {one.name: one for one in graph.inputs} | {name: graph.tensor(name) for name in leaves}
    kept = tuple(node for node in graph.nodes if node.name not in leaves)
    part = drop_unread(replace(graph, inputs=tuple(inputs.values()), nodes=kept, outputs=tuple(outputs)))
    read = {name for node in part.nodes for name in node.inputs} | set(outputs)
    return replace(part, inputs=tuple(one for one in part.inputs if one.name in read or one.name in leaves))


def is_equal(graph: Graph, name: str, made: Sequence[Node], given: Sequence[Arrays]) -> bool:
    """Whether new nodes, the last of which makes the value instead, give the same numbers for all `given`.

    `given` has an array for each value that the two forms are to be computed from.
    """
    for arrays in given:
        old = between(graph, [name], list(arrays))
        if not {one.name for one in old.inputs} <= arrays.keys():
            return False
        new = replace(old, nodes=tuple(made), constants=graph.constants)
        expected, found = (Interpreter(drop_unread(one)).run(arrays)[name] for one in (old, new))
        largest = np.abs(expected).max(initial=0)
        if not np.abs(expected - found).max(initial=0) <= CLOSE * max(largest, 1e-6):
            return False
    return True


def examples(graph: Graph, names: Sequence[str], seed: int = 0) -> dict[str, NDArray[Any]]:
    """Random numbers for float values, always the same."""
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(graph.tensor(name).shape).astype(np.float32) for name in names}
