"""Attention over a cache in segments and a graph's own tokens, written into the graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeslm.artifacts import KvCache
from edgeslm.decoder import Decoder, Layer, Rotary
from edgeslm.export.decoder_layers import LayerWriter
from edgeslm.export.decoder_weights import Weights, module_of, rotary_table
from edgeslm.export.graph_writer import INT32, GraphWriter, extents

HIDDEN = 1e9
"""Steepness of the masks: a position that must not be seen is pushed this far down for each place it is off."""


@dataclass(frozen=True)
class Window:
    """What one graph is for: `tokens` at once, the cache's segments that it reads, and how far places count."""

    tokens: int
    segments: tuple[int, ...]  # rows of each
    places: int  # rows of the rotary table: beyond the context by what fills up a chunk
    kv_cache: KvCache = "float32"
    plain: bool = False
    """For our own kernels: nothing is padded, no scale is put into weights, norms of queries and keys stay apart."""


@dataclass(frozen=True)
class Rows:
    """Keys [G, rows, E] or values [G, E, rows], and the scale of each row [G, 1, rows] where they are integers."""

    numbers: ir.Value
    scale: ir.Value | None = None


class AttentionWriter(LayerWriter):
    """`keys` and `values` are the own rows of the layers that were written, in order."""

    def __init__(self, decoder: Decoder, window: Window, graph: GraphWriter, weights: Weights) -> None:
        super().__init__(decoder, graph, weights, plain=window.plain)
        self.window = window
        self.position = graph.input("position", [1], INT32)
        self.keys: list[ir.Value] = []
        self.values: list[ir.Value] = []
        self._masks: dict[int | None, list[ir.Value | None]] = {}
        self._rotations: dict[Rotary, tuple[ir.Value, ir.Value]] = {}

    def attend(self, layer: Layer, x: ir.Value, cache: tuple[list[Rows], list[Rows]]) -> ir.Value:
        graph, decoder, count = self.graph, self.decoder, self.window.tokens
        heads, groups, dim = decoder.heads, decoder.kv_heads, decoder.head_dim
        graph.layer = module_of(layer.query_key_value)
        scale = decoder.attention_scale if layer.query_norm is None and not self.plain else 1.0
        made = self.linear([layer.query_key_value], x, first_rows=(heads * dim, scale))
        parts = graph.reshape(made, [count, heads + 2 * groups, dim])
        turned = [graph.slice(parts, 1, 0, heads + groups)]
        if layer.query_norm is not None and layer.key_norm is not None:
            if self.plain:
                bounds = (layer.query_norm, 0, heads), (layer.key_norm, heads, heads + groups)
                turned = [self.norm(norm, graph.slice(parts, 1, start, stop)) for norm, start, stop in bounds]
            else:
                turned = [self.head_norms(layer.query_norm, layer.key_norm, turned[0])]
        if layer.rotary is not None:
            turned = [self._rotate(layer.rotary, one) for one in turned]
        turned = [graph.transpose(one, [1, 0, 2]) for one in turned]
        query = graph.slice(turned[0], 0, 0, heads)
        if self.plain:
            query = graph.binary("Mul", query, graph.number(decoder.attention_scale))
        query = graph.reshape(query, [groups, heads // groups * count, dim])
        key = turned[-1] if len(turned) > 1 else graph.slice(turned[0], 0, heads, heads + groups)
        value = graph.transpose(graph.slice(parts, 1, heads + groups, heads + 2 * groups), [1, 2, 0])
        self.keys.append(key)
        self.values.append(value)
        mixed = self._mix(layer, query, [*cache[0], Rows(key)], [*cache[1], Rows(value)])
        if count > 1:
            mixed = graph.transpose(graph.reshape(mixed, [heads, count, dim]), [1, 0, 2])
        graph.layer = module_of(layer.output)
        return self.linear([layer.output], graph.reshape(mixed, [count, heads * dim]))

    def _mix(self, layer: Layer, query: ir.Value, keys: list[Rows], values: list[Rows]) -> ir.Value:
        """softmax(q kᵀ + mask) v over cache and own rows: [G, R·T, E]; [G, E] where R·T is 1."""
        graph, count = self.graph, self.window.tokens
        groups, many, dim = extents(query)
        flat = many == 1  # one axis less, and so no reshapes
        scores = []
        for key, mask in zip(keys, self._masks_of(layer.window), strict=True):
            score = self._over_last(query, key.numbers)
            rows = extents(key.numbers)[1]
            if key.scale is not None:
                score = graph.binary("Mul", score, graph.reshape(key.scale, [groups, rows]) if flat else key.scale)
            score = self.capped(score, self.decoder.score_cap)
            if mask is not None and count == 1:
                score = graph.binary("Add", score, mask)
            elif mask is not None:
                score = graph.reshape(score, [groups, many // count, count, rows])
                score = graph.reshape(graph.binary("Add", score, mask), [groups, many, rows])
            scores.append(score)
        last = 1 if flat else 2
        joined = graph.concat(scores, axis=last)
        shares = graph.add("Softmax", [joined], extents(joined), axis=-1)
        mixed, start = None, 0
        for value in values:
            rows = extents(value.numbers)[2]
            share = graph.slice(shares, last, start, start + rows)
            if value.scale is not None:
                share = graph.binary("Mul", share, graph.reshape(value.scale, [groups, rows]) if flat else value.scale)
            if count == 1 and rows == 1:
                own = graph.reshape(value.numbers, [groups, dim] if flat else [groups, 1, dim])
                part = graph.binary("Mul", share, own)
            else:
                part = self._over_last(graph.reshape(share, [groups, many, rows]), value.numbers)
            mixed = part if mixed is None else graph.binary("Add", mixed, part)
            start += rows
        assert mixed is not None
        return mixed

    def _over_last(self, left: ir.Value, right: ir.Value) -> ir.Value:
        """left · rightᵀ of [G, M, K] and [G, N, K]: [G, M, N], or [G, N] where M is 1.

        For a single row on the left, or a step's own on the right, it is products and sums: XNNPACK would pack the
        right side first, which costs more (1.2 to 1.6 times the time, measured as above).
        """
        graph = self.graph
        groups, many, depth = extents(left)
        rows = extents(right)[1]
        if many == 1 or (rows == 1 and self.window.tokens == 1):
            axes = graph.constant("integers [2]", np.array([2], dtype=np.int64))
            made = graph.binary("Mul", right, left)
            if many == 1:
                return graph.add("ReduceSum", [made, axes], [groups, rows], keepdims=0)
            return graph.add("ReduceSum", [made, axes], [groups, many, 1], keepdims=1)
        turned = graph.add("Transpose", [right], [groups, depth, rows], perm=[0, 2, 1])
        return graph.add("MatMul", [left, turned], [groups, many, rows])

    def _masks_of(self, window: int | None) -> list[ir.Value | None]:
        """What is added to the scores of each segment, and of the own rows: 0 or a large negative number. [T, rows]"""
        reach = sum(self.window.segments) + self.window.tokens
        window = None if window is None or window >= reach else window
        if window not in self._masks:
            start, masks = 0, list[ir.Value | None]()
            for rows in self.window.segments:
                masks.append(self._segment_mask(start, rows, window))
                start += rows
            masks.append(self._own_mask(window))
            self._masks[window] = masks
        return self._masks[window]

    def _segment_mask(self, start: int, rows: int, window: int | None) -> ir.Value:
        """A row is seen that lies before `position`, and less than `window` before the token that looks."""
        graph, layer = self.graph, self.graph.layer
        graph.layer = ""
        places = np.arange(start, start + rows, dtype=np.float32)
        position = graph.add("Cast", [self.position], [1], to=1)
        before = graph.binary("Sub", position, graph.constant(f"places {start} {rows}", places + 0.5))
        mask = graph.binary("Min", graph.binary("Mul", before, graph.number(HIDDEN)), graph.number(0))
        mask = graph.reshape(mask, [1, rows])
        if window is not None:
            looking = np.arange(self.window.tokens, dtype=np.float32)[:, None]
            edge = (places + window - 0.5)[None] - looking  # minus the position: above 0 where the row is near enough
            near = graph.binary("Sub", graph.constant(f"near {start} {rows} {window}", edge), position)
            near = graph.binary("Min", graph.binary("Mul", near, graph.number(HIDDEN)), graph.number(0))
            mask = graph.binary("Add", mask, near)
        graph.layer = layer
        return mask

    def _own_mask(self, window: int | None) -> ir.Value | None:
        count = self.window.tokens
        if count == 1:
            return None
        back = np.arange(count)[:, None] - np.arange(count)[None]
        seen = (back >= 0) & (back < (window or count))
        return self.graph.constant(f"own {window}", np.where(seen, 0, -HIDDEN).astype(np.float32))

    def _rotate(self, rotary: Rotary, x: ir.Value) -> ir.Value:
        """[T, heads, E]"""
        graph, dim = self.graph, self.decoder.head_dim
        half = len(rotary.frequencies)
        cos, sin = self._rotation(rotary)
        turned = [graph.slice(x, 2, half, 2 * half), graph.slice(x, 2, 0, half)]
        if 2 * half < dim:
            turned.append(graph.slice(x, 2, 2 * half, dim))
        other = graph.binary("Mul", graph.concat(turned, axis=2), sin)
        return graph.binary("Add", graph.binary("Mul", x, cos), other)

    def _rotation(self, rotary: Rotary) -> tuple[ir.Value, ir.Value]:
        """cos and sin of the tokens' places, [T, 1, E] each."""
        if rotary not in self._rotations:
            graph, count, dim = self.graph, self.window.tokens, self.decoder.head_dim
            layer, graph.layer = graph.layer, ""
            places = self.window.places
            name = f"rotary {len(self._rotations)}"
            table = graph.weight(name, [places, 2 * dim], lambda: rotary_table(rotary, places, dim))
            found = graph.add("Gather", [table, self.places()], [count, 2 * dim], axis=0)
            found = graph.reshape(found, [count, 1, 2 * dim])
            self._rotations[rotary] = graph.slice(found, 2, 0, dim), graph.slice(found, 2, dim, 2 * dim)
            graph.layer = layer
        return self._rotations[rotary]

    def places(self) -> ir.Value:
        count = self.window.tokens
        if count == 1:
            return self.position
        ahead = self.graph.constant("ahead", np.arange(count, dtype=np.int32))
        return self.graph.add("Add", [self.position, ahead], [count], INT32)
