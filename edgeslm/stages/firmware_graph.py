"""A decoder's step as the graph that the compiler for microcontrollers sees."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from edgeslm.decoder import Decoder
from edgeslm.ir.graph import Graph

if TYPE_CHECKING:
    from edgeslm.backends import WeightsOf

BACKEND = "cortexm"


def step_graph(decoder: Decoder, context: int, weights: WeightsOf) -> Graph:
    """One token over a cache of `context` rows, fused. Weights are read by whoever asks for a constant's values.

    Raises UnsupportedOpError for what the graph has no kind for.
    """
    from edgeslm.export.decoder_graph import Window, build_graph
    from edgeslm.ir.import_onnx import import_onnx
    from edgeslm.ir.passes import fuse

    window = Window(1, (context,), context, plain=True)
    return fuse(import_onnx(build_graph(decoder, window, weights).graph, BACKEND))


def with_context(graph: Graph, context: int) -> Graph:
    """The same step over a cache of fewer rows."""
    states = tuple(
        dataclasses.replace(state, shape=(state.shape[0], context, state.shape[2])) for state in graph.states
    )
    return dataclasses.replace(graph, states=states)
