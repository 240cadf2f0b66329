"""Moving outlying activations into the weights (SmoothQuant, Xiao et al. 2022, arXiv:2211.10438).

Where a few columns of a layer's input are far larger than the rest, one scale for the row leaves the rest few steps.
x Wᵀ = (x / s)(W s)ᵀ for any s: columns are divided in one MUL ahead of the layers that read them, and the weights
multiplied once and for all. Only where that lessens the error by much: a MUL costs time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.tflite.graph import Array, Graph
from edgeslm.backends.tflite.observe import Inputs, linear_operators
from edgeslm.formats.tflite import schema
from edgeslm.quantize.symmetric import Floats, rounding_error

STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # how much of an outlier moves into the weights, as an exponent
WORTH = 0.7  # smooth where the error falls below this share of what it was
SMOOTHED = "/smoothed"
Kept = tuple[int, int | None]  # bits and block length of a weight


def find_factors(
    model: Any, observed: Mapping[int, Inputs], kept: Mapping[int, Kept], *, static: bool = False
) -> dict[int, Floats]:
    """Weight's buffer -> s [in], for the weights whose layers are worth it. `kept`: the weights that are rounded.
    `static`: one scale for the activations of all texts, not one for each row."""
    graph = Graph(model)
    factors: dict[int, Floats] = {}
    for buffers in _components(graph):
        if not all(buffer in kept and buffer in observed for buffer in buffers):
            continue
        weights = {buffer: _weight(model, graph, buffer) for buffer in buffers}
        found = _best_factors(weights, {buffer: observed[buffer] for buffer in buffers}, kept, static)
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


def smoothed_inputs(inputs: Inputs, factor: Floats) -> Inputs:
    """What the layer sees once its input is divided."""
    share = np.float32(1) / factor
    moments = inputs.moments * share[:, None] * share[None, :]
    return Inputs(moments, inputs.low * share, inputs.high * share, inputs.examples * share, inputs.rows)


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


def _best_factors(
    weights: Mapping[int, Array], observed: Mapping[int, Inputs], kept: Mapping[int, Kept], static: bool
) -> Floats | None:
    peaks = np.max([inputs.peaks for inputs in observed.values()], axis=0)
    columns = np.max([np.abs(values).max(axis=0) for values in weights.values()], axis=0)
    if float(peaks.max()) == 0.0:
        return None
    before = best = _total_error(weights, observed, kept, np.ones_like(peaks), static)
    chosen: NDArray[np.float32] | None = None
    for strength in STRENGTHS:
        factor = np.maximum(peaks, peaks.max() * 1e-4) ** strength
        factor /= np.maximum(columns, columns.max() * 1e-4) ** (1 - strength)
        factor = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
        error = _total_error(weights, observed, kept, factor, static)
        if error < min(best, WORTH * before):
            best, chosen = error, factor
    return chosen


def _total_error(
    weights: Mapping[int, Array],
    observed: Mapping[int, Inputs],
    kept: Mapping[int, Kept],
    factor: Floats,
    static: bool,
) -> float:
    """Rounding errors of weights and of activations in what the layers make, summed and squared."""
    total = 0.0
    smoothed = {id(inputs): smoothed_inputs(inputs, factor) for inputs in observed.values()}  # layers share theirs
    for buffer, values in weights.items():
        inputs = smoothed[id(observed[buffer])]
        scaled = values * factor
        total += rounding_error(scaled, np.diagonal(inputs.moments), *kept[buffer])
        # A row's 255 steps span its range, or that of all rows; each entry is off by a twelfth of a step, squared.
        spread = inputs.width**2 * inputs.rows if static else inputs.spread
        total += spread / 255**2 / 12 * float(np.square(scaled).sum())
    return total
