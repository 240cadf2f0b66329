"""Constants that are added one after the other are added up: types and positions of a text's tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeslm.ir.graph import Constant, Graph, Node
from edgeslm.ir.match import made_by, pairs
from edgeslm.ir.nodes import Binary
from edgeslm.ir.passes.fold_constants import computed
from edgeslm.ir.rewrite import Change, until_settled


def add_up_constants(graph: Graph) -> Graph:
    return until_settled(graph, _added_up)


def _added_up(node: Node, graph: Graph) -> Change | None:
    """(x + a) + b is x + (a + b)."""
    for total, last in pairs(node, "add"):
        for x, first in pairs(made_by(graph, total, Binary("add")), "add"):
            constants = graph.constant(first), graph.constant(last)
            if constants[0] is None or constants[1] is None or len(graph.readers(total)) > 1:
                continue
            both = _sum(node, constants[0], constants[1])
            return [both, replace(node, inputs=(x, both.name))]
    return None


def _sum(node: Node, first: Constant, last: Constant) -> Constant:
    shape = np.broadcast_shapes(first.tensor.shape, last.tensor.shape)
    output = replace(node.output, name=f"{node.name}/constant", shape=shape)
    return computed(Node(Binary("add"), (first.name, last.name), output), [first, last])
