"""One row for a text: sentence-transformers' poolings, which form alone does not tell apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.match import examples, inputs_behind, is_equal, pairs
from edgeslm.ir.nodes import Binary, Pool, Pooling, Reduce
from edgeslm.ir.rewrite import Change, rewrite


def fuse_pooling(graph: Graph) -> Graph:
    return rewrite(graph, _pool)


def _pool(node: Node, graph: Graph) -> Change | None:
    """The mode whose numbers are those of what is written out."""
    for total in _totals(node, graph):
        weighted = graph.producer(total.inputs[0])
        for x, other in (*pairs(weighted, "mul"), *pairs(weighted, "add")):
            masks = inputs_behind(graph, other)
            if len(masks) != 1 or graph.constant(x) or graph.tensor(x).shape != graph.tensor(total.inputs[0]).shape:
                continue
            (mask,) = masks
            if graph.tensor(mask).shape != graph.tensor(x).shape[:2]:
                continue
            cases = _cases(graph, x, mask)
            for mode in get_args(Pooling):
                made = replace(node, kind=Pool(mode), inputs=(x, mask))
                if is_equal(graph, node.name, [made], cases):
                    return [made]
    return None


def _totals(node: Node, graph: Graph) -> list[Node]:
    """Sums over the tokens that the node may be a multiple of, or is."""
    divided = isinstance(node.kind, Binary) and node.kind.function in ("div", "mul")
    found = [graph.producer(name) for name in node.inputs] if divided else [node]
    return [
        one
        for one in found
        if one is not None
        and isinstance(one.kind, Reduce)
        and (one.kind.axes, one.kind.keep) == ((1,), False)
        and len(graph.tensor(one.inputs[0]).shape) == 3
    ]


def _cases(graph: Graph, x: str, mask: str) -> list[dict[str, Any]]:
    """Texts of half the tokens and of two: what is read of the others would show."""
    tokens = graph.tensor(mask).shape[1]
    return [
        {**examples(graph, [x]), mask: (np.arange(tokens)[None] < count).astype(np.int32)}
        for count in {max(tokens // 2, 1), min(2, tokens)}
    ]
