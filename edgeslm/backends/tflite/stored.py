"""How every checkpoint parameter ended up in a compiled .tflite, read from the file itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgeslm.artifacts import Parameter, StoredTensor, TensorChoice
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.half import HALF
from edgeslm.backends.tflite.weights import PRECISIONS
from edgeslm.errors import InternalError
from edgeslm.quantize.plan import stored_bytes

TOLERANCE = 1.05
ALLOWANCE = 4096  # bytes: tables of zero points
FOLDED = "folded into other constants of the graph, which are float32"


def find_stored(
    model: Any, tensors: Mapping[str, str], notes: Mapping[str, str], parameters: Iterable[str]
) -> list[StoredTensor]:
    """One entry for each of `parameters`, in the order of the first graph. Copies that differ are added up.

    `tensors`: name of a constant -> parameter; `notes`: parameter -> why it is not what the plan asked for. What no
    constant holds any more was multiplied or added into others while converting.
    """
    found: dict[str, StoredTensor] = {}
    counted: set[tuple[str, int]] = set()
    for position in range(len(model.subgraphs)):
        graph = Graph(model, position)
        for tensor, described in enumerate(graph.subgraph.tensors):
            parameter = tensors.get(graph.name(tensor).removesuffix(HALF))
            if parameter is None or described.buffer == 0 or (parameter, described.buffer) in counted:
                continue
            counted.add((parameter, described.buffer))
            size = len(model.buffers[described.buffer].data) + _scale_bytes(graph, described)
            note = notes.get(parameter, "")
            if graph.dtype(tensor) == "INT32":
                note = note or "a bias of 32-bit integers, in steps of its layer's scales"
            before = found.get(parameter)
            if before is None:
                precision = PRECISIONS[graph.dtype(tensor)]
                found[parameter] = StoredTensor(parameter, graph.name(tensor), precision, size, note)
            else:
                found[parameter] = StoredTensor(
                    parameter, before.tensor, before.precision, before.bytes + size, before.note or "stored twice"
                )
    folded = [parameter for parameter in dict.fromkeys(parameters) if parameter not in found]
    return [*found.values(), *(StoredTensor(parameter, "", "fp32", 0, FOLDED) for parameter in folded)]


def require_as_planned(
    stored: list[StoredTensor], choices: Mapping[str, TensorChoice], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Quantizers are known to skip layers without a word.

    Raises InternalError where a tensor is larger or of another precision than planned and no note says why.
    """
    for tensor in stored:
        choice = choices.get(tensor.parameter)
        if tensor.note or choice is None:
            continue
        if tensor.precision != choice.precision:
            raise InternalError(f"{tensor.parameter} is stored as {tensor.precision}, planned was {choice.precision}")
        planned = stored_bytes(Parameter(tensor.parameter, shapes[tensor.parameter], "other"), choice)
        # int8 weights have an int64 zero point beside each scale
        planned += 8 * max(shapes[tensor.parameter], default=0) if choice.precision == "int8" else 0
        if tensor.bytes > TOLERANCE * planned + ALLOWANCE:
            raise InternalError(f"{tensor.parameter} takes {tensor.bytes} bytes, planned were {planned}")


def _scale_bytes(graph: Graph, described: Any) -> int:
    quantization = described.quantization
    if quantization is None:
        return 0
    if quantization.details is not None:
        scales = graph.constant(quantization.details.scales)
        return 0 if scales is None else scales.nbytes
    parts = [(quantization.scale, 4), (quantization.zeroPoint, 8)]
    return sum(np.size(values) * width for values, width in parts if values is not None)
