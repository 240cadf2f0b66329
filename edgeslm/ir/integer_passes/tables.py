"""Functions of one int8 (TANH, GELU, RSQRT, another scale, limits of what has none) are tables; of two in a row, one.

So is a sum or product with one known number, if it stands beside another function: a norm's epsilon before its root.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.ir.graph import Constant, Graph, Node, Tensor
from edgeslm.ir.integer_passes.limits import without_limits
from edgeslm.ir.interpret_integers import evaluate_integers
from edgeslm.ir.lookup_tables import table_of
from edgeslm.ir.nodes import Binary, Clamp, Quantize, Table, Unary
from edgeslm.ir.rewrite import Change, rewrite, until_settled

FUNCTIONS = (Clamp, Quantize, Unary)


def merge_tables(graph: Graph) -> Graph:
    return until_settled(until_settled(rewrite(graph, _as_table), _with_number), _merged)


def _as_table(node: Node, graph: Graph) -> Change | None:
    if not isinstance(node.kind, FUNCTIONS):
        return None
    x = graph.tensor(node.inputs[0])
    if (x.dtype, node.output.dtype) != ("int8", "int8"):
        return None
    kind = node.kind
    table = _constant(f"{node.name}#table", lambda: table_of(kind, x, node.output))
    return [table, replace(node, kind=Table(), inputs=(x.name, table.name))]


def _with_number(node: Node, graph: Graph) -> Change | None:
    if not isinstance(without_limits(node.kind)[0], Binary) or not _has_table_beside(node, graph):
        return None
    for place, name in enumerate(node.inputs):
        number, x = graph.constant(name), graph.tensor(node.inputs[1 - place])
        if number is None or number.tensor.elements != 1 or x.shape != node.output.shape or graph.constant(x.name):
            continue
        table = _constant(f"{node.name}#table", _values(node, x, number, place))
        return [table, replace(node, kind=Table(), inputs=(x.name, table.name))]
    return None


def _has_table_beside(node: Node, graph: Graph) -> bool:
    readers = graph.readers(node.name)
    made = [graph.producer(name) for name in node.inputs]
    is_read = len(readers) == 1 and isinstance(readers[0].kind, Table) and node.name not in graph.outputs
    return is_read or any(
        one is not None and isinstance(one.kind, Table) and graph.readers(one.name) == (node,) for one in made
    )


def _values(node: Node, x: Tensor, number: Constant, place: int) -> Callable[[], NDArray[Any]]:
    """Of the node with each int8 for x, by the reference."""
    every = replace(x, shape=(256,))
    over_all = replace(node, output=replace(node.output, shape=(256,)))

    def read() -> NDArray[Any]:
        operands = [np.arange(-128, 128, dtype=np.int8), number.read().astype(np.int8).reshape(1)]
        tensors = [every, number.tensor]
        if place == 0:
            operands, tensors = operands[::-1], tensors[::-1]
        return evaluate_integers(over_all, operands, tensors).astype(np.int8)

    return read


def _merged(node: Node, graph: Graph) -> Change | None:
    made = graph.producer(node.inputs[0]) if isinstance(node.kind, Table) else None
    if made is None or not isinstance(made.kind, Table):
        return None
    if len(graph.readers(made.name)) > 1 or made.name in graph.outputs:
        return None
    inner, outer = (_table_of(graph, one) for one in (made, node))
    table = _constant(f"{outer.name} of {inner.name}", lambda: outer.read()[inner.read().astype(np.int64) + 128])
    return [table, replace(node, inputs=(made.inputs[0], table.name))]


def _table_of(graph: Graph, node: Node) -> Constant:
    table = graph.constant(node.inputs[1])
    assert table is not None
    return table


def _constant(name: str, read: Callable[[], NDArray[Any]]) -> Constant:
    return Constant(Tensor(name, (256,), "int8"), read=read)
