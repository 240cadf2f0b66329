"""What flows into each linear layer of a float .tflite, over calibration samples."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.tflite.graph import Graph
from edgeslm.errors import InternalError
from edgeslm.formats.tflite import pack_tflite
from edgeslm.quantize.layer_inputs import EXAMPLES_EACH, MOST_EXAMPLES, LayerInputs

Sample = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Counted:
    """A sample, how much its rows count in moments, and whether their size tells anything."""

    sample: Sample
    weight: float = 1.0
    ranges: bool = True


@dataclass(frozen=True)
class Made:
    """What a layer makes: least and largest number of each column, [out]."""

    low: Floats
    high: Floats

    @property
    def width(self) -> float:
        """max y - min y, zero among them: what one scale for all columns has to span."""
        return max(float(self.high.max()), 0.0) - min(float(self.low.min()), 0.0)

    def joined(self, other: Made) -> Made:
        return Made(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


@dataclass(frozen=True)
class Observed:
    inputs: dict[int, LayerInputs]  # by the weight's buffer; layers that share a weight count together
    made: list[Made]  # by each layer, in their order


def linear_operators(graph: Graph) -> list[Any]:
    """FULLY_CONNECTED with a constant weight, in the order they run."""
    return [
        operator
        for operator in graph.operators
        if graph.kind(operator) == "FULLY_CONNECTED" and graph.constant(int(operator.inputs[1])) is not None
    ]


_last: dict[tuple[str, str], Observed] = {}
KEPT_BYTES = 1 << 28


def observe_once(
    key: tuple[str, str], model: Any, signatures: Mapping[int, str], samples: Sequence[Counted]
) -> Observed:
    """As `observe`. The last one is kept, if it is small: plans for one model, tried in turn, see the same. `key`: the
    digests of model and samples."""
    if key not in _last:
        _last.clear()
        found = observe(model, signatures, samples)
        if sum(one.moments.nbytes for one in {id(one): one for one in found.inputs.values()}.values()) > KEPT_BYTES:
            return found
        _last[key] = found
    return _last[key]


def observe(model: Any, signatures: Mapping[int, str], samples: Sequence[Counted]) -> Observed:
    """Run every sample, padded to its length bucket, and look at the rows that are not padding."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # the package has no types

    packed, probes = _with_probes(model, signatures)
    # One thread: sums must not depend on how many there are.
    interpreter = Interpreter(model_content=bytes(packed), num_threads=1)
    gathered: dict[int, _Gathered] = {}
    made: list[Made] = []
    for counted in samples:
        sample = counted.sample
        length = max((array.shape[1] for array in sample.values() if array.ndim > 1), default=0)
        bucket = min((known for known in signatures if known >= length), default=max(signatures))
        padded = {name: _padded(array, bucket) for name, array in sample.items()}
        results = interpreter.get_signature_runner(signatures[bucket])(**padded)
        rows = {name: _rows(values, bucket, length) for name, values in results.items()}
        layers = probes[signatures[bucket]]
        for layer in layers:
            if layer.first:
                gathered.setdefault(layer.slot, _Gathered()).add(rows[layer.inward], counted)
        if counted.ranges:
            now = [Made(rows[layer.outward].min(axis=0), rows[layer.outward].max(axis=0)) for layer in layers]
            made = [one.joined(other) for one, other in zip(made, now, strict=True)] if made else now
    slots: dict[int, dict[int, None]] = {}
    for layer in next(iter(probes.values())):
        slots.setdefault(layer.weight, {})[layer.slot] = None
    inputs = {slot: rows.inputs() for slot, rows in gathered.items()}
    return Observed({weight: _joined([inputs[slot] for slot in read]) for weight, read in slots.items()}, made)


@dataclass(frozen=True)
class _Probe:
    weight: int  # buffer
    slot: int  # the same for layers that read the same tensor, and in the graphs of all lengths
    first: bool  # of its slot
    inward: str  # signature outputs that show the layer's input and output
    outward: str


