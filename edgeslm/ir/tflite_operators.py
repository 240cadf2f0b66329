"""One function for each .tflite operator: its options and constants as nodes, its shapes checked.

A fused activation becomes a Clamp behind the node: of integers of one scale that is the same, to the bit. A file says
which shape each result has; what follows from the operands is compared with it, so a lie ends here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Literal

import numpy as np

from edgeslm.formats.flatbuffer import DamageError
from edgeslm.formats.tflite_file import TfliteOperator, damaged
from edgeslm.ir import nodes
from edgeslm.ir.fixed_point import Multiplier
from edgeslm.ir.graph import Tensor
from edgeslm.ir.requantize import (
    ROOT_SHIFT,
    SOFTMAX_BITS,
    argument_scaling,
    inverse_root_multiplier,
    linear_multipliers,
    mean_multiplier,
    product_multiplier,
    ratio_multiplier,
    scale_of,
    squared_difference_scaling,
    sum_scaling,
)
from edgeslm.ir.tflite_reader import CLAMPS, MAKE_INT8, TfliteReader, options

Operator = Callable[[TfliteReader, TfliteOperator], None]
Shape = tuple[int, ...]
MOST_TERMS = 2**31 // (128 * 255)  # of a sum of products of int8 that int32 holds in any case
LONGEST_SOFTMAX = 2**12 - 1  # its sum has 12 integer bits
MOST_SHIFT = 30  # to the left, of what is int32
TOO_SMALL = "its input's scale is too small to tell numbers apart"
BIAS_TOLERANCE = 0.02  # of the output's step: how far a bias' scale may be from the product of the other two


def add_operator(reader: TfliteReader, operator: TfliteOperator) -> None:
    """The operator's nodes. Raises UnsupportedOpError for one that is not in the table, or a form that has no kind;
    CheckpointError for options that lie outside the file."""
    if operator.kind not in OPERATORS:
        reader.refuse(operator, "the graph for compilers has no such operator")
    count, function = OPERATORS[operator.kind]
    if len(operator.inputs) < count or not operator.outputs or (len(operator.outputs) > 1 and operator.kind != "SPLIT"):
        given = f"{len(operator.inputs)} inputs and {len(operator.outputs)} outputs"
        reader.refuse(operator, f"it has {given}")
    try:
        function(reader, operator)
    except DamageError as error:  # options are read where it is known what they are
        raise damaged(reader.file.name, f"{reader.file.describe(operator)}: its options: {error}") from error


# ---- Arithmetic in int8 ----------------------------------------------------------------------------------------------


def _fully_connected(reader: TfliteReader, operator: TfliteOperator) -> None:
    x, out = _int8(reader, operator, operator.inputs[0]), _int8(reader, operator, operator.outputs[0])
    weight = _weight(reader, operator)
    rows, terms = weight.shape
    if options(operator).integer(1, "b"):
        reader.refuse(operator, "its weights are in a shuffled order")
    if x.elements % terms or terms > MOST_TERMS:
        reader.refuse(operator, f"its input {list(x.shape)} does not go with weights {list(weight.shape)}")
    inputs = [reader.value(operator, index) for index in operator.inputs[:2]]
    shape = x.shape
    if not shape or shape[-1] != terms:
        shape = (x.elements // terms, terms)
        flat = Tensor(f"{out.name}#x", shape, x.dtype, x.quantization)
        inputs[0] = reader.append(operator, nodes.Reshape(), inputs[:1], flat)
    if reader.has(operator, 2):
        _check_bias(reader, operator, x, weight, out)
        inputs.append(reader.value(operator, operator.inputs[2]))
    _check_factors(reader, operator, linear_multipliers(x, weight, out))
    _finish(reader, operator, nodes.Linear(), inputs, (*shape[:-1], rows), reader.clamp(operator, 0))


def _weight(reader: TfliteReader, operator: TfliteOperator) -> Tensor:
    """(N, K), with one scale or one for each row."""
    weight = reader.tensor(operator, reader.given(operator, 1))
    found = reader.file.tensors[operator.inputs[1]]
    if weight.dtype != "int8" or weight.quantization is None or len(weight.shape) != 2:
        reader.refuse(operator, f'its weights "{found.name}" are {list(weight.shape)} of {found.type}', MAKE_INT8)
    scales = weight.quantization
    if scales.axis not in (None, 0) or (scales.axis == 0 and scales.zero_points):
        reader.refuse(operator, f'"{found.name}" has scales along axis {scales.axis}, or zero points by channel')
    return weight


def _check_bias(reader: TfliteReader, operator: TfliteOperator, x: Tensor, weight: Tensor, out: Tensor) -> None:
    bias, found = reader.tensor(operator, operator.inputs[2]), reader.file.tensors[operator.inputs[2]]
    if found.type != "INT32" or found.data is None or bias.shape != weight.shape[:1]:
        reader.refuse(
            operator, f'its bias "{found.name}" is {list(bias.shape)} of {found.type}, not {weight.shape[0]} INT32'
        )
    if bias.quantization is None or not (x.quantization and weight.quantization and out.quantization):
        return
    steps = np.array(weight.quantization.scales) * x.quantization.scales[0]
    scales = np.array(bias.quantization.scales)
    if scales.size not in (1, steps.size) or any(bias.quantization.zero_points):
        reader.refuse(operator, f'its bias "{found.name}" has {scales.size} scales, or zero points')
    if (abs(steps - scales) > BIAS_TOLERANCE * out.quantization.scales[0]).any():
        reader.refuse(operator, f"the scale of its bias \"{found.name}\" is not the product of input's and weights'")


def _batch_matmul(reader: TfliteReader, operator: TfliteOperator) -> None:
    tensors = [_int8(reader, operator, index) for index in operator.inputs[:2]]
    out = _int8(reader, operator, operator.outputs[0])
    if any(len(one.shape) < 2 for one in tensors):
        reader.refuse(operator, "a factor has less than two axes")
    names = [reader.value(operator, index) for index in operator.inputs[:2]]
    shapes = []
    for place, tensor in enumerate(tensors):
        shape = tensor.shape
        if options(operator).number(place, "?", False):
            order = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
            shape = (*shape[:-2], shape[-1], shape[-2])
            turned = Tensor(f"{out.name}#{'xy'[place]}", shape, tensor.dtype, tensor.quantization)
            names[place] = reader.append(operator, nodes.Transpose(order), [names[place]], turned)
        shapes.append(shape)
    (*_, rows, terms), (*_, others, columns) = shapes
    if terms != others or terms > MOST_TERMS:
        reader.refuse(operator, f"{list(shapes[0])} does not go with {list(shapes[1])}")
    lead = _broadcast(reader, operator, [shape[:-2] for shape in shapes])
    _check_factors(reader, operator, [product_multiplier(tensors[0], tensors[1], out)])
    _finish(reader, operator, nodes.MatMul(), names, (*lead, rows, columns))


def _binary(function: Literal["add", "sub", "mul", "squared_difference"], fuses: bool = True) -> Operator:
    def read(reader: TfliteReader, operator: TfliteOperator) -> None:
        a, b = tensors = [_int8(reader, operator, index) for index in operator.inputs[:2]]
        out = _int8(reader, operator, operator.outputs[0])
        if function == "mul":
            _check_factors(reader, operator, [product_multiplier(a, b, out)])
        elif function == "squared_difference":
            _check_factors(reader, operator, [squared_difference_scaling(a, b, out).result])
        else:
            _check_factors(reader, operator, [sum_scaling(a, b, out).result], most=0)
        shape = _broadcast(reader, operator, [one.shape for one in tensors])
        names = [reader.value(operator, index) for index in operator.inputs[:2]]
        clamp = reader.clamp(operator, 0) if fuses else None
        _finish(reader, operator, nodes.Binary(function), names, shape, clamp)

    return read


def _softmax(reader: TfliteReader, operator: TfliteOperator) -> None:
    x = _int8(reader, operator, operator.inputs[0])
    _fixed_output(reader, operator, 1 / 256, -128)
    beta = float(options(operator).number(0, "f", 0.0))
    if not 0 < beta < 1e6 or not x.shape or x.shape[-1] > LONGEST_SOFTMAX:
        reader.refuse(operator, f"beta is {beta:g}, over the last axis of {list(x.shape)}")
    if beta * scale_of(x) <= 2.0 ** (SOFTMAX_BITS - 31):  # a difference of 1 is none in Q5
        reader.refuse(operator, TOO_SMALL)
    _finish(reader, operator, nodes.Softmax(beta), [reader.value(operator, operator.inputs[0])], x.shape)


def _mean(reader: TfliteReader, operator: TfliteOperator) -> None:
    x, out = _int8(reader, operator, operator.inputs[0]), _int8(reader, operator, operator.outputs[0])
    rank = len(x.shape)
    axes = tuple(sorted({reader.axis(operator, axis, rank) for axis in reader.integers(operator, 1)}))
    keep = bool(options(operator).number(0, "?", False))
    if not axes or prod(x.shape[axis] for axis in axes) > 2**23:
        reader.refuse(operator, f"it is over axes {list(axes)} of {list(x.shape)}")
    _check_factors(reader, operator, [mean_multiplier(x, out, prod(x.shape[axis] for axis in axes))])
    shape = tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape) if keep or axis not in axes)
    _finish(reader, operator, nodes.Reduce("mean", axes, keep), [reader.value(operator, operator.inputs[0])], shape)


def _unary(function: Literal["tanh", "logistic", "rsqrt"], scale: float | None = None, zero: int = 0) -> Operator:
    """Some results have the one scale that their range asks for."""

    def read(reader: TfliteReader, operator: TfliteOperator) -> None:
        x, out = _int8(reader, operator, operator.inputs[0]), _int8(reader, operator, operator.outputs[0])
        if scale is not None:
            _fixed_output(reader, operator, scale, zero)
            if argument_scaling(x).by.shift < 0:
                reader.refuse(operator, TOO_SMALL)
        else:
            factor = inverse_root_multiplier(x, out)
            _check_factors(reader, operator, [factor])
            if factor.shift - ROOT_SHIFT < -31:  # an int32 is not shifted further
                reader.refuse(operator, "the scale of its result is too large: nothing but zero is left")
        _finish(reader, operator, nodes.Unary(function), [reader.value(operator, operator.inputs[0])], x.shape)

    return read


def _gelu(reader: TfliteReader, operator: TfliteOperator) -> None:
    x = _int8(reader, operator, operator.inputs[0])
    _int8(reader, operator, operator.outputs[0])
    kind = nodes.Unary("gelu_tanh" if options(operator).number(0, "?", False) else "gelu")
    _finish(reader, operator, kind, [reader.value(operator, operator.inputs[0])], x.shape)


def _relu(reader: TfliteReader, operator: TfliteOperator) -> None:
    """Between integers of two scales first, where they differ."""
    x, out = _int8(reader, operator, operator.inputs[0]), _int8(reader, operator, operator.outputs[0])
    name, is_same = reader.value(operator, operator.inputs[0]), x.quantization == out.quantization
    if not is_same and operator.kind == "RELU6":
        # TensorFlow Lite Micro leaves the scale as it is, TensorFlow Lite does not: such a file has two meanings.
        reader.refuse(operator, "input and output have different scales, and runtimes disagree on what that means")
    if not is_same:
        _check_factors(reader, operator, [ratio_multiplier(x, out)])
        brought = Tensor(f"{out.name}#x", x.shape, out.dtype, out.quantization)
        name = reader.append(operator, nodes.Quantize(), [name], brought)
    _finish(reader, operator, CLAMPS[operator.kind], [name], x.shape)


def _quantize(reader: TfliteReader, operator: TfliteOperator) -> None:
    x, out = (reader.tensor(operator, index) for index in (operator.inputs[0], operator.outputs[0]))
    for tensor, index in ((x, operator.inputs[0]), (out, operator.outputs[0])):
        if tensor.dtype != "float32":
            _int8(reader, operator, index)
    is_back = operator.kind == "DEQUANTIZE"
    if (out.dtype == "float32") != is_back or (x.dtype == "float32" and is_back):
        reader.refuse(operator, f"it goes from {x.dtype} to {out.dtype}")
    if x.dtype == out.dtype:
        _check_factors(reader, operator, [ratio_multiplier(x, out)])
    _finish(reader, operator, nodes.Quantize(), [reader.value(operator, operator.inputs[0])], x.shape)


# ---- Elements moved, in any type -------------------------------------------------------------------------------------


def _reshape(reader: TfliteReader, operator: TfliteOperator) -> None:
    x, out = _moved(reader, operator, 0), reader.tensor(operator, operator.outputs[0])
    if x.elements != out.elements:
        reader.refuse(operator, f"it makes {list(out.shape)} of {list(x.shape)}")
    _finish(reader, operator, nodes.Reshape(), [reader.value(operator, operator.inputs[0])], out.shape)


def _transpose(reader: TfliteReader, operator: TfliteOperator) -> None:
    x, order = _moved(reader, operator, 0), reader.integers(operator, 1)
    if sorted(order) != list(range(len(x.shape))):
        reader.refuse(operator, f"its order of {len(x.shape)} axes is {order}")
    shape = tuple(x.shape[axis] for axis in order)
    _finish(reader, operator, nodes.Transpose(tuple(order)), [reader.value(operator, operator.inputs[0])], shape)


def _concatenation(reader: TfliteReader, operator: TfliteOperator) -> None:
    parts = [_moved(reader, operator, place) for place in range(len(operator.inputs))]
    first, out = parts[0], reader.tensor(operator, operator.outputs[0])
    axis = reader.axis(operator, options(operator).integer(0), len(first.shape))
    if reader.clamp(operator, 1) is not None:
        reader.refuse(operator, "an activation is fused into it")
    for part in parts:
        if part.quantization != out.quantization:
            reader.refuse(operator, f'"{part.name}" and "{out.name}" have different scales', "quantize both alike")
        if len(part.shape) != len(first.shape) or _without(part.shape, axis) != _without(first.shape, axis):
            reader.refuse(operator, f"{list(part.shape)} does not go with {list(first.shape)} along axis {axis}")
    shape = (*first.shape[:axis], sum(part.shape[axis] for part in parts), *first.shape[axis + 1 :])
    names = [reader.value(operator, index) for index in operator.inputs]
    _finish(reader, operator, nodes.Concat(axis), names, shape)


def _split(reader: TfliteReader, operator: TfliteOperator) -> None:
    x, axes = _moved(reader, operator, 1), reader.integers(operator, 0)
    axis = reader.axis(operator, axes[0] if len(axes) == 1 else len(x.shape), len(x.shape))
    parts = len(operator.outputs)
    if x.shape[axis] % parts or options(operator).integer(0) != parts:
        reader.refuse(operator, f"it makes {parts} parts of axis {axis} of {list(x.shape)}")
    extent, name = x.shape[axis] // parts, reader.value(operator, operator.inputs[1])
    for part, index in enumerate(operator.outputs):
        out = reader.tensor(operator, index)
        if out.shape != (*x.shape[:axis], extent, *x.shape[axis + 1 :]) or out.dtype != x.dtype:
            reader.refuse(operator, f'part "{out.name}" is {out.dtype} {list(out.shape)}')
        reader.append(operator, nodes.Slice(axis, part * extent, (part + 1) * extent), [name], out)


def _slice(reader: TfliteReader, operator: TfliteOperator) -> None:
    x, starts, sizes = _moved(reader, operator, 0), reader.integers(operator, 1), reader.integers(operator, 2)
    if not len(starts) == len(sizes) == len(x.shape):
        reader.refuse(operator, f"it names {len(starts)} starts and {len(sizes)} sizes for {len(x.shape)} axes")
    ranges = []
    for start, size, extent in zip(starts, sizes, x.shape, strict=True):
        stop = extent if size == -1 else start + size
        if not 0 <= start < stop <= extent:
            reader.refuse(operator, f"it takes {start} to {stop} of {extent}")
        ranges.append((start, stop, 1))
    _sliced(reader, operator, x, ranges)


def _strided_slice(reader: TfliteReader, operator: TfliteOperator) -> None:
    """A dimension that is dropped is one of extent 1, and the Reshape that follows drops it."""
    x = _moved(reader, operator, 0)
    starts, stops, steps = (reader.integers(operator, place) for place in (1, 2, 3))
    begin, end, ellipsis, new, shrink = (options(operator).integer(field) for field in range(5))
    if not len(starts) == len(stops) == len(steps) <= len(x.shape):
        reader.refuse(operator, f"it names {len(starts)} starts and {len(stops)} stops for {len(x.shape)} axes")
    if ellipsis or new or options(operator).number(5, "?", False) or min(steps, default=1) < 1:
        reader.refuse(operator, "it goes backwards, or has an ellipsis, new axes or relative ends")
    ranges = []
    for axis, extent in enumerate(x.shape):
        start, stop, step = (starts[axis], stops[axis], steps[axis]) if axis < len(starts) else (0, extent, 1)
        start = 0 if begin >> axis & 1 else _bounded(start, extent)
        stop = extent if end >> axis & 1 else _bounded(stop, extent)
        start, stop, step = (start, start + 1, 1) if axis < len(starts) and shrink >> axis & 1 else (start, stop, step)
        if not 0 <= start < stop <= extent:
            reader.refuse(operator, f"it takes {start} to {stop} of {extent}")
        ranges.append((start, stop, step))
    _sliced(reader, operator, x, ranges)


def _bounded(place: int, extent: int) -> int:
    return min(max(place + extent if place < 0 else place, 0), extent)


def _sliced(reader: TfliteReader, operator: TfliteOperator, x: Tensor, ranges: Sequence[tuple[int, int, int]]) -> None:
    """One Slice for each axis of which not all is taken; a Reshape where there is none, or axes are dropped."""
    out, shape = reader.tensor(operator, operator.outputs[0]), list(x.shape)
    names = [reader.value(operator, operator.inputs[0])]
    kind: nodes.Kind = nodes.Reshape()
    cuts = [(axis, taken) for axis, taken in enumerate(ranges) if taken != (0, x.shape[axis], 1)]
    for number, (axis, taken) in enumerate(cuts, start=1):
        shape[axis] = len(range(*taken))
        kind = nodes.Slice(axis, *taken)
        if number < len(cuts):
            made = Tensor(f"{out.name}#s{axis}", tuple(shape), x.dtype, x.quantization)
            names = [reader.append(operator, kind, names, made)]
    _finish(reader, operator, kind, names, tuple(shape))


def _gather(reader: TfliteReader, operator: TfliteOperator) -> None:
    """Rows of a constant table are an Embedding."""
    x = _moved(reader, operator, 0)
    axis = reader.axis(operator, options(operator).integer(0), len(x.shape))
    if options(operator).integer(1):
        reader.refuse(operator, "its first axes are a batch")
    indices = _indices(reader, operator, 1, x.shape[axis])
    is_table = axis == 0 and len(x.shape) == 2 and reader.file.tensors[operator.inputs[0]].data is not None
    names = [reader.value(operator, index) for index in operator.inputs[:2]]
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    _finish(reader, operator, nodes.Embedding() if is_table else nodes.Gather(axis), names, shape)


def _embedding_lookup(reader: TfliteReader, operator: TfliteOperator) -> None:
    table = _moved(reader, operator, 1)
    if len(table.shape) != 2 or table.quantization != reader.tensor(operator, operator.outputs[0]).quantization:
        reader.refuse(operator, f"its table is {list(table.shape)}, or has another scale than its result")
    indices = _indices(reader, operator, 0, table.shape[0])
    names = [reader.value(operator, operator.inputs[place]) for place in (1, 0)]
    _finish(reader, operator, nodes.Embedding(), names, (*indices.shape, table.shape[1]))


def _indices(reader: TfliteReader, operator: TfliteOperator, place: int, extent: int) -> Tensor:
    """Known ones must lie in the axis; what is computed or given is the kernel's to hold there."""
    indices = reader.tensor(operator, reader.given(operator, place))
    found = reader.file.tensors[operator.inputs[place]]
    if indices.dtype != "int32":
        reader.refuse(operator, f'"{found.name}" is {found.type}, and indices are INT32')
    if found.data is not None and (found.values().min() < 0 or found.values().max() >= extent):
        reader.refuse(operator, f'"{found.name}" names places outside of 0 to {extent - 1}')
    return indices


