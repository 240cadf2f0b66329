"""Changing a graph: a rule looks at one node after the other, and what nobody reads afterwards is dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from edgeslm.ir.graph import Constant, Graph, Node, Tensor, reject_broken

Change = str | Sequence[Node | Constant | Tensor]
"""The name of a value that exists already, or what makes the node's value: nodes, the last of which has its name, with
constants and states (a Tensor) that they read."""
Rule = Callable[[Node, Graph], Change | None]
"""What a node is replaced with, or None where it stays. The graph is the one before any replacement."""


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """The graph after the rule has seen all nodes, in order. What replaces a node may read any value made before it.

    A value that is handed out by the graph keeps its node: it has a name that others know.
    """
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    constants, states = list(graph.constants), list(graph.states)
    for node in graph.nodes:
        change = rule(node, graph)
        made: Sequence[Node | Constant | Tensor] = (node,)
        if isinstance(change, str):
            if node.name not in graph.outputs:
                renamed[node.name] = renamed.get(change, change)
                continue
        elif change is not None:
            made = change
        for one in made:
            if isinstance(one, Constant):
                constants.append(one)
            elif isinstance(one, Tensor):
                states.append(one)
            else:
                nodes.append(replace(one, inputs=tuple(renamed.get(name, name) for name in one.inputs)))
    return drop_unread(replace(graph, states=tuple(states), constants=tuple(constants), nodes=tuple(nodes)))


def until_settled(graph: Graph, rule: Rule) -> Graph:
    """The rule again and again, until it changes nothing."""
    while (changed := rewrite(graph, rule)) != graph:
        graph = changed
    return graph


def fix_input(graph: Graph, name: str, values: NDArray[Any]) -> Graph:
    """The graph of callers who always give this input the same values. To be done before the passes."""
    tensor = graph.tensor(name)
    assert values.shape == tensor.shape, f"{name} is {tensor.shape}, {values.shape} is given"
    return replace(
        graph,
        inputs=tuple(one for one in graph.inputs if one.name != name),
        constants=(*graph.constants, Constant(tensor, read=lambda: values)),
    )


def drop_unread(graph: Graph) -> Graph:
    """Without nodes, constants and states that no output needs. Inputs stay: they are what a caller gives."""
    wanted = set(graph.outputs)
    nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if node.name in wanted:
            nodes.append(node)
            wanted.update(node.inputs)
            wanted.update(node.kind.states)
    kept = replace(
        graph,
        states=tuple(one for one in graph.states if one.name in wanted),
        constants=tuple(one for one in graph.constants if one.name in wanted),
        nodes=tuple(reversed(nodes)),
    )
    reject_broken(kept)
    return kept