def _with_probes(model: Any, signatures: Mapping[int, str]) -> tuple[bytearray, dict[str, list[_Probe]]]:
    """A copy of the model whose signatures also give out what linear layers read and make."""
    from edgeslm.formats.tflite import schema

    probed = copy.copy(model)
    probed.subgraphs = [copy.copy(subgraph) for subgraph in model.subgraphs]
    probed.signatureDefs = [copy.copy(signature) for signature in model.signatureDefs]
    probes: dict[str, list[_Probe]] = {}
    for signature in probed.signatureDefs:
        graph = Graph(probed, signature.subgraphIndex)
        layers: list[_Probe] = []
        slots: dict[int, int] = {}
        shown = dict.fromkeys(int(tensor) for tensor in graph.subgraph.outputs)
        for operator in linear_operators(graph):
            inward, weight, outward = int(operator.inputs[0]), int(operator.inputs[1]), int(operator.outputs[0])
            shown |= {inward: None, outward: None}
            first = inward not in slots
            slot = slots.setdefault(inward, len(layers))
            buffer = graph.subgraph.tensors[weight].buffer
            layers.append(_Probe(buffer, slot, first, f"probe_{inward}", f"probe_{outward}"))
        signature.outputs = []
        for tensor in shown:
            entry = schema().TensorMapT()
            entry.name, entry.tensorIndex = f"probe_{tensor}".encode(), tensor
            signature.outputs.append(entry)
        graph.subgraph.outputs = np.array(list(shown), dtype=np.int32)
        probes[signature.signatureKey.decode()] = layers
    sequences = {tuple((layer.weight, layer.slot) for layer in layers) for layers in probes.values()}
    if len(sequences) != 1:
        raise InternalError("the graphs of different lengths have different linear layers")
    return pack_tflite(probed), {name: probes[name] for name in signatures.values()}


class _Gathered:
    """Rows of one tensor, multiplied with each other many at a time."""

    def __init__(self) -> None:
        self.waiting: list[Floats] = []
        self.moments: Floats | None = None
        self.rows = 0.0
        self.low: Floats | None = None
        self.high: Floats | None = None
        self.examples: list[Floats] = []

    def add(self, rows: Floats, counted: Counted) -> None:
        self.waiting.append(rows * np.float32(counted.weight**0.5))
        self.rows += counted.weight * len(rows)
        if counted.ranges:
            low, high = rows.min(axis=0), rows.max(axis=0)
            self.low = low if self.low is None else np.minimum(self.low, low)
            self.high = high if self.high is None else np.maximum(self.high, high)
            if sum(map(len, self.examples)) < MOST_EXAMPLES:
                self.examples.append(rows[:EXAMPLES_EACH])
        if sum(map(len, self.waiting)) >= ROWS_AT_ONCE:
            self._multiply()

    def inputs(self) -> LayerInputs:
        self._multiply()
        assert self.moments is not None
        assert self.low is not None
        assert self.high is not None
        return LayerInputs(self.moments, self.low, self.high, np.concatenate(self.examples), self.rows)

    def _multiply(self) -> None:
        if self.waiting:
            rows = np.concatenate(self.waiting)
            self.waiting = []
            self.moments = rows.T @ rows if self.moments is None else self.moments + rows.T @ rows


def _joined(inputs: list[LayerInputs]) -> LayerInputs:
    return functools.reduce(LayerInputs.joined, inputs)


def _rows(values: NDArray[Any], bucket: int, length: int) -> Floats:
    """[rows, columns] without the rows of padding, where the last but one axis is the text's."""
    if length and values.ndim > 1 and values.shape[-2] == bucket:
        values = values[..., :length, :]
    return np.ascontiguousarray(values.reshape(-1, values.shape[-1]), dtype=np.float32)


def _padded(array: NDArray[Any], bucket: int) -> NDArray[Any]:
    """Zeros behind the text: the mask is 0 there, and positions are the graph's own."""
    if not bucket or array.ndim < 2 or array.shape[1] >= bucket:
        return array
    return np.pad(array, [(0, 0), (0, bucket - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])
