"""What follows from constants alone is a constant: computed when it is read, not before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from edgeslm.ir.graph import Constant, Graph, Node, Tensor
from edgeslm.ir.interpret import evaluate


def fold_constants(graph: Graph) -> Graph:
    known = {one.name: one for one in graph.constants}
    nodes: list[Node] = []
    for node in graph.nodes:
        given = [known[name] for name in node.inputs if name in known]
        if len(given) < len(node.inputs) or node.kind.states or node.name in graph.outputs:
            nodes.append(node)
        else:
            known[node.name] = computed(node, given)
    return replace(graph, nodes=tuple(nodes), constants=tuple(known.values()))


def computed(node: Node, given: list[Constant]) -> Constant:
    """The node's value, from constants."""
    parameters = tuple(dict.fromkeys(name for one in given for name in one.parameters))
    return Constant(node.output, parameters, read=_reader(node, given))


def _reader(node: Node, given: list[Constant]) -> Callable[[], NDArray[Any]]:
    tensors: list[Tensor] = [one.tensor for one in given]

    def read() -> NDArray[Any]:
        return evaluate(node, [one.read() for one in given], tensors, {})

    return read
