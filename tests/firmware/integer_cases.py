"""Cases for the kernels of static int8 graphs, with what the reference in numpy says they give, to the bit."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeslm.backends.cortexm import integer_packing
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.ir import nodes
from edgeslm.ir.fixed_point import Multiplier
from edgeslm.ir.graph import Node, Quantization, Tensor
from edgeslm.ir.interpret_integers import evaluate_integers
from edgeslm.ir.lookup_tables import table_of
from edgeslm.ir.requantize import (
    linear_multipliers,
    mean_multiplier,
    product_multiplier,
    squared_difference_scaling,
    sum_scaling,
)
from tests.firmware.kernel_programs import Case, Result, bits

Array = NDArray[Any]
GUARD = b"\x5a" * 16
KEPT = 0x5A


@dataclass(frozen=True)
class Answer:
    """What a kernel must leave at byte `start` of its first buffer; elsewhere only the scratch may have changed."""

    values: bytes
    start: int
    scratch: range

    def reject(self, result: Result, fixed: bool) -> None:
        got = np.frombuffer(result.data, np.uint8)
        end = self.start + len(self.values)
        np.testing.assert_array_equal(got[self.start : end].view(np.int8), np.frombuffer(self.values, np.int8))
        others = np.ones(len(got), bool)
        others[self.start : end] = False
        others[self.scratch.start : self.scratch.stop] = False
        assert (got[others] == KEPT).all(), "something was written outside of the result and the scratch"


@dataclass(frozen=True)
class Shape:
    """What hypothesis draws: three sizes, how extreme values are, where buffers start, and a seed for all the rest."""

    first: int
    second: int
    third: int
    extreme: bool
    offset: int
    seed: int
    variant: Variant

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


def integer_case(
    kernel: str,
    shape: Shape,
    expected: bytes,
    arguments: Sequence[int],
    buffers: Sequence[bytes],
    *,
    scratch: int = 0,
    second_offset: int = 0,
    repeats: int = 1,
) -> Case:
    """`buffers` are the inputs: the first, and the second if `second_offset` is said, start at odd places."""
    start = len(GUARD) + shape.offset
    place = -(-(start + len(expected)) // 4) * 4 + len(GUARD)
    room = bytes([KEPT]) * (place + scratch + len(GUARD))
    moved = [bytes(shape.offset) + buffers[0], *buffers[1:]] if buffers else []
    if second_offset:
        moved[1] = bytes(second_offset) + moved[1]
    answer = Answer(expected, start, range(place, place + scratch))
    return Case(kernel, [start, place, shape.offset, *arguments], [room, *moved], repeats, answer)


def values(random: np.random.Generator, size: Sequence[int], extreme: bool) -> Array:
    """`extreme`: nearly all of them one end of int8."""
    if extreme:
        return np.where(random.random(size) < 0.97, random.choice([-128, 127]), -127).astype(np.int8)
    return random.integers(-128, 128, size).astype(np.int8)


def tensor(name: str, size: Sequence[int], scale: float, zero: int = 0) -> Tensor:
    return Tensor(name, tuple(size), "int8", Quantization((float(np.float32(scale)),), (zero,)))


def zero_of(random: np.random.Generator) -> int:
    return int(random.choice([-128, 127, 0, int(random.integers(-128, 128))]))


def result_of(kind: nodes.Kind, tensors: Sequence[Tensor], operands: Sequence[Array], out: Tensor) -> Array:
    return evaluate_integers(Node(kind, tuple(one.name for one in tensors), out), operands, tensors).astype(np.int8)


def clamps(random: np.random.Generator, zero: int) -> tuple[int, int]:
    """None, or those of a fused ReLU or ReLU6."""
    return [(-128, 127), (-128, 127), (zero, 127), (zero, min(zero + 60, 127))][random.integers(4)]


def multiplier(by: Multiplier) -> bytes:
    return struct.pack("<ii", by.mantissa, by.shift)


# ---- Matrices -------------------------------------------------------------------------------------------------------


def linear(shape: Shape) -> Case:
    random, count, rows, columns = shape.random, shape.first, shape.second, shape.third
    x = values(random, (count, columns), shape.extreme)
    weight = np.maximum(values(random, (rows, columns), shape.extreme), -127)
    bias = random.integers(-20000, 20001, rows).astype(np.int32)
    x_tensor = tensor("x", x.shape, 0.02, zero_of(random))
    scales = tuple(float(np.float32(one)) for one in 0.01 * (0.1 + random.random(rows)))
    quantization = Quantization(scales, (0,) * rows, 0) if shape.seed % 2 else Quantization(scales[:1], (0,))
    weight_tensor = Tensor("w", weight.shape, "int8", quantization)
    zero = zero_of(random)
    out = tensor("y", (count, rows), float(random.choice([0.0008, 0.02, 0.3, 90])) * np.sqrt(columns), zero)
    low, high = clamps(random, zero)
    tensors = [x_tensor, weight_tensor, Tensor("b", bias.shape, "int32")]
    expected = np.clip(result_of(nodes.Linear(), tensors, [x, weight, bias], out), low, high)
    factors = linear_multipliers(x_tensor, weight_tensor, out)
    zero_point = x_tensor.quantization.zero_points[0] if x_tensor.quantization else 0
    made = integer_packing.pack_linear(weight, bias, factors, zero_point, shape.variant)
    if made is None:
        return matmul(shape)
    packed, by = made
    scratch = integer_packing.linear_scratch(shape.variant, count, columns)
    return integer_case(
        "linear_s8",
        shape,
        expected.tobytes(),
        [0],
        [x.tobytes(), packed, linear_shape((count, rows, columns), by, (zero, low, high))],
        scratch=scratch,
    )


def linear_shape(sizes: Sequence[int], by: Multiplier, out: Sequence[int]) -> bytes:
    """An edgeslm_linear_shape."""
    return struct.pack("<3I", *sizes) + multiplier(by) + struct.pack("<3i", *out)


def matmul(shape: Shape) -> Case:
    """As fully connected with a zero point of the weights, or two heads of activations in transposed forms."""
    random, rows, columns, terms = shape.random, shape.first, shape.second, shape.third
    connected, transposed = shape.seed % 3 == 0, shape.seed % 2 == 0
    batch = 1 if connected else 2
    zero, zeros = zero_of(random), [zero_of(random), zero_of(random)]
    a = values(random, (rows, batch, terms), shape.extreme)
    b = values(random, (columns, batch, terms) if transposed else (terms, batch, columns), shape.extreme)
    bias = random.integers(-20000, 20001, columns).astype(np.int32)
    wide_b = b.transpose(1, 2, 0) if transposed else b.transpose(1, 0, 2)
    tensors = [tensor("a", (batch, rows, terms), 0.02, zeros[0]), tensor("b", wide_b.shape, 0.01, zeros[1])]
    out = tensor("y", (batch, rows, columns), float(random.choice([0.00003, 0.01, 0.2])) * np.sqrt(terms), zero)
    low, high = clamps(random, zero)
    weight_tensor = tensors[1]
    if connected:
        weight = np.ascontiguousarray(wide_b[0].T)
        weight_tensor = tensor("w", weight.shape, 0.01, zeros[1])
        if shape.seed % 5 == 0:
            scales = tuple(float(np.float32(one)) for one in 0.01 * (0.1 + random.random(columns)))
            weight_tensor = Tensor("w", weight.shape, "int8", Quantization(scales, (0,) * columns, 0))
            zeros[1] = 0
        operands = [a.transpose(1, 0, 2), weight, bias]
        expected = result_of(
            nodes.Linear(), [tensors[0], weight_tensor, Tensor("c", bias.shape, "int32")], operands, out
        )
    else:
        expected = result_of(nodes.MatMul(), tensors, [a.transpose(1, 0, 2), wide_b], out)
    factors = [product_multiplier(tensors[0], tensors[1], out)]
    if connected:
        factors = list(linear_multipliers(tensors[0], weight_tensor, out))
    strides = [terms, batch * terms, 1]
    strides += [terms, 1, batch * terms] if transposed else [columns, batch * columns, 1]
    head = struct.pack("<4I", batch, rows, terms, columns) + struct.pack("<8i", *strides, columns, batch * columns)
    head += struct.pack("<2i", *zeros) + multiplier(factors[0])
    return integer_case(
        "matmul_s8",
        shape,
        np.clip(expected, low, high).transpose(1, 0, 2).tobytes(),
        [shape.seed % 4, int(connected), int(len(factors) > 1)],
        [
            a.tobytes(),
            b.tobytes(),
            head + struct.pack("<iii", zero, low, high),
            bias.tobytes(),
            b"".join(multiplier(one) for one in factors),
        ],
        scratch=integer_packing.matmul_scratch(shape.variant, rows, terms),
        second_offset=shape.seed % 4,
    )


# ---- Two operands ---------------------------------------------------------------------------------------------------

Function: TypeAlias = Literal["add", "sub", "squared_difference", "mul"]
FUNCTIONS: list[Function] = ["add", "sub", "squared_difference", "mul"]


def pair(shape: Shape) -> Case:
    """Dense operands; one repeated for each row, each column, or in between; a single number."""
    random = shape.random
    size = (shape.first, shape.second, shape.third)
    other = [size, size[2:], (*size[:2], 1), (size[0], 1, size[2]), (1,)][random.integers(5)]
    shapes = [size, other] if random.integers(2) else [other, size]
    function = FUNCTIONS[random.integers(4)]
    a, b = (values(random, one, shape.extreme) for one in shapes)
    scales = [0.02, float(random.choice([0.02, 0.013, 0.04, 0.0003]))]
    zeros = [zero_of(random), zero_of(random)]
    tensors = [
        tensor(name, one, *of) for name, one, of in zip("ab", shapes, zip(scales, zeros, strict=True), strict=True)
    ]
    zero = zero_of(random)
    usual = {"add": 0.03, "sub": 0.03, "squared_difference": 0.05, "mul": 0.02}[function]
    out = tensor("y", size, usual * float(random.choice([1, 0.01, 30])), zero)
    if random.integers(4) == 0 and function in ("add", "sub"):  # ties
        tensors = [tensor(one.name, one.shape, 0.25, of) for one, of in zip(tensors, zeros, strict=True)]
        out = tensor("y", size, 0.5, zero)
    expected = result_of(nodes.Binary(function), tensors, [a, b], out)
    low, high = clamps(random, zero)
    return integer_case(
        f"{function}_s8",
        shape,
        np.clip(expected, low, high).tobytes(),
        [shape.seed % 4],
        [a.tobytes(), b.tobytes(), pair_shape(function, tensors, out, low, high)],
        second_offset=shape.seed % 4,
    )


def pair_shape(function: str, tensors: Sequence[Tensor], out: Tensor, low: int, high: int) -> bytes:
    """An edgeslm_pair_shape."""
    extents, first, second = integer_packing.broadcast_strides(out.shape, *(one.shape for one in tensors))
    zeros = [one.quantization.zero_points[0] for one in (*tensors, out) if one.quantization]
    if function == "mul":
        nothing = Multiplier(0, 0)
        by, shift = (nothing, nothing, product_multiplier(tensors[0], tensors[1], out)), 0
        form = integer_packing.pair_form(function, first[-1], second[-1], by[2])
    else:
        make = squared_difference_scaling if function == "squared_difference" else sum_scaling
        scaling = make(tensors[0], tensors[1], out)
        by, shift = (scaling.first, scaling.second, scaling.result), scaling.shift
        form = integer_packing.pair_form(function, first[-1], second[-1], scaling)
    head = struct.pack("<3I", *extents) + struct.pack("<6i", *first, *second) + struct.pack("<2i", *zeros[:2])
    return head + b"".join(multiplier(one) for one in by) + struct.pack("<4iI", shift, zeros[2], low, high, form)


# ---- Rows -----------------------------------------------------------------------------------------------------------


def softmax(shape: Shape) -> Case:
    random = shape.random
    rows, columns = shape.first, shape.third if shape.seed % 4 else shape.third * 9
    x = values(random, (rows, columns), shape.extreme)
    x_tensor = tensor("x", x.shape, float(random.choice([1e-5, 0.003, 0.05, 0.2, 1.5])), 3)
    beta = float(random.choice([1.0, 0.7]))
    expected = result_of(nodes.Softmax(beta=beta), [x_tensor], [x], tensor("y", x.shape, 1 / 256, -128))
    powers = integer_packing.softmax_powers(x_tensor, beta)
    return integer_case(
        "softmax_s8",
        shape,
        expected.tobytes(),
        [0, rows, columns, len(powers)],
        [x.tobytes(), powers.tobytes()],
    )


def mean(shape: Shape) -> Case:
    random = shape.random
    size = (shape.first, shape.third, 1) if shape.seed % 2 else (shape.first, shape.second, shape.third)
    x, zero = values(random, size, shape.extreme), zero_of(random)
    x_zero = zero_of(random)
    x_tensor = tensor("x", size, 0.02, x_zero)
    out = tensor("y", (size[0], size[2]), float(random.choice([0.02, 0.0007, 0.1])), zero)
    expected = result_of(nodes.Reduce("mean", (1,), False), [x_tensor], [x], out)
    by = mean_multiplier(x_tensor, out, size[1])
    return integer_case(
        "mean_s8",
        shape,
        expected.tobytes(),
        [*size, x_zero, by.mantissa, by.shift],
        [x.tobytes(), struct.pack("<iii", zero, -128, 127)],
    )


# ---- Elements -------------------------------------------------------------------------------------------------------


def table(shape: Shape) -> Case:
    x = values(shape.random, (shape.third,), False)
    tensors = tensor("x", x.shape, 0.05, 4), tensor("y", x.shape, 0.01, -7)
    kind = nodes.Unary("gelu")
    made = table_of(kind, *tensors)
    expected = result_of(kind, tensors[:1], [x], tensors[1])
    return integer_case("table_s8", shape, expected.tobytes(), [0, len(x)], [x.tobytes(), made.tobytes()])


def gather(shape: Shape) -> Case:
    """Ids from inside alone: `gather_refused` has the others. What is returned lies before y."""
    random, outer, count, size = shape.random, shape.first, shape.second, shape.third
    extent = 1 + shape.seed % 7
    x = values(random, (outer, extent, size), False)
    ids = random.integers(0, extent, count).astype(np.int32)
    case = integer_case(
        "gather", shape, x[:, ids].tobytes(), [0, outer, count, extent, size], [x.tobytes(), ids.tobytes()]
    )
    answer: Answer = case.expected
    start = answer.start - 1
    return replace(case, expected=replace(answer, values=b"\x01" + answer.values, start=start))


def refused_gathers(variant: Variant) -> list[Case]:
    """An id that is no place: 0 is returned, and only elements before it are there."""
    cases = []
    for ids in ([0, 3], [1, -1], [-(2**31), 0], [2**31 - 1, 1]):
        shape = Shape(1, 1, 1, False, 0, 0, variant)
        case = integer_case(
            "gather", shape, bytes(2), [0, 1, 2, 3, 1], [b"\x07\x08\x09", np.array(ids, np.int32).tobytes()]
        )
        done = [] if not 0 <= ids[0] < 3 else [7 + ids[0]]
        made = bytes([0, *done, KEPT, KEPT][:3])
        cases.append(replace(case, expected=replace(case.expected, values=made, start=case.expected.start - 1)))
    return cases


def copy(shape: Shape) -> Case:
    """A transpose of five dimensions, of a slice; in elements of 1 or 4 bytes."""
    random = shape.random
    extents = [int(one) for one in random.integers(1, 4, 5)]
    extents[int(random.integers(5))] = shape.third
    kind = np.int8 if shape.seed % 2 else np.int32
    x = random.integers(-128, 128, [extent + 1 for extent in extents]).astype(kind)
    part = x[tuple(slice(1, None) for _ in extents)]
    order = [0, 1, 2, 3, 4] if shape.extreme else [int(one) for one in random.permutation(5)]
    made = part.transpose(order)
    first = (part.__array_interface__["data"][0] - x.__array_interface__["data"][0]) // x.itemsize
    steps = [stride // x.itemsize for stride in made.strides]
    dense = [prod(made.shape[place + 1 :]) for place in range(5)]
    head = struct.pack("<5I", *made.shape) + struct.pack("<10i", *steps, *dense) + struct.pack("<I", x.itemsize)
    if kind is np.int32:
        shape = replace(shape, offset=0)
    case = integer_case("copy", shape, made.tobytes(), [0], [x.tobytes(), head])
    return replace(case, arguments=[*case.arguments[:2], shape.offset + first * x.itemsize, 0])


def fill(shape: Shape) -> Case:
    value = int(shape.random.integers(-128, 128))
    return integer_case("fill_s8", shape, bytes([value & 255]) * shape.third, [0, value, shape.third], [b""])


def to_integers(shape: Shape) -> Case:
    random = shape.random
    scale, zero = float(np.float32(random.choice([0.5, 0.013, 1e-6]))), zero_of(random)
    x = (random.integers(-300, 300, shape.third) * scale / 2).astype(np.float32)  # ties
    x[0] = [np.inf, -np.inf, 0.49999997 * scale, 1e30][shape.seed % 4]
    out = tensor("y", x.shape, scale, zero)
    expected = result_of(nodes.Quantize(), [Tensor("x", x.shape)], [x], out)
    return integer_case(
        "to_s8", replace(shape, offset=0), expected.tobytes(), [0, len(x), bits(scale), zero], [x.tobytes()]
    )


MAKERS: dict[str, Callable[[Shape], Case]] = {
    "linear": linear,
    "matmul": matmul,
    "pair": pair,
    "softmax": softmax,
    "mean": mean,
    "table": table,
    "gather": gather,
    "copy": copy,
    "fill": fill,
}
FLOAT_MAKERS: dict[str, Callable[[Shape], Case]] = {"to_integers": to_integers}
OFTEN = ["linear", "matmul", "pair", "softmax"]
"""Kernels with many forms."""


def smallest_cases(variant: Variant) -> list[Case]:
    makers = {**MAKERS, **({} if variant.fixed else FLOAT_MAKERS)}
    return [maker(Shape(1, 1, 1, False, 0, 7, variant)) for maker in makers.values()] + refused_gathers(variant)


@st.composite
def integer_cases(draw: st.DrawFn, variant: Variant) -> Case:
    makers = {**MAKERS, **({} if variant.fixed else FLOAT_MAKERS)}
    maker = makers[draw(st.sampled_from(OFTEN) | st.sampled_from(sorted(makers)))]
    longest = st.integers(1, 40) | st.sampled_from([16, 32, 48, 64, 100, 128, 172])
    if maker is linear:
        longest |= st.integers(500, 530)
    shape = Shape(
        first=draw(st.integers(1, 6)),
        second=draw(st.integers(1, 13)),
        third=draw(longest),
        extreme=draw(st.booleans()),
        offset=draw(st.integers(0, 3)),
        seed=draw(st.integers(0, 2**32 - 1)),
        variant=variant,
    )
    return maker(shape)


VARIANTS = {
    "rows": Variant(Layout.ROWS),
    "pairs": Variant(Layout.PAIRS),
    "vectors": Variant(Layout.VECTORS),
    "fixed": Variant(Layout.ROWS, fixed=True),
}
