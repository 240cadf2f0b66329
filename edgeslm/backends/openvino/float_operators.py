"""Which operators of a quantized graph still compute in float."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edgeslm.quantize.schemes import Scheme

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

MOVES = frozenset(
    """
    Parameter Constant Result Reshape Transpose Gather GatherND GatherElements ShapeOf Squeeze Unsqueeze Convert
    ConvertLike ConstantOfShape Concat Slice StridedSlice Range Broadcast FakeQuantize Pad Split VariadicSplit Tile
    Select Equal Greater GreaterEqual Less LessEqual NotEqual LogicalAnd LogicalOr LogicalNot ScatterUpdate
    ScatterNDUpdate TopK NonZero OneHot Assign ReadValue
    """.split()  # noqa: SIM905  # a list of fifty strings is fifty lines
)
"""Operators that move, select or compare values: there is no arithmetic to do in integers."""
PRODUCTS = ("MatMul", "Convolution", "GroupConvolution")


def float_operators(model: openvino.Model, scheme: Scheme) -> tuple[str, ...]:
    """Type and number of operators that compute in float although `scheme` computes in integers.

    With dynamic activations it is the runtime that quantizes them, and only on CPUs that have int8 dot products.
    """
    if scheme.activations == "float":
        return ()
    varying: set[str] = set()  # depends on an input of the model; the rest is weights
    floats: Counter[str] = Counter()
    expanded = 0
    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        inputs = [value.get_node() for value in operation.input_values()]
        if kind != "Parameter" and not any(node.get_friendly_name() in varying for node in inputs):
            continue
        varying.add(operation.get_friendly_name())
        if kind in MOVES or not operation.get_output_element_type(0).is_real():
            continue
        if kind in PRODUCTS and scheme.activations == "static" and _is_static(inputs):
            continue
        if kind in PRODUCTS and _is_expanded(inputs, varying, scheme):
            expanded += 1
        else:
            floats[kind] += 1
    listed = [f"{kind} ({count})" for kind, count in sorted(floats.items())]
    if expanded:
        listed.append(f"MatMul with {scheme.linear} weights ({expanded}), on CPUs without VNNI")
    return tuple(listed)


def _is_static(inputs: list[openvino.Node]) -> bool:
    return any(node.get_type_name() == "FakeQuantize" for node in inputs)


def _is_expanded(inputs: list[openvino.Node], varying: set[str], scheme: Scheme) -> bool:
    """A product with a weight that is expanded from codes; nncf leaves their product with the scales last."""
    weights = [node for node in inputs if node.get_friendly_name() not in varying]
    if scheme.activations == "static":
        return any(node.get_type_name() == "Multiply" for node in weights)
    return any(node.get_type_name() != "Constant" for node in weights)
