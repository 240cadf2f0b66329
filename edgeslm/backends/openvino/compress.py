"""Putting rounded weights into the graph, in the form that OpenVINO's CPU kernels read without expanding them.

codes -> Convert -> Subtract(zero points) -> Multiply(scales) -> [Reshape] -> Convert to float32 -> MatMul or Gather:
what nncf.compress_weights writes. It is written here because nncf leaves tables alone that are sliced rather than
gathered, keeps the last layer of an int4 model at int8, refuses a width that is no multiple of the group, and
without text rounds blocks by their minimum and maximum (MiniLM int4, worst cosine on ten texts: 0.931; with searched
scales 0.937; on the built-in texts 0.924, with error feedback 0.959).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import TensorChoice
from edgeslm.backends.openvino.feedback import round_with_feedback
from edgeslm.backends.openvino.installed import import_openvino
from edgeslm.backends.openvino.ir import constants, values_of
from edgeslm.backends.openvino.moments import Moments
from edgeslm.backends.openvino.rounding import pack_nibbles, pad_columns, round_blocks, round_rows

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

WEIGHT_PORT = 1  # of a MatMul: where exporters put the weight


def compress_weights(
    model: openvino.Model,
    parameter_of: Mapping[str, str],
    choices: Mapping[str, TensorChoice],
    moments: Mapping[str, Moments],
) -> dict[str, str]:
    """Store every mapped constant of `model`, in place, as `choices` wants its parameter.

    `parameter_of`: constant's name -> checkpoint parameter. `moments`: constant's name -> second moments of what its
    MatMul reads; a constant that has them is rounded with error feedback. Returns notes, parameter -> why it is
    stored otherwise than chosen, or what was added to it.
    """
    notes: dict[str, str] = {}
    padded: dict[tuple[str, int, int], openvino.Output] = {}
    for constant in list(constants(model)):
        parameter = parameter_of.get(constant.get_friendly_name())
        choice = choices.get(parameter or "")
        if parameter is None or choice is None or str(constant.get_element_type().to_dtype()) != "float32":
            continue
        note = _compress(constant, choice, padded, moments.get(constant.get_friendly_name()))
        if note:
            notes[parameter] = note
    return notes


def _compress(
    constant: openvino.Node,
    choice: TensorChoice,
    padded: dict[tuple[str, int, int], openvino.Output],
    moments: Moments | None,
) -> str:
    """Store one constant as chosen. Returns a note, empty where there is nothing to say."""
    if choice.precision == "fp32":
        return ""
    if choice.precision == "fp16":
        _replace(constant, _halved(constant))
        return ""
    if values_of(constant).ndim != 2:
        _replace(constant, _halved(constant))
        return "fp16: integers are for two-dimensional weights"
    products = [_product_of(target) for target in constant.output(0).get_target_inputs()]
    transposed = {product is not None and not product.get_attributes()["transpose_b"] for product in products}
    if len(transposed) > 1:
        _replace(constant, _halved(constant))
        return "fp16: used in both orientations"
    if choice.precision == "int8" or None in products or choice.group is None:
        _replace(constant, _rounded_rows(constant, transposed == {True}, moments if None not in products else None))
        return "" if choice.precision == "int8" else "int8: a table that is looked up has no blocks"
    weights = values_of(constant).T if transposed == {True} else values_of(constant)
    missing_columns = -weights.shape[1] % choice.group
    if moments is not None:
        moments = np.pad(moments, (0, missing_columns))
    source = _rounded_blocks(constant, pad_columns(weights, choice.group), choice.group, moments)
    for product in products:
        assert product is not None
        _multiply(product, source, missing_columns, padded)
    _take_name(constant, source)
    return f"{missing_columns} columns of zeros added to fill the last block" if missing_columns else ""


def _product_of(target: openvino.Input) -> openvino.Node | None:
    """The MatMul that takes this weight as its second factor, or None for any other use."""
    node = target.get_node()
    return node if node.get_type_name() == "MatMul" and target.get_index() == WEIGHT_PORT else None


def _replace(constant: openvino.Node, source: openvino.Node) -> None:
    """Every use of the constant reads `source` instead, which takes over its name."""
    for target in list(constant.output(0).get_target_inputs()):
        target.replace_source_output(source.output(0))
    _take_name(constant, source)


def _take_name(constant: openvino.Node, source: openvino.Node) -> None:
    name = constant.get_friendly_name()
    constant.set_friendly_name(f"{name} (fp32)")
    source.set_friendly_name(name)


def _halved(constant: openvino.Node) -> openvino.Node:
    from openvino import opset13 as ops

    limit = np.finfo(np.float16).max
    half = ops.constant(np.clip(values_of(constant), -limit, limit).astype(np.float16))
    half.set_friendly_name(f"{constant.get_friendly_name()}/fp16")
    return ops.convert(half, "f32")


def _rounded_rows(constant: openvino.Node, along_columns: bool, moments: Moments | None) -> openvino.Node:
    """int8 with a scale to every row, or to every column where the constant lies [in, out]."""
    from openvino import opset13 as ops

    values = values_of(constant).T if along_columns else values_of(constant)
    rounded = round_rows(values) if moments is None else round_with_feedback(values, moments, None)
    parts: list[NDArray[Any]] = [
        array.reshape(array.shape[0], -1) for array in (rounded.codes, rounded.zero_points, rounded.scales)
    ]
    if along_columns:
        parts = [np.ascontiguousarray(array.T) for array in parts]
    codes, zero_points, scales = (ops.constant(array) for array in parts)
    return dequantized(constant.get_friendly_name(), codes, zero_points, scales, None)


def _rounded_blocks(
    constant: openvino.Node, weights: NDArray[np.float32], group: int, moments: Moments | None
) -> openvino.Node:
    """int4 in blocks; the source's shape is that of `weights`, [out, padded in]."""
    from openvino import opset13 as ops

    rounded = round_blocks(weights, group) if moments is None else round_with_feedback(weights, moments, group)
    codes, zero_points = nibbles(rounded.codes), nibbles(rounded.zero_points)
    scales = ops.constant(rounded.scales)
    return dequantized(constant.get_friendly_name(), codes, zero_points, scales, weights.shape)


