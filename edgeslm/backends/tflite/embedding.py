"""Looked-up tables as EMBEDDING_LOOKUP, which the quantizer knows; it refuses GATHER.

Positions of a fixed length are looked up at constant ids, so onnx2tf folds them: a copy of the table's first rows in
every length's graph. They become lookups in the one shared table again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.tflite.graph import Graph


def look_up_tables(graph: Graph) -> None:
    """GATHER of rows of a constant matrix -> RESHAPE of the ids, EMBEDDING_LOOKUP, RESHAPE of the rows."""
    replacements: dict[int, list[Any]] = {}
    for gather in graph.operators:
        if graph.kind(gather) != "GATHER":
            continue
        table, ids, result = (int(tensor) for tensor in (*gather.inputs[:2], gather.outputs[0]))
        values = graph.constant(table)
        axis, batch = gather.builtinOptions.axis, gather.builtinOptions.batchDims
        if values is None or values.ndim != 2 or values.dtype != np.float32 or axis not in (0, -2) or batch:
            continue
        if graph.dtype(ids) != "INT32":
            continue
        replacements[id(gather)] = _lookup(graph, table, ids, result)
    graph.replace(replacements)


def restore_tables(graph: Graph, tables: Mapping[str, NDArray[np.float32]]) -> None:
    """Constants that are rows of a checkpoint's table -> EMBEDDING_LOOKUP at constant ids.

    `tables` are [rows, width] by checkpoint parameter. Only constants of at least two rows that are added to
    something are looked at.
    """
    replacements: dict[int, list[Any]] = {}
    restored: dict[int, int] = {}
    for operator in graph.operators:
        if graph.kind(operator) != "ADD":
            continue
        for position, tensor in enumerate(map(int, operator.inputs)):
            values = graph.constant(tensor)
            found = None if values is None else rows_of(values, tables)
            if found is None:
                continue
            before = []
            if tensor not in restored:
                parameter, ids = found
                table = graph.add_constant(parameter, tables[parameter])
                if len(tables[parameter]) == 1:
                    restored[tensor] = table  # ADD repeats the one row by itself
                else:
                    restored[tensor] = graph.add_tensor(f"{graph.name(tensor)}/rows", graph.shape(tensor))
                    before = _lookup(graph, table, graph.add_constant(f"{parameter}/ids", ids), restored[tensor])
            operator.inputs = np.array(operator.inputs, dtype=np.int32)
            operator.inputs[position] = restored[tensor]
            replacements[id(operator)] = [*before, *replacements.get(id(operator), [operator])]
    graph.replace(replacements)


def _lookup(graph: Graph, table: int, ids: int, result: int) -> list[Any]:
    """Operators that put the rows of `table` at `ids` into `result`."""
    width = graph.shape(table)[1]
    count = int(np.prod(graph.shape(ids), dtype=np.int64))
    operators = []
    name = graph.name(result)
    if len(graph.shape(ids)) != 1:
        ids, flatten = graph.reshape(f"{name}/ids", ids, [count])
        operators.append(flatten)
    rows = result
    if graph.shape(result) != (count, width):
        rows = graph.add_tensor(f"{name}/lookup", [count, width])
    operators.append(graph.make("EMBEDDING_LOOKUP", [ids, table], [rows]))
    if rows != result:
        operators.append(graph.reshape(name, rows, graph.shape(result), result)[1])
    return operators


def rows_of(values: NDArray[Any], tables: Mapping[str, NDArray[np.float32]]) -> tuple[str, NDArray[np.int32]] | None:
    """(parameter, ids) of the table that holds the constant's rows, one after the other or the same again and again."""
    if values.ndim < 2 or values.dtype != np.float32:
        return None
    rows = values.reshape(-1, values.shape[-1])
    if len(rows) < 2 or values.shape[-2] != len(rows):
        return None
    repeated = bool((rows == rows[0]).all())
    for parameter, table in tables.items():
        if table.shape[1] != rows.shape[1]:
            continue
        for first in map(int, np.flatnonzero((table == rows[0]).all(axis=1))):
            if repeated:
                return parameter, np.full(len(rows), first, dtype=np.int32)
            if np.array_equal(table[first : first + len(rows)], rows):
                return parameter, np.arange(first, first + len(rows), dtype=np.int32)
    return None
