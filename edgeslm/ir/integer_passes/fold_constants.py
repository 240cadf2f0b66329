"""What follows from constants alone is a constant: computed by the reference, when it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from edgeslm.ir.graph import Constant, Graph, Node
from edgeslm.ir.interpret_integers import evaluate_integers
from edgeslm.ir.rewrite import drop_unread


def fold_integer_constants(graph: Graph) -> Graph:
    """An output of the graph keeps its node."""
    known = {one.name: one for one in graph.constants}
    nodes: list[Node] = []
    for node in graph.nodes:
        given = [known[name] for name in node.inputs if name in known]
        if len(given) < len(node.inputs) or node.name in graph.outputs:
            nodes.append(node)
        else:
            known[node.name] = computed(node, given)
    return drop_unread(replace(graph, nodes=tuple(nodes), constants=tuple(known.values())))


def computed(node: Node, given: Sequence[Constant]) -> Constant:
    """The node's value, from constants."""

    def read() -> NDArray[Any]:
        operands = [one.read().astype(one.tensor.dtype, copy=False) for one in given]
        made = evaluate_integers(node, operands, [one.tensor for one in given])
        return made.astype(node.output.dtype, copy=False)

    return Constant(node.output, read=_once(read))


def _once(read: Callable[[], NDArray[Any]]) -> Callable[[], NDArray[Any]]:
    """A chain of constants is not computed again for each of its readers."""
    kept: list[NDArray[Any]] = []

    def values() -> NDArray[Any]:
        if not kept:
            kept.append(read())
        return kept[0]

    return values
