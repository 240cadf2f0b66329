"""Which layer of the checkpoint an operator of a compiled graph computes.

Decided by the first of these that says something:
1. Its weight: a matrix of the checkpoint among its constants. The exported graph knows the module whose node reads that
   parameter; where several do (a tied decoder's table), the operator's name tells which.
2. Its name: the exported graph's nodes know the module they come from, and most converted operators keep a name of it.
3. What it is for: operators that converters and quantizers add, and all but the last of those that they make of one
   node, compute something for the operators that read their results. It is the innermost module that all of those
   lie in.

Vectors are no evidence: they are found by their values, and many a bias is all zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeslm.artifacts import OnnxModel
from edgeslm.formats.onnx_file import load_onnx
from edgeslm.formats.operator_layers import GraphOperator, common_layer

WHOLE = ""
"""The layer of what the model does outside of all its modules: masks, pooling."""


@dataclass(frozen=True)
class ConvertedOperator:
    """An operator as a backend knows it. `names` are those that the exported graph may have for it."""

    kind: str
    name: str
    names: tuple[str, ...]
    weights: tuple[str, ...]  # parameters of the checkpoint among its constants: matrices only
    reads: tuple[int, ...]  # places of the operators whose results it takes, all of them earlier


@dataclass(frozen=True)
class ExportedLayers:
    """What the exported graph knows: name of a node, or of a value it makes -> its module; parameter -> the modules
    that read it."""

    of_name: Mapping[str, str]
    of_parameter: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, model: OnnxModel, length: int) -> ExportedLayers:
        from edgeslm.passes.strip_metadata import LAYER  # a pass: it imports onnx_ir, which a cached build never needs

        of_name: dict[str, str] = {}
        of_parameter: dict[str, dict[str, None]] = {}
        for node in load_onnx(model.path(length)).graph.all_nodes():
            layer = node.metadata_props.get(LAYER, WHOLE)
            of_name |= {name: layer for name in (node.name, *(value.name for value in node.outputs)) if name}
            for value in node.inputs:
                if value is not None and value.name in model.parameter_of:
                    of_parameter.setdefault(model.parameter_of[value.name], {})[layer] = None
        return cls(of_name, {parameter: tuple(layers) for parameter, layers in of_parameter.items()})


def is_matrix(shape: Sequence[int]) -> bool:
    return sum(extent > 1 for extent in shape) > 1


def name_layers(operators: Sequence[ConvertedOperator], exported: ExportedLayers) -> tuple[GraphOperator, ...]:
    """The operators with their layers."""
    layers = [_own_layer(operator, exported) for operator in operators]
    readers: list[list[int]] = [[] for _ in operators]
    for place, operator in enumerate(operators):
        for read in operator.reads:
            readers[read].append(place)
    for place in reversed(range(len(operators))):
        if layers[place] is None:
            layers[place] = common_layer(layers[reader] for reader in readers[place]) or WHOLE
    return tuple(
        GraphOperator(operator.kind, operator.name, layer or None, operator.reads)
        for operator, layer in zip(operators, layers, strict=True)
    )


def _own_layer(operator: ConvertedOperator, exported: ExportedLayers) -> str | None:
    """What the operator itself tells of its layer; None where that is nothing."""
    named = next((exported.of_name[name] for name in operator.names if name in exported.of_name), None)
    if not operator.weights:
        return named
    readers = {layer for weight in operator.weights for layer in exported.of_parameter.get(weight, ())}
    module = named if named in readers else common_layer(readers) or WHOLE
    holder = common_layer(weight.rpartition(".")[0] for weight in operator.weights) or WHOLE
    # A module may use the weight of one inside of it.
    return holder if module == WHOLE or holder.startswith(f"{module}.") else module
