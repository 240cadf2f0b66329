"""Which operators compute in float although the scheme computes in integers: the report says it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgeslm.backends.tflite.graph import Graph
from edgeslm.quantize.schemes import Scheme

MOVES = {
    *("RESHAPE", "TRANSPOSE", "CAST", "QUANTIZE", "DEQUANTIZE", "PAD", "SLICE", "STRIDED_SLICE", "CONCATENATION"),
    *("GATHER", "EMBEDDING_LOOKUP", "SPLIT", "PACK", "UNPACK", "EXPAND_DIMS", "SQUEEZE", "SHAPE", "BROADCAST_TO"),
}
"""Operators that move numbers and compute nothing."""


def float_operators(model: Any, scheme: Scheme) -> tuple[str, ...]:
    """ "KIND × count" of the first graph, the most frequent first; empty for schemes that compute in float."""
    if scheme.activations == "float":
        return ()
    graph = Graph(model)
    kinds: Counter[str] = Counter()
    for operator in graph.operators:
        kind = graph.kind(operator)
        weights = {graph.dtype(int(tensor)) for tensor in operator.inputs if int(tensor) >= 0}
        if kind not in MOVES and graph.dtype(int(operator.outputs[0])) == "FLOAT32" and not weights & {"INT8", "INT4"}:
            kinds[kind] += 1
    return tuple(f"{kind} × {count}" for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))
