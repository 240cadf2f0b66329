"""What calibration samples showed of a model, and everything that is done better for knowing it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeslm.backends.tflite.evening import even_outputs
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.linear import PADDED
from edgeslm.backends.tflite.observe import Made, Observed, linear_operators
from edgeslm.backends.tflite.recipe import Ranges
from edgeslm.backends.tflite.smoothing import find_factors, smooth
from edgeslm.backends.tflite.treatment import Treatment
from edgeslm.quantize.feedback import feedback_factor
from edgeslm.quantize.layer_inputs import LayerInputs
from edgeslm.quantize.schemes import Scheme
from edgeslm.quantize.symmetric import Floats, Rounded, round_matrix, round_with_feedback

BITS = {"int8": 8, "int4": 4}
DAMPING = 0.1
"""Of the feedback's factor, for encoders, which see few tokens. MiniLM int4, least cosine: 0.02 0.967, 0.1 0.969."""
COARSE = 0.02
"""Share of noise beyond which a layer's activations are not given one scale for all texts. MiniLM, least cosine on the
built-in texts and layers that are scaled by row: 0.05 0.9935 6, 0.03 0.9935 8, 0.02 0.9971 21."""


@dataclass
class Seen:
    """`inputs` by the name of a weight in the float model, as its layer sees them now."""

    observed: Observed | None
    inputs: dict[str, LayerInputs] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)  # by each linear layer, in their order
    coarse: set[str] = field(default_factory=set)  # layers, by result, for which one scale is too coarse

    @classmethod
    def of(cls, model: Any, look: Callable[[], Observed], treatments: Sequence[Treatment]) -> Seen:
        """Runs the samples if any linear layer is rounded."""
        if not any(one.kind == "FULLY_CONNECTED" and one.precision in BITS for one in treatments):
            return cls(None)
        observed = look()
        names = [(name, buffer) for name, buffer in _weights(model) if buffer in observed.inputs]
        return cls(observed, {name: observed.inputs[buffer] for name, buffer in names}, list(observed.made))

    def smooth(
        self, model: Any, tensors: Mapping[str, str], treatments: Sequence[Treatment], scheme: Scheme
    ) -> dict[str, str]:
        """Divide outlying activations where the layers quantize them. Returns new weights' parameters by name."""
        if self.observed is None or scheme.activations == "float":
            return {}
        buffers = dict(_weights(model))
        kept = {
            buffers[one.tensor]: (BITS[one.precision], one.group)
            for one in treatments
            if one.kind == "FULLY_CONNECTED" and one.precision in BITS
        }
        for table in _tables(model):  # shared with a looked-up table: both must stay the same
            kept.pop(table, None)
        factors = find_factors(model, self.observed.inputs, kept, static=scheme.activations == "static")
        found: dict[str, str] = {}
        now: dict[int, LayerInputs] = {}
        for position in range(len(model.subgraphs)):
            graph = Graph(model, position)
            for new, old in smooth(graph, factors).items():
                before = self.inputs[old]
                if id(before) not in now:
                    now[id(before)] = before.divided(factors[buffers[old]])
                self.inputs[new] = now[id(before)]
                if old in tensors:
                    found[new] = tensors[old]
            graph.drop_unused()
        return found

    def even(self, model: Any, tensors: Mapping[str, str], treatments: Sequence[Treatment]) -> dict[str, str]:
        """Bring what static layers make to about one range by column. Returns new constants' parameters by name.

        Not where it is too coarse by a few numbers far beyond the rest: their columns would stay as coarse.
        """
        static = {one.operator for one in treatments if one.activations == "static" and one.precision in BITS}
        if self.observed is None or not static:
            return {}
        found: dict[str, str] = {}
        tables, before = _tables(model), self.made
        for position in range(len(model.subgraphs)):
            graph = Graph(model, position)
            for operator, made in zip(linear_operators(graph), before, strict=True):
                if self._noise(graph, operator, made) > COARSE:
                    self.coarse.add(graph.name(int(operator.outputs[0])))
            evened = even_outputs(graph, before, static - self.coarse, tables)
            self.made = list(evened.made)
            self.inputs |= {new: self.inputs[old] for new, old in evened.weights.items()}
            named = {**evened.weights, **evened.biases}
            found |= {new: tensors[old] for new, old in named.items() if old in tensors}
            graph.drop_unused()
        return found

    def _noise(self, graph: Graph, operator: Any, made: Made) -> float:
        """See _static_noise; 0 where the layer's inputs are not known."""
        weight = int(operator.inputs[1])
        inputs, values = self.inputs.get(graph.name(weight).removesuffix(PADDED)), graph.constant(weight)
        if inputs is None or values is None:
            return 0.0
        return _static_noise(values[:, : len(inputs.moments)], inputs, made)

    def round_again(self, quantized: Any, floats: Any) -> None:
        """Round the linear layers' weights with error feedback, in the place of the quantizer's own."""
        if self.observed is None:
            return
        originals = {name: (graph, tensor) for graph, tensor, name in _constants(floats)}
        tables = _tables(floats)
        done: dict[int, Rounded] = {}
        known: dict[tuple[int, int], tuple[Floats, Floats]] = {}
        scales: dict[int, int] = {}
        for graph, tensor, name in _constants(quantized):
            bits = BITS.get(graph.dtype(tensor).lower())
            inputs = self.inputs.get(name.removesuffix(PADDED))
            if bits is None or name not in originals:
                continue
            source, place = originals[name]
            buffer = source.subgraph.tensors[place].buffer
            values = source.constant(place)
            described = graph.subgraph.tensors[tensor]
            details = described.quantization.details
            table = buffer in tables
            if values is None or (details is None if table else inputs is None):
                continue
            if table and buffer not in done:
                done[buffer] = round_matrix(values, bits, details.blockSize)
            elif inputs is not None and buffer not in done:
                extra = values.shape[1] - len(inputs.moments)
                if (id(inputs), extra) not in known:
                    moments = np.pad(inputs.moments, ((0, extra), (0, extra)))
                    known[id(inputs), extra] = np.diagonal(moments), feedback_factor(moments, DAMPING)
                rows = None if details else np.asarray(described.quantization.scale, dtype=np.float32)[:, None]
                group = details.blockSize if details else None
                done[buffer] = round_with_feedback(values, *known[id(inputs), extra], bits, group=group, rows=rows)
            graph.model.buffers[described.buffer].data = _packed(done[buffer], bits)
            if details:
                stored = graph.subgraph.tensors[details.scales].buffer
                scales[stored] = buffer
        for stored, buffer in scales.items():
            quantized.buffers[stored].data = done[buffer].scales.astype(np.float16).reshape(-1).view(np.uint8)

    def ranges(self, model: Any, treatments: Sequence[Treatment]) -> tuple[list[Treatment], Ranges | None]:
        """Least and largest value of what static layers read and make, by tensor.

        Layers for which one scale for all texts is too coarse (a few values far beyond the rest) get a scale a row
        instead, found as they run: their treatment comes back as dynamic.
        """
        static = {one.operator: one for one in treatments if one.activations == "static"}
        if self.observed is None or not static:
            return list(treatments), None
        found: dict[str, dict[str, Floats]] = {}
        changed: dict[str, Treatment] = {}
        for position in range(len(model.subgraphs)):
            graph = Graph(model, position)
            for operator, made in zip(linear_operators(graph), self.made, strict=True):
                weight, result = graph.name(int(operator.inputs[1])), graph.name(int(operator.outputs[0]))
                if result not in static:
                    continue
                noise = self._noise(graph, operator, made)
                if noise > COARSE or result in self.coarse:
                    note = f"activations scaled by row: one scale for all would add {noise:.1%} of noise"
                    changed[result] = dataclasses.replace(static[result], activations="dynamic", note=note)
                    continue
                inputs = self.inputs[weight.removesuffix(PADDED)]
                read, limits = (
                    (float(inputs.low.min()), float(inputs.high.max())),
                    (float(made.low.min()), float(made.high.max())),
                )
                for tensor, (low, high) in ((operator.inputs[0], read), (operator.outputs[0], limits)):
                    name = graph.name(int(tensor))
                    if name in found:
                        low, high = min(low, found[name]["min"].item()), max(high, found[name]["max"].item())
                    found[name] = {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
        return [changed.get(one.operator, one) for one in treatments], found


def _static_noise(weights: Floats, inputs: LayerInputs, made: Made) -> float:
    """Noise that 8-bit scales of input and output add to what the layer makes, as a share of its size."""
    steps = [width / 255 for width in (inputs.width, made.width)]
    noise = steps[0] ** 2 / 12 * float(np.square(weights).sum()) / len(weights) + steps[1] ** 2 / 12
    size = float(np.einsum("oi,oi->", weights @ inputs.moments, weights)) / len(weights) / inputs.rows
    return float(np.sqrt(noise / size)) if size else 0.0


def _packed(rounded: Rounded, bits: int) -> Any:
    """The codes' bytes; two int4 to a byte, the first in the low half."""
    codes = rounded.codes.reshape(-1)
    if bits == 4:
        codes = np.pad(codes, (0, codes.size % 2))
        codes = (codes[0::2] & 15) | (codes[1::2] << 4)
    return codes.astype(np.int8).view(np.uint8)


def _constants(model: Any) -> list[tuple[Graph, int, str]]:
    found = []
    for position in range(len(model.subgraphs)):
        graph = Graph(model, position)
        for tensor, described in enumerate(graph.subgraph.tensors):
            if model.buffers[described.buffer].data is not None:
                found.append((graph, tensor, graph.name(tensor)))
    return found


def _weights(model: Any) -> list[tuple[str, int]]:
    """Name and buffer of every linear layer's weight, in all graphs."""
    found = []
    for position in range(len(model.subgraphs)):
        graph = Graph(model, position)
        for operator in linear_operators(graph):
            weight = int(operator.inputs[1])
            found.append((graph.name(weight), graph.subgraph.tensors[weight].buffer))
    return found


def _tables(model: Any) -> set[int]:
    """Buffers of looked-up tables."""
    graph = Graph(model)
    lookups = [operator for operator in graph.operators if graph.kind(operator) == "EMBEDDING_LOOKUP"]
    return {graph.subgraph.tensors[int(operator.inputs[1])].buffer for operator in lookups}
