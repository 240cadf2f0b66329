"""float16 weights: stored as halves, expanded when the model is opened."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from edgeslm.backends.tflite.graph import Graph
from edgeslm.errors import UnsupportedError
from edgeslm.formats.tflite import schema


def halve(graph: Graph, names: Collection[str]) -> None:
    """The named float32 constants as float16, with a DEQUANTIZE each before what reads them.

    Raises UnsupportedError where a value is beyond what a half can hold.
    """
    before: list[Any] = []
    for tensor in range(len(graph.subgraph.tensors)):
        if graph.name(tensor) not in names:
            continue
        values = graph.constant(tensor)
        assert values is not None, graph.name(tensor)
        with np.errstate(over="ignore"):  # looked for below
            halves = values.astype(np.float16)
        if not np.isfinite(halves).all():
            raise UnsupportedError(
                f"{graph.name(tensor)} holds values up to {np.abs(values).max():.3g}, float16 ends at 65504",
                "choose another scheme: --scheme int8",
            )
        stored = graph.add_constant(f"{graph.name(tensor)}/half", halves)
        graph.subgraph.tensors[tensor].buffer = 0
        before.append(graph.make("DEQUANTIZE", [stored], [tensor], schema().DequantizeOptionsT()))
    graph.subgraph.operators = [*before, *graph.subgraph.operators]
