"""What calibration samples showed of a model, and everything that is done better for knowing it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.linear import PADDED
from edgeslm.backends.tflite.observe import Inputs, Observed, Sample, linear_operators, observe
from edgeslm.backends.tflite.recipe import Ranges
from edgeslm.backends.tflite.smoothing import find_factors, smooth, smoothed_inputs
from edgeslm.backends.tflite.treatment import Treatment
from edgeslm.quantize.feedback import feedback_factor
from edgeslm.quantize.schemes import Scheme
from edgeslm.quantize.symmetric import DAMPING, Floats, Rounded, round_with_feedback

BITS = {"int8": 8, "int4": 4}
COARSE = 0.05
"""Share of noise beyond which a layer's activations are not given one scale for all texts."""


@dataclass
class Seen:
    """`inputs` by the name of a weight in the float model, as its layer sees them now."""

    observed: Observed | None
    inputs: dict[str, Inputs] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: Any, signatures: Mapping[int, str], samples: Sequence[Sample], treatments: Sequence[Treatment]
    ) -> Seen:
        """Runs the samples, if there are any and any linear layer is rounded."""
        rounded = any(one.kind == "FULLY_CONNECTED" and one.precision in BITS for one in treatments)
        if not samples or not rounded:
            return cls(None)
        observed = observe(model, signatures, samples)
        names = [(name, buffer) for name, buffer in _weights(model) if buffer in observed.inputs]
        return cls(observed, {name: observed.inputs[buffer] for name, buffer in names})

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
        factors = find_factors(model, self.observed.inputs, kept)
        found: dict[str, str] = {}
        now: dict[int, Inputs] = {}
        for position in range(len(model.subgraphs)):
            graph = Graph(model, position)
            for new, old in smooth(graph, factors).items():
                before = self.inputs[old]
                if id(before) not in now:
                    now[id(before)] = smoothed_inputs(before, factors[buffers[old]])
                self.inputs[new] = now[id(before)]
                if old in tensors:
                    found[new] = tensors[old]
            graph.drop_unused()
        return found

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
            if bits is None or inputs is None or name not in originals:
                continue
            source, place = originals[name]
            buffer = source.subgraph.tensors[place].buffer
            values = source.constant(place)
            if values is None or buffer in tables:
                continue
            described = graph.subgraph.tensors[tensor]
            details = described.quantization.details
            if buffer not in done:
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
            for operator, limits in zip(linear_operators(graph), self.observed.ranges, strict=True):
                weight, result = graph.name(int(operator.inputs[1])), graph.name(int(operator.outputs[0]))
                inputs = self.inputs[weight.removesuffix(PADDED)]
                read = (float(inputs.low.min()), float(inputs.high.max()))
                values = graph.constant(int(operator.inputs[1]))
                if result not in static or values is None:
                    continue
                noise = _static_noise(values[:, : len(inputs.moments)], inputs, read, limits[2:])
                if noise > COARSE:
                    note = f"activations scaled by row: one scale for all would add {noise:.1%} of noise"
                    changed[result] = dataclasses.replace(static[result], activations="dynamic", note=note)
                    continue
                for tensor, (low, high) in ((operator.inputs[0], read), (operator.outputs[0], limits[2:])):
                    name = graph.name(int(tensor))
                    if name in found:
                        low, high = min(low, found[name]["min"].item()), max(high, found[name]["max"].item())
                    found[name] = {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
        return [changed.get(one.operator, one) for one in treatments], found


def _static_noise(weights: Floats, inputs: Inputs, read: tuple[float, float], made: tuple[float, float]) -> float:
    """Noise that 8-bit scales of input and output add to what the layer makes, as a share of its size."""
    steps = [(max(high, 0.0) - min(low, 0.0)) / 255 for low, high in (read, made)]
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
