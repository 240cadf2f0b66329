"""A decoder's graph over a KV cache that somebody else keeps: tokens in, logits and new cache rows out.

The cache is cut into segments of rows that follow each other, so that a graph for a short text reads few of them. The
graph reads what lies in the cache before `position`, and hands out the rows of its own tokens; who runs it writes them
into the cache. So a step writes one row and copies nothing.

Inputs (int32 or float32)         Outputs (float32)
  tokens     [T]                    logits    [1, V], of token `last`
  position   [1]  of the first      keys_L    [G, T, E], of layer L
  last       [1]  where T > 1       values_L  [G, E, T]
  key_L_S    [G, rows of segment S, E]
  value_L_S  [G, E, rows of segment S]

Values lie with their rows last: XNNPACK packs the right side of a product anew at every run, and does so seven times
faster along rows than across them (measured: 12 heads of 64, 256 rows, 95 and 630 microseconds).

A cache of int8 has a float32 scale for each row and head beside it, key_scale_L_S and value_scale_L_S [G, rows], that
scores and shares are multiplied by; own rows are handed out as floats, and rounded by who writes them into the cache.

Shapes as in edgeslm/decoder.py; R = H / G query heads read one key/value head.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeslm.decoder import Decoder, Layer
from edgeslm.export.decoder_attention import AttentionWriter, Rows, Window
from edgeslm.export.decoder_weights import Weights, module_of
from edgeslm.export.graph_writer import INT32, GraphWriter

__all__ = ["Window", "build_graph"]


def build_graph(decoder: Decoder, window: Window, weights: Weights) -> ir.Model:
    """The graph of these tokens. Weights are read by who asks for an initializer's values, never before.

    An initializer is called after the parameters that it holds, joined by "+".
    """
    return _DecoderWriter(decoder, window, GraphWriter(f"tokens_{window.tokens}"), weights).write()


class _DecoderWriter(AttentionWriter):
    def write(self) -> ir.Model:
        graph, decoder, count = self.graph, self.decoder, self.window.tokens
        tokens = graph.input("tokens", [count], INT32)
        last = graph.input("last", [1], INT32) if count > 1 else None
        caches = [self._cache(number) for number in range(len(decoder.layers))]
        graph.layer = module_of(decoder.embedding)
        x = graph.add("Gather", [self.table(decoder.embedding), tokens], [count, decoder.width], axis=0)
        if decoder.embedding_scale != 1:
            x = graph.binary("Mul", x, graph.number(decoder.embedding_scale))
        if decoder.learned_positions is not None:
            graph.layer = module_of(decoder.learned_positions)
            table = self.table(decoder.learned_positions)
            # What fills up a chunk may lie behind the last place there is.
            last_place = graph.constant("last place", np.array([decoder.learned_positions.rows - 1], dtype=np.int32))
            places = graph.add("Min", [self.places(), last_place], [count], INT32) if count > 1 else self.places()
            x = graph.binary("Add", x, graph.add("Gather", [table, places], [count, decoder.width], axis=0))
        for number, layer in enumerate(decoder.layers):
            x = self._block(layer, x, caches[number])
        if last is not None:
            graph.layer = ""
            x = graph.add("Gather", [x, last], [1, decoder.width], axis=0)
        x = self.norm(decoder.norm, x)
        graph.layer = module_of(decoder.head)
        logits = self.capped(self.linear([decoder.head], x), decoder.logit_cap)
        graph.layer = ""
        graph.output("logits", logits)
        for name, rows in (("keys", self.keys), ("values", self.values)):
            for number, one in enumerate(rows):
                graph.output(f"{name}_{number}", one)
        return graph.model()

    def _cache(self, layer: int) -> tuple[list[Rows], list[Rows]]:
        groups, dim = self.decoder.kv_heads, self.decoder.head_dim
        segments = list(enumerate(self.window.segments))
        keys = [self._segment(f"key_{layer}_{place}", [groups, rows, dim], rows) for place, rows in segments]
        return keys, [self._segment(f"value_{layer}_{place}", [groups, dim, rows], rows) for place, rows in segments]

    def _segment(self, name: str, shape: list[int], rows: int) -> Rows:
        graph = self.graph
        if self.window.kv_cache == "float32":
            return Rows(graph.input(name, shape))
        codes = graph.input(name, shape, ir.DataType.INT8)
        kind, _, place = name.partition("_")
        scale = graph.input(f"{kind}_scale_{place}", [shape[0], rows])
        numbers = graph.add("DequantizeLinear", [codes, graph.number(1)], shape)
        return Rows(numbers, graph.reshape(scale, [shape[0], 1, rows]))

    def _block(self, layer: Layer, x: ir.Value, cache: tuple[list[Rows], list[Rows]]) -> ir.Value:
        graph = self.graph
        normed = self.norm(layer.norm_attention, x)
        attended = self.attend(layer, normed, cache)
        if layer.after_attention is not None:
            attended = self.norm(layer.after_attention, attended)
        if layer.norm_feed is None:
            return graph.binary("Add", graph.binary("Add", x, attended), self.feed(layer, normed))
        x = graph.binary("Add", x, attended)
        fed = self.feed(layer, self.norm(layer.norm_feed, x))
        if layer.after_feed is not None:
            fed = self.norm(layer.after_feed, fed)
        return graph.binary("Add", x, fed)
