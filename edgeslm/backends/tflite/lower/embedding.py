"""Tables: Gather of rows as EMBEDDING_LOOKUP, which the quantizer knows; it refuses GATHER.

Positions of a fixed length are looked up at constant ids, so the passes have folded them: a copy of the table's first
rows in every length's graph. They become lookups in the one shared table again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.tflite.embedding import rows_of
from edgeslm.backends.tflite.lower.graph import LoweringGraph, axis_of, refuse

if TYPE_CHECKING:
    import onnx_ir

TABLE = "table"


def lower_gather(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    source, ids = node.inputs
    assert source is not None
    assert ids is not None
    shape = graph.shape_of(source)
    axis, result = axis_of(node, len(shape), 0), node.outputs[0]
    numbers = graph.values(ids)
    if numbers is None:
        places = graph.tensor(ids)
    else:  # an id below zero counts from the end, which only ONNX does
        places = graph.index(f"{result.name}/ids", np.where(numbers < 0, numbers + shape[axis], numbers))
    packed = graph.packed_matrix(str(source.name), TABLE) if axis == 0 else None
    if packed is not None:
        look_up(graph, packed, places, graph.result(result))
        return
    values = graph.values(source)
    if values is not None and values.ndim == 2 and values.dtype == np.float32 and axis == 0:
        look_up(graph, graph.constant_of(str(source.name), values, TABLE), places, graph.result(result))
        return
    if len(shape) == 0:
        refuse(node, "it reads a scalar")
    graph.emit("GATHER", [graph.tensor(source), places], graph.result(result), "Gather", axis=axis, batchDims=0)


def rows_or_constant(value: onnx_ir.Value, graph: LoweringGraph) -> int:
    """The value's tensor; where it is rows of a table of the checkpoint, a lookup in that table."""
    found = graph.values(value)
    rows = None if found is None else rows_of(found, graph.tables)
    if found is None or rows is None:
        return graph.tensor(value)
    parameter, ids = rows
    table = graph.constant_of(parameter, graph.tables[parameter], TABLE)
    if len(graph.tables[parameter]) == 1:
        return table  # ADD repeats the one row by itself
    output = graph.add_tensor(f"{value.name}/rows", found.shape)
    return look_up(graph, table, graph.index(f"{parameter}/ids", ids), output)


def look_up(graph: LoweringGraph, table: int, ids: int, output: int) -> int:
    """Rows of a matrix. EMBEDDING_LOOKUP takes a list of ids and makes a matrix."""
    width, name = graph.shape(table)[1], graph.name(output)
    count = int(np.prod(graph.shape(ids), dtype=np.int64))
    flat = graph.reshaped(ids, [count], f"{name}/ids")
    if graph.shape(output) == (count, width):
        return graph.emit("EMBEDDING_LOOKUP", [flat, table], output)
    rows = graph.emit("EMBEDDING_LOOKUP", [flat, table], graph.add_tensor(f"{name}/lookup", [count, width]))
    return graph.reshaped(rows, graph.shape(output), name, output)