def _pad(reader: TfliteReader, operator: TfliteOperator) -> None:
    x, amounts = _moved(reader, operator, 0), reader.integers(operator, 1)
    out = reader.tensor(operator, operator.outputs[0])
    if len(amounts) != 2 * len(x.shape) or min(amounts, default=0) < 0:
        reader.refuse(operator, f"it pads {len(x.shape)} axes by {amounts}")
    if x.quantization != out.quantization:
        reader.refuse(operator, "input and output have different scales", "quantize both alike")
    before, after = tuple(amounts[::2]), tuple(amounts[1::2])
    shape = tuple(sum(three) for three in zip(before, x.shape, after, strict=True))
    _finish(reader, operator, nodes.Pad(before, after), [reader.value(operator, operator.inputs[0])], shape)


# ---- What they have in common ----------------------------------------------------------------------------------------


def _finish(
    reader: TfliteReader,
    operator: TfliteOperator,
    kind: nodes.Kind,
    names: Sequence[str],
    shape: Shape,
    clamp: nodes.Clamp | None = None,
) -> None:
    """The last node, of the shape that follows from the operands."""
    out = reader.tensor(operator, operator.outputs[0])
    if prod(shape) != out.elements:
        reader.refuse(operator, f"{list(shape)} follows from its inputs, and it says {list(out.shape)}")
    reader.finish(operator, kind, names, shape, clamp)


