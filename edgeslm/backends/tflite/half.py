"""float16 weights: stored as halves, expanded when the model is opened; of tables, only the rows that are looked up."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from edgeslm.backends.tflite.graph import Graph
from edgeslm.errors import UnsupportedError
from edgeslm.formats.tflite import schema

HALF = "/half"


def halve(graph: Graph, names: Collection[str]) -> None:
    """The named float32 constants as float16, with DEQUANTIZE between them and what reads them.

    EMBEDDING_LOOKUP reads no halves and would have the whole table expanded, once for every length: GATHER reads
    them. Raises UnsupportedError where a value is beyond what a half can hold.
    """
    expanding: list[Any] = []
    replacements: dict[int, list[Any]] = {}
    readers = graph.readers()
    for tensor in range(len(graph.subgraph.tensors)):
        if graph.name(tensor) not in names or tensor not in readers:
            continue
        stored = _store_half(graph, tensor)
        lookups = [operator for operator in readers[tensor] if graph.kind(operator) == "EMBEDDING_LOOKUP"]
        for lookup in lookups:
            replacements[id(lookup)] = _gather(graph, stored, int(lookup.inputs[0]), int(lookup.outputs[0]))
        if len(lookups) < len(readers[tensor]):
            expanding.append(graph.make("DEQUANTIZE", [stored], [tensor], schema().DequantizeOptionsT()))
    graph.replace(replacements)
    graph.subgraph.operators = [*expanding, *graph.subgraph.operators]
    graph.drop_unused()


def _store_half(graph: Graph, tensor: int) -> int:
    values = graph.constant(tensor)
    assert values is not None, graph.name(tensor)
    with np.errstate(over="ignore"):  # looked for in the next line
        halves = values.astype(np.float16)
    if not np.isfinite(halves).all():
        raise UnsupportedError(
            f"{graph.name(tensor)} holds values up to {np.abs(values).max():.3g}, float16 ends at 65504",
            "choose another scheme: --scheme int8",
        )
    graph.subgraph.tensors[tensor].buffer = 0
    return graph.add_constant(f"{graph.name(tensor)}{HALF}", halves)


def _gather(graph: Graph, table: int, ids: int, result: int) -> list[Any]:
    rows = graph.add_tensor(f"{graph.name(result)}{HALF}", graph.shape(result), np.float16)
    return [
        graph.make("GATHER", [table, ids], [rows], schema().GatherOptionsT()),
        graph.make("DEQUANTIZE", [rows], [result], schema().DequantizeOptionsT()),
    ]
