"""Weights as a compiled .tflite stores them, expanded to floats again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import CompiledModel, OnnxModel, Precision
from edgeslm.backends.tflite.evening import EVENED
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.smoothing import SMOOTHED
from edgeslm.errors import InternalError
from edgeslm.formats.tflite import read_tflite
from edgeslm.formats.weight_index import WeightIndex

Floats = NDArray[np.float32]
PRECISIONS: dict[str, Precision] = {
    "FLOAT32": "fp32",
    "INT32": "fp32",  # the bias of an integer layer: as wide and as good as a float
    "FLOAT16": "fp16",
    "INT8": "int8",
    "INT4": "int4",
}


def weight_errors(compiled: CompiledModel, model: OnnxModel) -> list[tuple[str, float]]:
    """(checkpoint parameter, relative L2 error of its stored values), the worst first."""
    index = WeightIndex.of(model)
    graph_of = find_constants(read_tflite(Path(compiled.root) / compiled.files[0]))
    errors = []
    for stored in compiled.stored:
        if not stored.tensor:
            continue
        graph, tensor = graph_of[stored.tensor]
        values = expand(graph, tensor)
        if EVENED in stored.tensor:
            values = unevened(graph, tensor, values)
        if SMOOTHED in stored.tensor:
            values = unsmooth(graph, tensor, values)
        errors.append((stored.parameter, _relative_error(index.values(stored.parameter), values)))
    return sorted(errors, key=lambda error: (-error[1], error[0]))


def find_constants(model: Any) -> Mapping[str, tuple[Graph, int]]:
    """Name of each constant -> its subgraph and index."""
    found: dict[str, tuple[Graph, int]] = {}
    for position in range(len(model.subgraphs)):
        graph = Graph(model, position)
        for tensor, described in enumerate(graph.subgraph.tensors):
            if model.buffers[described.buffer].data is not None:
                found[graph.name(tensor)] = (graph, tensor)
    return found


def expand(graph: Graph, tensor: int) -> Floats:
    """float32 values of a constant: codes times scales, by channel or by block."""
    described = graph.subgraph.tensors[tensor]
    codes = unpack(graph, tensor)
    quantization = described.quantization
    if quantization is None or graph.dtype(tensor) in ("FLOAT32", "FLOAT16"):
        return codes.astype(np.float32)
    if quantization.details is not None:
        scales = graph.constant(quantization.details.scales)
        assert scales is not None
        blocks = codes.reshape(codes.shape[0], -1, quantization.details.blockSize).astype(np.float32)
        expanded: Floats = (blocks * scales.reshape(codes.shape[0], -1, 1).astype(np.float32)).reshape(codes.shape)
        return expanded
    scales = np.asarray(quantization.scale, dtype=np.float32)
    shape = [1] * codes.ndim
    shape[quantization.quantizedDimension if len(scales) > 1 else 0] = len(scales)
    return codes.astype(np.float32) * scales.reshape(shape)


def unsmooth(graph: Graph, weight: int, values: Floats) -> Floats:
    """Without the factors that the layer's input is divided by, found in the MUL ahead of it."""
    makers = {int(operator.outputs[0]): operator for operator in graph.operators}
    layer = next(operator for operator in graph.operators if weight in map(int, operator.inputs))
    ahead = makers.get(int(layer.inputs[0]))
    while ahead is not None and graph.kind(ahead) in ("QUANTIZE", "DEQUANTIZE", "PAD"):
        ahead = makers.get(int(ahead.inputs[0]))
    if ahead is None or graph.kind(ahead) != "MUL":
        raise InternalError(f"{graph.name(weight)} was smoothed, but nothing divides its layer's input")
    shares = graph.constant(int(ahead.inputs[1]))
    assert shares is not None, graph.name(int(ahead.inputs[1]))
    restored = values.copy()
    restored[:, : shares.size] *= shares
    return restored


def unevened(graph: Graph, constant: int, values: Floats) -> Floats:
    """A weight or a bias without the factors that multiply what its layer makes, found in the MUL behind it."""
    layer = next(operator for operator in graph.operators if constant in map(int, operator.inputs))
    result = int(layer.outputs[0])
    readers = graph.readers()
    while (behind := readers[result][0]) is not None and graph.kind(behind) in ("QUANTIZE", "DEQUANTIZE"):
        result = int(behind.outputs[0])
    shares = None if behind is None or graph.kind(behind) != "MUL" else graph.constant(int(behind.inputs[1]))
    if shares is None:
        raise InternalError(f"{graph.name(constant)} was evened, but nothing multiplies what its layer makes")
    return values * shares.reshape(-1, *[1] * (values.ndim - 1))


def unpack(graph: Graph, tensor: int) -> NDArray[Any]:
    """The stored numbers, in the tensor's shape; int4 as int8."""
    if graph.dtype(tensor) != "INT4":
        values = graph.constant(tensor)
        assert values is not None, graph.name(tensor)
        return values
    packed = graph.model.buffers[graph.subgraph.tensors[tensor].buffer].data.view(np.int8)
    pairs = np.stack([np.left_shift(packed, 4) >> 4, packed >> 4], axis=1)  # the first is in the low half
    shape = graph.shape(tensor)
    codes: NDArray[Any] = pairs.reshape(-1)[: int(np.prod(shape))].reshape(shape)
    return codes


def orientations(values: NDArray[Any]) -> list[NDArray[Any]]:
    """A constant as TFLite has it; filters, [out, …, in] there, also as ONNX has them, [out, in, …]."""
    if values.ndim != 4:
        return [values]
    return [values, values.transpose(0, 3, 1, 2), values.transpose(3, 0, 1, 2)]


def _relative_error(wanted: Floats, stored: Floats) -> float:
    """`stored` may be transposed, have extents of 1 added, or columns of zeros at the end."""
    norm = float(np.linalg.norm(wanted)) or 1.0
    errors = [1.0]
    for one in [wanted, wanted.T] if wanted.ndim == 2 else [wanted]:
        for other in orientations(stored):
            if other.ndim == one.ndim == 2 and other.shape[0] == one.shape[0] and other.shape[1] >= one.shape[1]:
                errors.append(float(np.linalg.norm(other[:, : one.shape[1]] - one)) / norm)
            elif np.squeeze(other).shape == np.squeeze(one).shape:
                errors.append(float(np.linalg.norm(np.squeeze(other) - np.squeeze(one))) / norm)
    return round(min(errors), 6)
