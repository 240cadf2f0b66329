"""How every checkpoint parameter ended up in an IR, read from the IR itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeslm.artifacts import Parameter, Precision, StoredTensor, TensorChoice
from edgeslm.backends.openvino.ir import source_constants
from edgeslm.errors import InternalError
from edgeslm.quantize.plan import stored_bytes

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

PRECISIONS: dict[str, Precision] = {
    "f32": "fp32", "f16": "fp16", "i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4",
}  # fmt: skip
TOLERANCE = 1.05
ALLOWANCE = 4096  # shapes of reshapes, scales of tensors of a few rows


def find_stored(model: openvino.Model, parameter_of: Mapping[str, str], notes: Mapping[str, str]) -> list[StoredTensor]:
    """One entry a parameter, in the order of the graph; bytes of copies are added up.

    `parameter_of`: name of the operation that gives the weight -> parameter.
    """
    stored: dict[str, StoredTensor] = {}
    for operation in model.get_ordered_ops():
        name = operation.get_friendly_name()
        parameter = parameter_of.get(name)
        sources = source_constants(operation) if parameter else None
        if parameter is None or not sources:
            continue
        largest = max(sources, key=lambda constant: math.prod(constant.get_output_shape(0)))
        precision = PRECISIONS[largest.get_element_type().get_type_name()]
        size = sum(constant.get_byte_size() for constant in sources)
        before = stored.get(parameter)
        if before is None:
            stored[parameter] = StoredTensor(parameter, name, precision, size, notes.get(parameter, ""))
        else:
            stored[parameter] = StoredTensor(
                parameter, before.tensor, precision, before.bytes + size, before.note or "stored more than once"
            )
    return list(stored.values())


def require_as_planned(
    stored: list[StoredTensor], choices: Mapping[str, TensorChoice], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raises InternalError where a tensor is not what the plan asked for and no note says why, or is larger."""
    for tensor in stored:
        choice = choices[tensor.parameter]
        if tensor.note:
            continue
        if tensor.precision != choice.precision:
            raise InternalError(
                f"{tensor.parameter} is stored as {tensor.precision}, but {choice.precision} was planned"
            )
        planned = stored_bytes(Parameter(tensor.parameter, shapes[tensor.parameter], "other"), choice)
        if tensor.bytes > TOLERANCE * planned + ALLOWANCE:
            raise InternalError(f"{tensor.parameter} takes {tensor.bytes} bytes, {planned} were planned")
