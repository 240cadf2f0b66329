"""A token's attention over a cache and itself, and the cache as a state.

The importer sees a cache (G, C, E) of keys and one (G, E, C) of values as inputs, and the token's own rows as outputs
(export/decoder_graph.py says why). Form tells which value plays which part; what a mask hides, the numbers tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.ir.graph import Graph, Node, Tensor
from edgeslm.ir.interpret import Interpreter
from edgeslm.ir.match import CLOSE, between, examples, made_by, pairs, unscaled, unviewed
from edgeslm.ir.nodes import CachedAttention, Concat, MatMul, Reduce, Reshape, Slice, SoftCap, Softmax, Transpose
from edgeslm.ir.rewrite import Change, drop_unread, rewrite

HIDDEN = -1e4
"""A score that is this far down has no share left."""


@dataclass(frozen=True)
class Parts:
    """The values that play the parts; `key` and `value` are the token's own, `mask` hides rows of the cache."""

    query: str
    key: str
    value: str
    key_cache: str
    value_cache: str
    mask: str
    scale: float
    cap: float | None


def fuse_cached_attention(graph: Graph) -> Graph:
    """Caches are states afterwards, no longer inputs; own rows are no outputs any more."""
    own: set[str] = set()
    caches: set[str] = set()
    count = 0

    def rule(node: Node, graph: Graph) -> Change | None:
        nonlocal count
        position = next((one.name for one in graph.inputs if one.name == "position" and one.shape == (1,)), None)
        parts = _find(node, graph)
        if parts is None or position is None:
            return None
        kind = _kind(graph, parts, position, count)
        made = _written(graph, node, parts, position, kind)
        shape = kind.kv_heads, graph.tensor(parts.key_cache).shape[1], kind.head_dim
        states = [Tensor(name, shape) for name in kind.states]
        if not _is_confirmed(graph, node, parts, position, made, states):
            return None
        count += 1
        own.update((parts.key, parts.value))
        caches.update((parts.key_cache, parts.value_cache))
        return [*states, *made]

    fused = rewrite(graph, rule)
    outputs = tuple(name for name in fused.outputs if unviewed(fused, name) not in own)
    fused = drop_unread(replace(fused, outputs=outputs))
    left = tuple(one for one in fused.inputs if one.name not in caches or fused.readers(one.name))
    return replace(fused, inputs=left)


def _find(node: Node, graph: Graph) -> Parts | None:
    """The shares of the cache's rows by the cache, plus the own share by the own row."""
    for cached, own in pairs(node, "add"):
        product = _product(graph, cached)
        for share, value in pairs(graph.producer(own), "mul"):
            if product is None or not _is_input(graph, product[1]):
                continue
            shares = [made_by(graph, unviewed(graph, one), Slice) for one in (product[0], share)]
            if shares[0] is None or shares[1] is None or shares[0].inputs != shares[1].inputs:
                continue
            found = _scores(graph, shares[0].inputs[0])
            if found is not None:
                return replace(found, value=unviewed(graph, value), value_cache=product[1])
    return None


def _scores(graph: Graph, name: str) -> Parts | None:
    """From the softmax back."""
    softmax = made_by(graph, name, Softmax())
    joined = made_by(graph, softmax.inputs[0], Concat) if softmax is not None else None
    if joined is None or len(joined.inputs) != 2:
        return None
    for masked, mask in pairs(graph.producer(joined.inputs[0]), "add"):
        score, cap = _uncapped(graph, masked)
        own_score, own_cap = _uncapped(graph, joined.inputs[1])
        product = _product(graph, score[0])
        if product is None or not _is_input(graph, product[1]) or (cap, score[1]) != (own_cap, own_score[1]):
            continue
        query = unviewed(graph, product[0])
        own = made_by(graph, own_score[0], Reduce)
        keys = (
            {key for key, one in pairs(graph.producer(own.inputs[0]), "mul") if unviewed(graph, one) == query}
            if own is not None
            else set()
        )
        if len(keys) == 1:
            plain, scale = unscaled(graph, query)
            rows = unviewed(graph, plain), unviewed(graph, keys.pop())
            return Parts(*rows, "", product[1], "", mask, scale * score[1], cap)
    return None


