"""Giving the columns that a static layer makes about the same range, so that one scale serves them all.

A column that is ten times as large as the rest takes nine tenths of the steps. y = t (x (W / t)ᵀ + b / t) for any t:
rows of the weight are divided once and for all, which costs nothing where each has a scale of its own, and what comes
out is multiplied in one MUL. It is SmoothQuant's idea (Xiao et al. 2022, arXiv:2211.10438) on the layer's other side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.observe import Made, linear_operators
from edgeslm.formats.tflite import schema
from edgeslm.quantize.symmetric import Floats

EVENED = "/evened"
WORTH = 0.7  # even where the error falls below this share of what it was: a MUL costs time
LEAST = 1e-3  # of the widest column: what is hardly anything is not made as wide as the rest


@dataclass(frozen=True)
class Evened:
    """Names of new constants -> those they are made from; and what the layers make now, in their order."""

    weights: Mapping[str, str]
    biases: Mapping[str, str]
    made: Sequence[Made]


def even_outputs(graph: Graph, made: Sequence[Made], static: set[str], tables: set[int]) -> Evened:
    """`made`: of each linear layer, in their order. `static`: names of what is given one scale. Weights that several
    layers or a table share stay as they are."""
    replacements: dict[int, list[Any]] = {}
    weights: dict[str, str] = {}
    biases: dict[str, str] = {}
    now = list(made)
    operators = linear_operators(graph)
    uses = Counter(graph.subgraph.tensors[int(operator.inputs[1])].buffer for operator in operators)
    for place, operator in enumerate(operators):
        weight, result = int(operator.inputs[1]), int(operator.outputs[0])
        buffer = graph.subgraph.tensors[weight].buffer
        values = graph.constant(weight)
        factor = _factor(made[place])
        if factor is None or values is None or uses[buffer] > 1 or buffer in tables or graph.name(result) not in static:
            continue
        bias = int(operator.inputs[2]) if len(operator.inputs) > 2 else -1
        offsets = None if bias < 0 else graph.constant(bias)
        if operator.builtinOptions.fusedActivationFunction or (bias >= 0 and offsets is None):
            continue
        name = graph.name(result)
        small = graph.add_tensor(f"{name}{EVENED}", graph.shape(result))
        inputs = [
            int(operator.inputs[0]),
            graph.add_constant(f"{graph.name(weight)}{EVENED}", values / factor[:, None]),
        ]
        weights[graph.name(inputs[1])] = graph.name(weight)
        if offsets is not None:
            inputs.append(graph.add_constant(f"{graph.name(bias)}{EVENED}", offsets / factor))
            biases[graph.name(inputs[2])] = graph.name(bias)
        share = graph.add_constant(f"{name}{EVENED}/by", factor)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([small], np.int32)
        replacements[id(operator)] = [operator, graph.make("MUL", [small, share], [result], schema().MulOptionsT())]
        now[place] = Made(made[place].low / factor, made[place].high / factor)
    graph.replace(replacements)
    return Evened(weights, biases, now)


def _factor(made: Made) -> Floats | None:
    """t [out], at most 1, or None where it is not worth it."""
    width = np.maximum(made.high, 0) - np.minimum(made.low, 0)
    if not width.size or float(width.max()) <= 0:
        return None
    factor: Floats = (np.maximum(width, LEAST * width.max()) / width.max()).astype(np.float32)
    after = Made(made.low / factor, made.high / factor).width ** 2 * float(np.square(factor).mean())
    return factor if after < WORTH * made.width**2 else None