def _int8(reader: TfliteReader, operator: TfliteOperator, index: int) -> Tensor:
    """A tensor that is computed with: int8 of one scale."""
    if index < 0:
        reader.refuse(operator, "an input is left out")
    tensor, found = reader.tensor(operator, index), reader.file.tensors[index]
    if tensor.dtype == "float32":
        constants = [reader.file.tensors[place] for place in operator.inputs if place >= 0]
        is_dynamic = any(one.data is not None and one.type == "INT8" for one in constants)
        form = "dynamic-range: int8 weights under activations that are floats" if is_dynamic else "in floats"
        reader.refuse(operator, f'it computes {form} ("{found.name}"), and static int8 is needed', MAKE_INT8)
    if tensor.dtype != "int8":
        reader.refuse(operator, f'"{found.name}" is {found.type}, and what is computed must be INT8', MAKE_INT8)
    if tensor.quantization is None or tensor.quantization.axis is not None:
        says = "no scale" if tensor.quantization is None else "a scale for each channel"
        reader.refuse(operator, f'"{found.name}" has {says}, and needs one', MAKE_INT8)
    return tensor


def _moved(reader: TfliteReader, operator: TfliteOperator, place: int) -> Tensor:
    """A tensor whose elements keep their values: of one scale, and of the type that the result has."""
    tensor = reader.tensor(operator, reader.given(operator, place))
    out = reader.tensor(operator, operator.outputs[0])
    if tensor.dtype != out.dtype:
        reader.refuse(operator, f'"{tensor.name}" is {tensor.dtype}, and "{out.name}" {out.dtype}')
    for one in (tensor, out):
        if one.quantization is not None and one.quantization.axis is not None:
            reader.refuse(operator, f'"{one.name}" has a scale for each channel')
    return tensor