def dequantized(
    name: str,
    codes: openvino.Node,
    zero_points: openvino.Node,
    scales: openvino.Node,
    shape: tuple[int, ...] | None,
) -> openvino.Node:
    from openvino import opset13 as ops

    for node, what in ((codes, "codes"), (zero_points, "zero_points"), (scales, "scales")):
        node.set_friendly_name(f"{name}/{what}")
    steps = ops.subtract(ops.convert(codes, "f16"), ops.convert(zero_points, "f16"))
    source = ops.multiply(steps, scales)
    if shape is not None:
        source = ops.reshape(source, ops.constant(np.asarray(shape, dtype=np.int64)), False)
    return ops.convert(source, "f32")


def nibbles(codes: NDArray[np.uint8]) -> openvino.Node:
    openvino = import_openvino()
    from openvino import opset13 as ops

    tensor = openvino.Tensor(openvino.Type.u4, openvino.Shape(codes.shape))
    tensor.data[:] = pack_nibbles(codes)
    return ops.constant(tensor)


def _multiply(
    product: openvino.Node,
    source: openvino.Node,
    missing_columns: int,
    padded: dict[tuple[str, int, int], openvino.Output],
) -> None:
    """Give the MatMul the new weight, [out, in], and its other factor the columns that were added."""
    from openvino import opset13 as ops

    left = product.input_value(0)
    transpose_left = bool(product.get_attributes()["transpose_a"])
    if missing_columns:
        key = (left.get_node().get_friendly_name(), left.get_index(), missing_columns)
        if key not in padded:
            rank = left.get_partial_shape().rank.get_length()
            ends = np.zeros(rank, dtype=np.int64)
            ends[-2 if transpose_left else -1] = missing_columns
            zero = ops.constant(np.float32(0))
            padded[key] = ops.pad(left, np.zeros(rank, dtype=np.int64), ends, "constant", zero).output(0)
        left = padded[key]
    replacement = ops.matmul(left, source, transpose_left, True)
    replacement.set_friendly_name(product.get_friendly_name())
    product.set_friendly_name(f"{product.get_friendly_name()} (fp32)")
    names = product.output(0).get_names()
    for target in list(product.output(0).get_target_inputs()):
        target.replace_source_output(replacement.output(0))
    replacement.output(0).set_names(names)