def _product(graph: Graph, name: str) -> tuple[str, str] | None:
    """(left, right) of left · rightᵀ over the last axes: as a product, or multiplied and summed up."""
    matmul = made_by(graph, name, MatMul)
    turned = made_by(graph, matmul.inputs[1], Transpose((0, 2, 1))) if matmul is not None else None
    if matmul is not None and turned is not None:
        return matmul.inputs[0], turned.inputs[0]
    total = made_by(graph, name, Reduce("sum", (2,), False), Reduce("sum", (2,), True))
    for right, left in pairs(graph.producer(total.inputs[0]), "mul") if total is not None else ():
        if _is_input(graph, right):
            return left, right
    return None


def _uncapped(graph: Graph, name: str) -> tuple[tuple[str, float], float | None]:
    """(the score before it was scaled, its scale), and the cap."""
    capped = made_by(graph, name, SoftCap)
    if capped is None or not isinstance(capped.kind, SoftCap):
        return unscaled(graph, name), None
    return unscaled(graph, capped.inputs[0]), capped.kind.cap


def _is_input(graph: Graph, name: str) -> bool:
    return any(one.name == name for one in graph.inputs)


def _kind(graph: Graph, parts: Parts, position: str, number: int) -> CachedAttention:
    groups, context, dim = graph.tensor(parts.key_cache).shape
    heads = graph.tensor(parts.query).elements // dim
    # How far the last position of the cache looks back says the window; all is confirmed afterwards.
    mask = Interpreter(between(graph, [parts.mask], [position])).run({position: np.array([context - 1], np.int32)})
    seen = int(np.count_nonzero(mask[parts.mask] > HIDDEN)) + 1
    window = seen if seen < context else None
    names = f"keys of attention {number}", f"values of attention {number}"
    return CachedAttention(*names, heads, groups, dim, parts.scale, window, parts.cap)


def _written(graph: Graph, node: Node, parts: Parts, position: str, kind: CachedAttention) -> list[Node]:
    made: list[Node] = []
    for role, name in (("query", parts.query), ("key", parts.key), ("value", parts.value)):
        output = Tensor(f"{node.name}/{role}", (1, graph.tensor(name).elements))
        made.append(replace(node, kind=Reshape(), inputs=(name,), output=output))
    flat = Tensor(f"{node.name}/attended", (1, node.output.elements))
    made.append(replace(node, kind=kind, inputs=(*(one.name for one in made), position), output=flat))
    return [*made, replace(node, kind=Reshape(), inputs=(flat.name,))]


def _is_confirmed(
    graph: Graph, node: Node, parts: Parts, position: str, made: list[Node], states: list[Tensor]
) -> bool:
    """Both forms over a full cache of random rows, at its ends and between."""
    leaves = [parts.query, parts.key, parts.value]
    given: dict[str, NDArray[Any]] = examples(graph, [*leaves, parts.key_cache, parts.value_cache])
    old = Interpreter(between(graph, [node.name], leaves))
    inputs = tuple(graph.tensor(name) for name in (*leaves, position))
    new = Interpreter(replace(old.graph, inputs=inputs, states=tuple(states), constants=(), nodes=tuple(made)))
    context = states[0].shape[1]
    for place in sorted({0, 1, context // 3, context - 2, context - 1}):
        given[position] = np.array([place], np.int32)
        caches = given[parts.key_cache], given[parts.value_cache].transpose(0, 2, 1)
        new.states = {state.name: cache.copy() for state, cache in zip(states, caches, strict=True)}
        expected, found = (one.run(given)[node.name] for one in (old, new))
        if not np.abs(expected - found).max() <= CLOSE * np.abs(expected).max():
            return False
    return True
