"""Which ids a caller may give: how many rows the tables have that an input names."""

from __future__ import annotations

from edgeslm.ir.graph import Graph
from edgeslm.ir.nodes import Concat, Embedding, Gather, Reshape, Slice, Transpose

MOVES = (Reshape, Transpose, Slice, Concat)


def most_ids(graph: Graph) -> dict[str, int]:
    """Input -> the fewest rows of those tables; an input that names no rows is not there."""
    least: dict[str, int] = {}
    for node in reversed(graph.nodes):
        if isinstance(node.kind, Embedding | Gather):
            axis = node.kind.axis if isinstance(node.kind, Gather) else 0
            _limit(least, node.inputs[1], graph.tensor(node.inputs[0]).shape[axis])
        elif isinstance(node.kind, MOVES) and node.name in least:
            for name in node.inputs:
                _limit(least, name, least[node.name])
    return {tensor.name: least[tensor.name] for tensor in graph.inputs if tensor.name in least}


def _limit(least: dict[str, int], name: str, rows: int) -> None:
    least[name] = min(rows, least.get(name, rows))
