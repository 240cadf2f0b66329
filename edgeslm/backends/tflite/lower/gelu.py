"""GELU: as ONNX's own operator, or written out with Erf or Tanh as older exporters and transformers' `gelu_new` do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeslm.backends.tflite.lower.fusion import Fusion, is_number, only_reader_of
from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute

if TYPE_CHECKING:
    import onnx_ir


def lower_gelu(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    (value,) = node.inputs
    assert value is not None
    _emit(value, node.outputs[0], graph, approximate=attribute(node, "approximate", "none") == "tanh")


def find_gelu(node: onnx_ir.Node) -> Fusion | None:
    """x * 0.5 * (1 + f(x)), its factors in any order, with f an Erf or a Tanh as GELU has them."""
    if node.op_type != "Mul":
        return None
    factors = _factors(node, 3)
    sums = [(place, found) for place, factor in enumerate(factors) if (found := _bell(factor)) is not None]
    if len(factors) != 3 or len(sums) != 1:
        return None
    place, (given, approximate) = sums[0]
    others = [factor for index, factor in enumerate(factors) if index != place]
    halves = [factor for factor in others if is_number(factor, 0.5)]
    if len(halves) != 1 or not any(factor is given for factor in others):
        return None

    def lower(last: onnx_ir.Node, graph: LoweringGraph) -> None:
        _emit(given, last.outputs[0], graph, approximate=approximate)

    return Fusion(lower, (given,))


def _emit(value: onnx_ir.Value, result: onnx_ir.Value, graph: LoweringGraph, *, approximate: bool) -> None:
    graph.emit("GELU", [graph.tensor(value)], graph.result(result), "Gelu", approximate=approximate)


def _factors(node: onnx_ir.Node, most: int) -> list[onnx_ir.Value]:
    """What a tree of Muls multiplies, `most` values or more."""
    factors: list[onnx_ir.Value] = [value for value in node.inputs if value is not None]
    for place, factor in enumerate(list(factors)):
        inner = only_reader_of(factor, "Mul")
        if inner is not None and len(factors) < most:
            factors[place : place + 1] = [value for value in inner.inputs if value is not None]
            break
    return factors


def _bell(value: onnx_ir.Value) -> tuple[onnx_ir.Value, bool] | None:
    """(x, whether by Tanh) of 1 + f(x)."""
    addition = only_reader_of(value, "Add")
    if addition is None:
        return None
    for place, term in enumerate(addition.inputs):
        if not is_number(addition.inputs[1 - place], 1.0):
            continue
        erf, tanh = only_reader_of(term, "Erf"), only_reader_of(term, "Tanh")
        given = _scaled_for_erf(erf.inputs[0]) if erf is not None else None
        given = _cubic(tanh.inputs[0]) if tanh is not None else given
        if given is not None:
            return given, tanh is not None
    return None


def _scaled_for_erf(value: onnx_ir.Value | None) -> onnx_ir.Value | None:
    """x of x / sqrt(2)."""
    quotient = only_reader_of(value, "Div")
    if quotient is not None and is_number(quotient.inputs[1], math.sqrt(2)):
        return quotient.inputs[0]
    return _times(value, math.sqrt(0.5))


def _cubic(value: onnx_ir.Value | None) -> onnx_ir.Value | None:
    """x of sqrt(2 / pi) * (x + 0.044715 * x ** 3)."""
    total = _times(value, math.sqrt(2 / math.pi))
    addition = only_reader_of(total, "Add")
    if addition is None:
        return None
    for place, term in enumerate(addition.inputs):
        power = only_reader_of(_times(term, 0.044715), "Pow")
        given = addition.inputs[1 - place]
        if power is not None and power.inputs[0] is given and is_number(power.inputs[1], 3.0):
            return given
    return None


def _times(value: onnx_ir.Value | None, number: float) -> onnx_ir.Value | None:
    """The other factor of a product with this number."""
    product = only_reader_of(value, "Mul")
    if product is None:
        return None
    return next((product.inputs[1 - i] for i, one in enumerate(product.inputs) if is_number(one, number)), None)
