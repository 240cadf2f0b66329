"""Mistakes of onnx2tf that its files can be cured of."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeslm.backends.tflite.graph import Graph
from edgeslm.formats.tflite import schema


def repair_running_sums(graph: Graph) -> None:
    """CUMSUM that reads int32 and is said to make int64, whose kernel writes int32: a CAST makes it true."""
    replacements: dict[int, list[Any]] = {}
    for operator in graph.operators:
        if graph.kind(operator) != "CUMSUM":
            continue
        source, result = int(operator.inputs[0]), int(operator.outputs[0])
        if (graph.dtype(source), graph.dtype(result)) != ("INT32", "INT64"):
            continue
        narrow = graph.add_tensor(f"{graph.name(result)}/int32", graph.shape(result), np.int32)
        operator.outputs = np.array([narrow], dtype=np.int32)
        options = schema().CastOptionsT()
        options.inDataType, options.outDataType = schema().TensorType.INT32, schema().TensorType.INT64
        replacements[id(operator)] = [operator, graph.make("CAST", [narrow], [result], options)]
    graph.replace(replacements)
