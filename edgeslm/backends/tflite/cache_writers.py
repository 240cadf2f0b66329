"""Graphs that write new rows into the cache, for a runtime whose interface cannot write a part of a tensor buffer.

LiteRT's Kotlin interface writes whole buffers only. A step makes one row of keys and one of values for each layer, so
every step would copy a whole segment for each of them (docs/android.md has the figures). A signature
`write_<tokens>_<rows>` writes inside the runtime instead: the rows of so many tokens, into segments of so many rows.

Inputs                                     Outputs
  key_at    [3] int32: 0, first row, 0       key_L     [G, rows, E], the segment with the rows in it, of layer L
  value_at  [3] int32: 0, 0, first row       value_L   [G, E, rows]
  key_L     [G, rows, E], the segment
  value_L   [G, E, rows]
  keys_L    [G, tokens, E], the new rows, as a graph of so many tokens hands them out
  values_L  [G, E, tokens]
and for a cache of int8, whose rows are rounded here
  scale_at  [2] int32: 0, first row
  key_scale_L, value_scale_L  [G, rows]      key_scale_L, value_scale_L  [G, rows]

Whoever runs it gives the same tensor buffer as input and as output: DYNAMIC_UPDATE_SLICE then writes the rows where
they belong and copies nothing. Given two buffers it copies the segment, and is right as well. It moves rows that would
end behind the segment, so the first row is at most rows - tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeslm.artifacts import KvCache
from edgeslm.backends.tflite.lower.file import LoweredFile
from edgeslm.backends.tflite.lower.graph import LoweringGraph
from edgeslm.formats.tflite import schema

SMALLEST = 1e-12
"""Of a row's largest number, as in device/litert_language.py: a row of zeros has a scale as well."""


@dataclass(frozen=True)
class CacheShape:
    layers: int
    kv_heads: int
    head_dim: int
    kind: KvCache


def add_cache_writers(lowered: LoweredFile, cache: CacheShape, segments: Iterable[int], tokens: Iterable[int]) -> None:
    """Add a signature for each size of segment and each number of tokens that fits into one."""
    counts = sorted(set(tokens))
    for rows in sorted(set(segments)):
        for count in counts:
            if count <= rows:
                _CacheWriter(lowered, cache, count, rows).write()
    lowered.model.buffers = [schema().BufferT() for _ in lowered.constants.arrays]


class _CacheWriter:
    def __init__(self, lowered: LoweredFile, cache: CacheShape, tokens: int, rows: int) -> None:
        model, key = lowered.model, f"write_{tokens}_{rows}"
        subgraph = schema().SubGraphT()
        subgraph.name = key.encode()
        subgraph.tensors, subgraph.operators = [], []
        model.subgraphs.append(subgraph)
        self._graph = LoweringGraph(model, len(model.subgraphs) - 1, key, lowered.constants)
        self._cache, self._tokens, self._rows = cache, tokens, rows
        self._inputs: list[tuple[str, int]] = []
        self._outputs: list[tuple[str, int]] = []

    def write(self) -> None:
        cache, groups, dim = self._cache, self._cache.kv_heads, self._cache.head_dim
        key_at, value_at = (self._input(name, (3,), np.int32) for name in ("key_at", "value_at"))
        scale_at = self._input("scale_at", (2,), np.int32) if cache.kind == "int8" else None
        for layer in range(cache.layers):
            keys = self._input(f"keys_{layer}", (groups, self._tokens, dim))
            values = self._input(f"values_{layer}", (groups, dim, self._tokens))
            for name, new, axis, shape, at in (
                ("key", keys, 2, (groups, self._rows, dim), key_at),
                ("value", values, 1, (groups, dim, self._rows), value_at),
            ):
                if scale_at is None:
                    self._update(f"{name}_{layer}", shape, np.float32, new, at)
                    continue
                codes, scales = self._rounded(new, axis, f"{name}s_{layer}")
                self._update(f"{name}_{layer}", shape, np.int8, codes, at)
                self._update(f"{name}_scale_{layer}", (groups, self._rows), np.float32, scales, scale_at)
        self._sign()

    def _update(self, name: str, shape: tuple[int, ...], dtype: Any, rows: int, at: int) -> None:
        segment = self._input(name, shape, dtype)
        written = self._graph.add_tensor(f"{name}/written", shape, dtype)
        self._outputs.append((name, self._graph.emit("DYNAMIC_UPDATE_SLICE", [segment, rows, at], written)))

    def _rounded(self, rows: int, axis: int, name: str) -> tuple[int, int]:
        """Codes [G, tokens, E] or [G, E, tokens], and scales [G, tokens], number for number as LiteRtLanguage's."""
        graph, types = self._graph, schema().TensorType
        shape = graph.shape(rows)
        scaled = (*shape[:axis], 1, *shape[axis + 1 :])

        def number(value: float) -> int:
            return graph.constant_of(f"number {value:.9g}", np.array(value, dtype=np.float32))

        def made(step: str, extents: tuple[int, ...] = shape) -> int:
            return graph.add_tensor(f"{name}/{step}", extents)

        sizes = graph.emit("ABS", [rows], made("sizes"))
        axes = graph.index(f"axes {[axis]}", [axis])
        largest = graph.emit("REDUCE_MAX", [sizes, axes], made("largest", scaled), "Reducer", keepDims=True)
        limited = graph.emit("MAXIMUM", [largest, number(SMALLEST)], made("limited", scaled), "MaximumMinimum")
        scales = graph.emit("MUL", [limited, number(1 / 127)], made("scales", scaled), "Mul")
        exact = graph.emit("DIV", [rows, scales], made("exact"), "Div")
        whole = graph.emit("ROUND", [exact], made("whole"))
        codes = graph.add_tensor(f"{name}/codes", shape, np.int8)
        graph.emit("CAST", [whole], codes, "Cast", inDataType=types.FLOAT32, outDataType=types.INT8)
        return codes, graph.reshaped(scales, (shape[0], self._tokens), f"{name}/scale rows")

    def _input(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> int:
        tensor = self._graph.add_tensor(name, shape, dtype)
        self._inputs.append((name, tensor))
        return tensor

    def _sign(self) -> None:
        graph, fbs = self._graph, schema()
        signature = fbs.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = graph.key.encode(), len(graph.model.subgraphs) - 1
        for ends, named in (("inputs", self._inputs), ("outputs", self._outputs)):
            entries = [fbs.TensorMapT() for _ in named]
            for entry, (name, tensor) in zip(entries, named, strict=True):
                entry.name, entry.tensorIndex = name.encode(), tensor
            setattr(signature, ends, entries)
            setattr(graph.subgraph, ends, np.array([tensor for _, tensor in named], dtype=np.int32))
        graph.model.signatureDefs.append(signature)