def _fixed_output(reader: TfliteReader, operator: TfliteOperator, scale: float, zero: int) -> None:
    out = _int8(reader, operator, operator.outputs[0])
    given: Any = out.quantization
    zeros = given.zero_points or (0,)
    if abs(given.scales[0] / scale - 1) > 1e-3 or zeros != (zero,):
        found = f"scale {given.scales[0]:g} and zero point {zeros[0]}"
        reader.refuse(operator, f'"{out.name}" has {found}, and its range asks for {scale:g} and {zero}')


def _check_factors(
    reader: TfliteReader, operator: TfliteOperator, factors: Sequence[Multiplier], most: int = MOST_SHIFT
) -> None:
    """A factor of more than 2^most has no place in a kernel's int32."""
    if any(factor.shift > most for factor in factors):
        reader.refuse(operator, "the scale of its result is too small for those of its inputs")


def _broadcast(reader: TfliteReader, operator: TfliteOperator, shapes: Sequence[Shape]) -> Shape:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        reader.refuse(operator, f"{list(shapes[0])} does not go with {list(shapes[1])}")


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


OPERATORS: dict[str, tuple[int, Operator]] = {
    "ADD": (2, _binary("add")),
    "BATCH_MATMUL": (2, _batch_matmul),
    "CONCATENATION": (1, _concatenation),
    "DEQUANTIZE": (1, _quantize),
    "EMBEDDING_LOOKUP": (2, _embedding_lookup),
    "EXPAND_DIMS": (1, _reshape),
    "FULLY_CONNECTED": (2, _fully_connected),
    "GATHER": (2, _gather),
    "GELU": (1, _gelu),
    "LOGISTIC": (1, _unary("logistic", 1 / 256, -128)),
    "MEAN": (2, _mean),
    "MUL": (2, _binary("mul")),
    "PAD": (2, _pad),
    "QUANTIZE": (1, _quantize),
    "RELU": (1, _relu),
    "RELU6": (1, _relu),
    "RELU_0_TO_1": (1, _relu),
    "RELU_N1_TO_1": (1, _relu),
    "RESHAPE": (1, _reshape),
    "RSQRT": (1, _unary("rsqrt")),
    "SLICE": (3, _slice),
    "SOFTMAX": (1, _softmax),
    "SPLIT": (2, _split),
    "SQUARED_DIFFERENCE": (2, _binary("squared_difference", fuses=False)),
    "SQUEEZE": (1, _reshape),
    "STRIDED_SLICE": (4, _strided_slice),
    "SUB": (2, _binary("sub")),
    "TANH": (1, _unary("tanh", 1 / 128)),
    "TRANSPOSE": (2, _transpose),
}
"""Operator -> how many inputs it has at least, and what reads it."""
