"""The operators of each signature of a compiled .tflite, with the checkpoint's layers."""

from __future__ import annotations

from collections.abc import Mapping

from edgeslm.artifacts import CompiledModel, LoweredModel, OnnxModel
from edgeslm.backends.operator_layers import ConvertedOperator, ExportedLayers, is_matrix, name_layers
from edgeslm.backends.tflite.evening import EVENED
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.half import HALF
from edgeslm.backends.tflite.linear import PADDED
from edgeslm.backends.tflite.lowering import signature_names
from edgeslm.backends.tflite.smoothing import SMOOTHED
from edgeslm.formats.operator_layers import OperatorLayers
from edgeslm.formats.tflite import read_tflite

CHANGED = (SMOOTHED, EVENED, PADDED, HALF)
"""What the name of a weight ends with after it was changed, in any order."""
EXPANDS = "DEQUANTIZE"
"""What stands between a weight of another type and the operator that uses it."""


def operator_layers(compiled: CompiledModel, lowered: LoweredModel, model: OnnxModel) -> OperatorLayers:
    """Names are the tensors' that the operators make, without the signature in front."""
    described = read_tflite(compiled.root / compiled.files[0])
    positions = {
        signature.signatureKey.decode(): signature.subgraphIndex for signature in described.signatureDefs or []
    }
    return OperatorLayers(
        {
            name: name_layers(
                _operators(Graph(described, positions[name]), f"{name}/", lowered.tensors),
                ExportedLayers.of(model, length),
            )
            for length, name in signature_names(model.lengths).items()
        }
    )


def _operators(graph: Graph, prefix: str, tensors: Mapping[str, str]) -> list[ConvertedOperator]:
    operators: list[ConvertedOperator] = []
    maker: dict[int, int] = {}
    varying = {int(tensor) for tensor in graph.subgraph.inputs}
    for place, operator in enumerate(graph.operators):
        inputs = [int(tensor) for tensor in operator.inputs if tensor >= 0]
        outputs = [int(tensor) for tensor in operator.outputs]
        weights: list[str] = []
        for tensor in inputs:
            if tensor not in maker and is_matrix(graph.shape(tensor)):
                weights += _parameters(graph.name(tensor), tensors)
            elif tensor not in varying and tensor in maker and operators[maker[tensor]].kind == EXPANDS:
                weights += operators[maker[tensor]].weights
        reads = dict.fromkeys(maker[tensor] for tensor in inputs if tensor in maker)
        name = graph.name(outputs[0]).removeprefix(prefix)
        operators.append(
            ConvertedOperator(graph.kind(operator), name, (name,), tuple(dict.fromkeys(weights)), tuple(reads))
        )
        maker |= dict.fromkeys(outputs, place)
        if varying.intersection(inputs):
            varying.update(outputs)
    return operators


def _parameters(name: str, tensors: Mapping[str, str]) -> list[str]:
    """The checkpoint parameter in a constant, if one is; a changed one keeps its name and gets an ending."""
    while name not in tensors and name.endswith(CHANGED):
        name = name[: name.rfind("/")]
    return [tensors[name]] if name in tensors else []
