"""Attention of a whole text over itself (Vaswani et al. 2017), with a mask of its tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeslm.ir.graph import Graph, Node, Tensor
from edgeslm.ir.match import examples, inputs_behind, is_equal, made_by, pairs, unscaled, unviewed
from edgeslm.ir.nodes import Attention, MatMul, Reshape, Softmax, Transpose
from edgeslm.ir.rewrite import Change, rewrite

HEADS_FIRST, TURNED = Transpose((0, 2, 1, 3)), Transpose((0, 2, 3, 1))  # (1, T, H, E) -> (1, H, T, E), (1, H, E, T)


def fuse_attention(graph: Graph) -> Graph:
    return rewrite(graph, _attention)


def _attention(node: Node, graph: Graph) -> Change | None:
    """From the node that puts the heads' results side by side again, back to the rows of queries, keys and values."""
    mixed = made_by(graph, node.inputs[0], MatMul) if node.kind == HEADS_FIRST else None
    shares = made_by(graph, mixed.inputs[0], Softmax()) if mixed is not None else None
    value = made_by(graph, mixed.inputs[1], HEADS_FIRST) if mixed is not None else None
    if shares is None or value is None or len(node.output.shape) != 4:
        return None
    for score, mask in _masked(graph, shares.inputs[0]):
        product, scale = unscaled(graph, score)
        matmul = made_by(graph, product, MatMul)
        if matmul is None:
            continue
        query, key = (unscaled(graph, one) for one in matmul.inputs)
        turned = made_by(graph, query[0], HEADS_FIRST), made_by(graph, key[0], TURNED)
        if turned[0] is None or turned[1] is None:
            continue
        plain = [unscaled(graph, unviewed(graph, one.inputs[0])) for one in (turned[0], turned[1])]
        rows = [*(name for name, _ in plain), unviewed(graph, value.inputs[0])]
        total = scale * query[1] * key[1] * plain[0][1] * plain[1][1]
        made = _written(graph, node, rows, mask, total)
        if made is not None:
            return made
    return None


def _masked(graph: Graph, name: str) -> list[tuple[str, str | None]]:
    """(scores, the mask of tokens that what is added to them is computed from, if any)."""
    found: list[tuple[str, str | None]] = [(name, None)]
    for score, added in pairs(graph.producer(name), "add"):
        behind = inputs_behind(graph, added)
        if len(behind) == 1:
            found.append((score, behind.pop()))
    return found


def _written(graph: Graph, node: Node, rows: list[str], mask: str | None, scale: float) -> list[Node] | None:
    _, tokens, heads, dim = node.output.shape
    widths = [graph.tensor(name).elements // tokens for name in rows]
    if widths != [heads * dim] * 3 or (mask is not None and graph.tensor(mask).shape != (1, tokens)):
        return None
    made: list[Node] = []
    for role, name in zip(("query", "key", "value"), rows, strict=True):
        output = Tensor(f"{node.name}/{role}", (1, tokens, heads * dim))
        made.append(replace(node, kind=Reshape(), inputs=(name,), output=output))
    given = (*(one.name for one in made), *([mask] if mask is not None else []))
    flat = Tensor(f"{node.name}/attended", (1, tokens, heads * dim))
    made.append(replace(node, kind=Attention(heads, heads, dim, scale), inputs=given, output=flat))
    made.append(replace(node, kind=Reshape(), inputs=(flat.name,)))
    arrays = examples(graph, rows)
    masks = [np.zeros((1, tokens), np.int32) for _ in range(2 if mask is not None else 1)]
    for place, one in enumerate(masks):
        one[0, : 1 + place * tokens // 2] = 1
    cases = [arrays | ({mask: one} if mask is not None else {}) for one in masks]
    return made if is_equal(graph, node.name, made, cases) else None
