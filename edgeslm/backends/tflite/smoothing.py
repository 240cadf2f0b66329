"""Outlying activations moved into the weights of a .tflite: one MUL ahead of the layers that read them divides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeslm.backends.tflite.graph import Array, Graph
from edgeslm.backends.tflite.observe import linear_operators
from edgeslm.formats.tflite import schema
from edgeslm.quantize.layer_inputs import LayerInputs
from edgeslm.quantize.smoothing import Kept, best_factors
from edgeslm.quantize.symmetric import Floats

SMOOTHED = "/smoothed"


def find_factors(
    model: Any, observed: Mapping[int, LayerInputs], kept: Mapping[int, Kept], *, static: bool = False
) -> dict[int, Floats]:
    """Weight's buffer -> s [in], for the weights whose layers are worth it. `kept`: the weights that are rounded.
    `static`: one scale for the activations of all texts, not one for each row."""
    graph = Graph(model)
    factors: dict[int, Floats] = {}
    for buffers in _components(graph):
        if not all(buffer in kept and buffer in observed for buffer in buffers):
            continue
        ordered = sorted(buffers)
        weights = [_weight(model, graph, buffer) for buffer in ordered]
        inputs = [observed[buffer] for buffer in ordered]
        found = best_factors(weights, inputs, [kept[buffer] for buffer in ordered], static=static)
        if found is not None:
            factors |= dict.fromkeys(buffers, found)
    return factors


def smooth(graph: Graph, factors: Mapping[int, Floats]) -> dict[str, str]:
    """Insert the MULs and multiply the weights. Returns name of a new weight -> name of the one it is made from."""
    replacements: dict[int, list[Any]] = {}
    divided: dict[int, int] = {}
    renamed: dict[str, str] = {}
    weights: dict[int, int] = {}
    for operator in linear_operators(graph):
        rows, weight = int(operator.inputs[0]), int(operator.inputs[1])
        factor = factors.get(graph.subgraph.tensors[weight].buffer)
        values = graph.constant(weight)
        if factor is None or values is None:
            continue
        before = []
        if rows not in divided:
            name = f"{graph.name(rows)}{SMOOTHED}"
            divided[rows] = graph.add_tensor(name, graph.shape(rows))
            share = graph.add_constant(f"{name}/by", np.float32(1) / factor)
            before = [graph.make("MUL", [rows, share], [divided[rows]], schema().MulOptionsT())]
        if weight not in weights:
            weights[weight] = graph.add_constant(f"{graph.name(weight)}{SMOOTHED}", values * factor)
            renamed[graph.name(weights[weight])] = graph.name(weight)
        operator.inputs = np.array([divided[rows], weights[weight], *operator.inputs[2:]], dtype=np.int32)
        replacements[id(operator)] = [*before, operator]
    graph.replace(replacements)
    return renamed


def _components(graph: Graph) -> list[set[int]]:
    """Weights (buffers) that must be smoothed alike, because they read the same tensor or are the same weight."""
    readers: dict[int, set[int]] = {}
    for operator in linear_operators(graph):
        readers.setdefault(int(operator.inputs[0]), set()).add(graph.subgraph.tensors[int(operator.inputs[1])].buffer)
    components: list[set[int]] = []
    for buffers in readers.values():
        joined = [component for component in components if component & buffers]
        components = [component for component in components if not component & buffers]
        components.append(buffers.union(*joined))
    return components


def _weight(model: Any, graph: Graph, buffer: int) -> Array:
    tensor = next(index for index, described in enumerate(graph.subgraph.tensors) if described.buffer == buffer)
    values = graph.constant(tensor)
    assert values is not None, graph.name(tensor)
    return values
