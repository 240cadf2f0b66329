"""The operations of a compiled IR, with the checkpoint's layers."""

from __future__ import annotations

import re

from edgeslm.artifacts import CompiledModel, LoweredModel, OnnxModel
from edgeslm.backends.openvino.ir import read_ir
from edgeslm.backends.operator_layers import ConvertedOperator, ExportedLayers, is_matrix, name_layers
from edgeslm.formats.operator_layers import OperatorLayers

COPY = re.compile(r"#\d+$")
NO_OPERATORS = {"Parameter", "Result"}


def operator_layers(compiled: CompiledModel, lowered: LoweredModel, model: OnnxModel) -> OperatorLayers:
    """What depends on an input of the model, in the graph's order. Names are those that the runtime profiles by."""
    parameters = set(lowered.tensors.values())
    place_of: dict[str, int] = {}
    weights: dict[str, tuple[str, ...]] = {}  # of what depends on no input: the parameters that it is made from
    operators: list[ConvertedOperator] = []
    for operation in read_ir(compiled.root).get_ordered_ops():
        name, kind = operation.get_friendly_name(), operation.get_type_name()
        inputs = [value.get_node().get_friendly_name() for value in operation.input_values()]
        used = tuple(dict.fromkeys(weight for source in inputs for weight in weights.get(source, ())))
        if kind in NO_OPERATORS:
            continue
        if all(source in weights for source in inputs):
            own = COPY.sub("", name)
            is_weight = own in parameters and is_matrix(operation.get_output_shape(0))
            weights[name] = (own,) if is_weight else used
            continue
        reads = tuple(dict.fromkeys(place_of[source] for source in inputs if source in place_of))
        names = (name, *sorted(tensor for output in operation.outputs() for tensor in output.get_names()))
        place_of[name] = len(operators)
        operators.append(ConvertedOperator(kind, name, names, used, reads))
    return OperatorLayers({"": name_layers(operators, ExportedLayers.of(model, min(model.files)))})
