"""Cases for every kernel, with what numpy says they give. Shapes are drawn by hypothesis, values by a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.packing import CacheFormat, Layout
from tests.firmware.kernel_programs import Case, Result, bits

Floats = NDArray[np.float32]
Array = NDArray[Any]


@dataclass(frozen=True)
class Near:
    """The result as reals, and how far from it a kernel may be."""

    values: NDArray[np.float64]
    absolute: float
    fixed_absolute: float

    def reject(self, result: Result, fixed: bool) -> None:
        got = result.integers() / 65536 if fixed else result.floats().astype(np.float64)
        np.testing.assert_allclose(got, self.values, rtol=0, atol=self.fixed_absolute if fixed else self.absolute)


@dataclass(frozen=True)
class Equal:
    """The result, bit for bit (floats: a zero's sign aside)."""

    values: Array

    def reject(self, result: Result, fixed: bool) -> None:
        np.testing.assert_array_equal(np.frombuffer(result.data, self.values.dtype), self.values.reshape(-1))


@dataclass(frozen=True)
class Within:
    """The integers of a quantized row, and one more or less."""

    values: Array
    layout: Layout

    def reject(self, result: Result, fixed: bool) -> None:
        kind = np.int16 if self.layout is Layout.PAIRS else np.int8
        got = np.frombuffer(result.data, kind, len(self.values), 8).astype(np.int64)
        assert np.abs(got - self.values).max() <= 1


@dataclass(frozen=True)
class Shape:
    """What hypothesis draws."""

    rows: int
    columns: int
    mode: int
    group: int
    extreme: bool
    seed: int
    layout: Layout
    fixed: bool

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


def real(shape: Shape, values: Array) -> bytes:
    """As edgeslm_real."""
    return (packing.to_fixed(values) if shape.fixed else np.asarray(values, np.float32)).tobytes()


def seen(shape: Shape, values: Array) -> NDArray[np.float64]:
    """What a kernel sees of values that go through `real`."""
    return packing.to_fixed(values) / 65536 if shape.fixed else np.asarray(values, np.float32).astype(np.float64)


def real_bits(shape: Shape, value: float) -> int:
    return int(packing.to_fixed(np.array(value))) if shape.fixed else bits(value)


# ---- Quantized rows and matrices ------------------------------------------------------------------------------------


def quantized_row(shape: Shape, x: Array, scale: np.float32, group: int = 0) -> bytes:
    """The bytes of an edgeslm_quantized."""
    values = np.zeros(packing.padded(len(x), group or shape.layout.columns_step), np.int64)
    values[: len(x)] = x
    answer = scale.tobytes() + np.int32(values.sum()).tobytes()
    answer += values.astype(np.int16 if shape.layout is Layout.PAIRS else np.int8).tobytes()
    return answer + (values.reshape(-1, group).sum(axis=1).astype(np.int32).tobytes() if group else b"")


def integers(shape: Shape, least: int, most: int, size: tuple[int, ...] | int) -> NDArray[np.int64]:
    """`extreme`: the ends only, mostly one of them, so that sums come near what they may be."""
    random = shape.random
    if not shape.extreme:
        return random.integers(least, most + 1, size)
    return np.where(random.random(size) < 0.99, most if shape.seed % 2 else least, -most)


def bias_of(shape: Shape, random: np.random.Generator) -> Array | None:
    if not shape.mode & 1:
        return None
    bias = random.standard_normal(shape.rows).astype(np.float32)
    return packing.to_fixed(bias) if shape.fixed else bias


def finished(shape: Shape, result: Floats, bias: Array | None, before: Floats, precision: float) -> Near | Equal:
    if shape.fixed:
        exact = result.astype(np.float64)
        exact = exact + (0 if bias is None else bias / 65536) + (seen(shape, before) if shape.mode & 2 else 0)
        return Near(exact, 0, 2**-15 + precision * float(np.abs(exact).max()))
    if bias is not None:
        result = result + bias
    return Equal(before + result if shape.mode & 2 else result)


def quantize_row(shape: Shape) -> Case:
    x = shape.random.standard_normal(shape.columns).astype(np.float32) * np.float32(0 if shape.extreme else 3)
    group = shape.group if shape.mode & 1 else 0
    size = packing.quantized_bytes(shape.columns, shape.layout, group)
    expected: Any = None
    if not shape.fixed:
        limit = np.abs(x).max()
        factor = np.float32(127) / limit if limit else np.float32(0)
        expected = Equal(
            np.frombuffer(quantized_row(shape, np.rint(x * factor), limit / np.float32(127), group), np.uint8)
        )
    return Case("quantize_row", [shape.columns, group], [bytes(size), real(shape, x)], expected=expected)


def quantize_static(shape: Shape) -> Case:
    """Some values lie beyond the limit, a little or (`extreme`) by far; the limit of a layer that sees nothing is 0."""
    limit = np.float32([0.0, 0.02, 1.7, 900.0][shape.rows % 4])
    x = shape.random.standard_normal(shape.columns).astype(np.float32) * limit / np.float32(2)
    x[0] = np.float32(1 + shape.seed % 2) if shape.extreme else x[0]
    if shape.extreme:
        x[-1] = -np.float32(30000) * max(limit, np.float32(1))
    group = shape.group if shape.mode & 1 else 0
    size = packing.quantized_bytes(shape.columns, shape.layout, group)
    values = seen(shape, x).astype(np.float32)
    if shape.fixed:
        limit = np.float32(packing.to_fixed(np.array(limit)) / 65536)
    factor = np.float32(127) / limit if limit else np.float32(0)
    rounded = np.clip(np.rint(values * factor), -128, 127)
    expected: Any = Equal(np.frombuffer(quantized_row(shape, rounded, limit / np.float32(127), group), np.uint8))
    return Case(
        "quantize_static",
        [shape.columns, group, real_bits(shape, float(limit))],
        [bytes(size), real(shape, x)],
        expected=Within(rounded, shape.layout) if shape.fixed else expected,
    )


def gemv_i8(shape: Shape) -> Case:
    random = shape.random
    weights = integers(shape, -127, 127, (shape.rows, shape.columns))
    x = integers(shape, -128, 127, shape.columns)  # static ranges saturate to -128
    scales = (random.random(shape.rows) * 1e-3).astype(np.float32)
    x_scale = np.float32(random.random() * 0.1)
    bias, before = bias_of(shape, random), random.standard_normal(shape.rows).astype(np.float32)
    result = (weights @ x).astype(np.float32) * (scales * x_scale)
    packed = packing.pack_i8(weights.astype(np.int8), scales, shape.layout, bias)
    return Case(
        "gemv_i8",
        [shape.rows, shape.columns, shape.mode],
        [real(shape, before), packed, quantized_row(shape, x, x_scale)],
        expected=finished(shape, result, bias, before, 1e-6),
    )


def gemv_i4(shape: Shape) -> Case:
    random, groups = shape.random, -(-shape.columns // shape.group)
    weights = integers(shape, -8, 7, (shape.rows, shape.columns))
    x = integers(shape, -127, 127, shape.columns)
    scales = (random.random((shape.rows, groups)) * 0.01).astype(np.float16)
    x_scale = np.float32(random.random() * 0.1)
    bias, before = bias_of(shape, random), random.standard_normal(shape.rows).astype(np.float32)
    total = np.zeros(shape.rows, np.float32)
    for number in range(groups):
        part = slice(number * shape.group, (number + 1) * shape.group)
        total = total + (weights[:, part] @ x[part]).astype(np.float32) * scales[:, number].astype(np.float32)
    packed = packing.pack_i4(weights.astype(np.int8), scales, shape.group, shape.layout, bias)
    return Case(
        "gemv_i4",
        [shape.rows, shape.columns, shape.group, shape.mode],
        [real(shape, before), packed, quantized_row(shape, x, x_scale, shape.group)],
        expected=finished(shape, total * x_scale, bias, before, 1e-5),
    )


def gemv_f32(shape: Shape) -> Case:
    random = shape.random
    weights = random.standard_normal((shape.rows, shape.columns)).astype(np.float32)
    x = random.standard_normal(shape.columns).astype(np.float32)
    bias, before = bias_of(shape, random), random.standard_normal(shape.rows).astype(np.float32)
    exact = weights.astype(np.float64) @ x + (0 if bias is None else bias) + (before if shape.mode & 2 else 0)
    return Case(
        "gemv_f32",
        [shape.rows, shape.columns, shape.mode],
        [before.tobytes(), packing.pack_f32(weights, bias), x.tobytes()],
        expected=Near(exact, 1e-6 * shape.columns + 1e-5, 0),
    )


def requantized(value: int, multiplier: int, shift: int) -> int:
    """TensorFlow Lite's MultiplyByQuantizedMultiplier with two roundings (gemmlowp's fixedpoint.h), word for word."""
    product = value * (1 << max(shift, 0)) * multiplier
    nudged = product + (1 << 30 if product >= 0 else 1 - (1 << 30))
    high = abs(nudged) >> 31
    high = high if nudged >= 0 else -high
    right = max(-shift, 0)
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def gemv_i8_requant(shape: Shape) -> Case:
    random = shape.random
    weights = integers(shape, -127, 127, (shape.rows, shape.columns))
    x = (
        np.where(random.random(shape.columns) < 0.9, -128, 127)
        if shape.extreme
        else random.integers(-128, 128, shape.columns)
    )
    bias = random.integers(-20000, 20001, shape.rows)
    in_zero, zero = (int(value) for value in random.integers(-128, 128, 2))
    reals = random.random(shape.rows) * 10.0 ** random.integers(-5, 1, shape.rows) * random.choice([0.01, 1, 4])
    pairs = [packing.quantized_multiplier(float(value) + 1e-9) for value in reals]
    low, high = (-128, 127) if shape.mode & 1 else (max(zero, -128), min(zero + 90, 127))
    sums = weights @ (x - in_zero) + bias
    values = [requantized(int(total), *pair) + zero for total, pair in zip(sums, pairs, strict=True)]
    multipliers, shifts = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    packed = packing.pack_requant(
        weights.astype(np.int8), bias.astype(np.int32), multipliers, shifts, in_zero, shape.layout
    )
    scratch = bytes(packing.padded(shape.columns, shape.layout.columns_step) * shape.layout.activation_bytes)
    return Case(
        "gemv_i8_requant",
        [shape.rows, shape.columns, zero, low, high],
        [bytes(shape.rows), packed, x.astype(np.int8).tobytes(), scratch],
        expected=Equal(np.clip(values, low, high).astype(np.int8)),
    )


def row_i8(shape: Shape) -> Case:
    random = shape.random
    weights = random.integers(-127, 128, (shape.rows, shape.columns)).astype(np.int8)
    scales, bias = random.random(shape.rows).astype(np.float32), bias_of(shape, random)
    packed = packing.pack_i8(weights, scales, shape.layout, bias)
    row = shape.seed % shape.rows
    exact = packing.row_i8(packed, row, shape.columns, shape.layout, bias=bias is not None)
    return Case(
        "row_i8",
        [row, shape.columns, shape.mode & 1],
        [bytes(4 * shape.columns), packed],
        expected=Near(exact.astype(np.float64), 0, 2**-15) if shape.fixed else Equal(exact),
    )


def row_i4(shape: Shape) -> Case:
    random, groups = shape.random, -(-shape.columns // shape.group)
    weights = random.integers(-8, 8, (shape.rows, shape.columns)).astype(np.int8)
    scales, bias = random.random((shape.rows, groups)).astype(np.float16), bias_of(shape, random)
    packed = packing.pack_i4(weights, scales, shape.group, shape.layout, bias)
    row = shape.seed % shape.rows
    exact = packing.row_i4(packed, row, shape.columns, shape.group, shape.layout, bias=bias is not None)
    return Case(
        "row_i4",
        [row, shape.columns, shape.group, shape.mode & 1],
        [bytes(4 * shape.columns), packed],
        expected=Near(exact.astype(np.float64), 0, 2**-15) if shape.fixed else Equal(exact),
    )


def row_f32(shape: Shape) -> Case:
    weights = shape.random.standard_normal((shape.rows, shape.columns)).astype(np.float32)
    bias, row = bias_of(shape, shape.random), shape.seed % shape.rows
    packed = packing.pack_f32(weights, bias)
    arguments = [row, shape.columns, shape.mode & 1]
    return Case("row_f32", arguments, [bytes(4 * shape.columns), packed], expected=Equal(weights[row]))


# ---- Rows of numbers ------------------------------------------------------------------------------------------------


def numbers(shape: Shape, seed: int = 0, size: int | None = None) -> NDArray[np.float64]:
    random = np.random.default_rng([shape.seed, seed])
    return random.standard_normal(size or shape.columns) * (20.0 if shape.extreme else 1.5)


def norm(shape: Shape) -> Case:
    x, weight, bias = numbers(shape, 1), 1 + 0.2 * numbers(shape, 2), numbers(shape, 3)
    epsilon = round(1e-5 * 2**32) if shape.fixed else bits(1e-5)
    layer, with_bias = shape.mode & 1, shape.mode >> 1
    values, factors = seen(shape, x), seen(shape, weight)
    centred = values - values.mean() if layer else values
    exact = centred / np.sqrt((centred**2).mean() + 1e-5) * factors
    if layer and with_bias:
        exact = exact + seen(shape, bias)
    # a lone element has no variance: what rounding leaves of it is enlarged
    near = Near(exact, 2e-5, 2e-3 if shape.columns > 1 else 1e-2)
    buffers = [bytes(4 * len(x)), real(shape, x), real(shape, weight), real(shape, bias)]
    return Case("layernorm" if layer else "rmsnorm", [len(x), epsilon, with_bias], buffers, expected=near)


def unit_norm(shape: Shape) -> Case:
    x = numbers(shape, 1)
    values = seen(shape, x)
    exact = values / max(float(np.sqrt((values**2).sum())), 1e-6)
    least = round(1e-6 * 2**32) if shape.fixed else bits(1e-6)
    return Case("unit_norm", [len(x), least], [real(shape, x)], expected=Near(exact, 1e-6, 2**-14))


POOLINGS: list[Callable[[Array], Array]] = [
    lambda x: x.mean(axis=0),
    lambda x: np.average(x, axis=0, weights=np.arange(1, len(x) + 1)),
    lambda x: x.sum(axis=0) / np.sqrt(len(x)),
    lambda x: x.max(axis=0),
    lambda x: x[-1],
]
"""In the order of EDGESLM_POOL_…"""


def pool(shape: Shape) -> Case:
    count, mode = shape.rows, shape.seed % len(POOLINGS)
    x = numbers(shape, 1, count * shape.columns)
    exact = POOLINGS[mode](seen(shape, x).reshape(count, -1))
    scale = max(1.0, float(np.abs(exact).max()))
    near = Near(exact, 1e-5 * scale, 2**-14 * scale)
    arguments = [count, shape.columns, mode]
    return Case("pool", arguments, [bytes(4 * shape.columns), real(shape, x)], expected=near)


def rope_angles(shape: Shape) -> Case:
    half, position = min(shape.columns, 64), shape.rows * 13
    radians = 10000.0 ** (-np.arange(half) / half)
    angles = np.float32(position) * radians.astype(np.float32)
    exact = np.concatenate([np.cos(angles.astype(np.float64)), np.sin(angles.astype(np.float64))])
    if shape.fixed:
        exact = np.concatenate([np.cos(position * radians), np.sin(position * radians)]) * 2**14  # 30 bits, read as 16
    table = packing.frequencies(radians, fixed=shape.fixed).tobytes()
    near = Near(exact, 2e-7, 0.02 + 1e-4 * position)
    return Case("rope_angles", [half, position], [bytes(8 * half), table], expected=near)


def rope(shape: Shape) -> Case:
    half, heads = min(shape.columns, 40), 1 + shape.rows % 5
    head_dim = 2 * half + 2 * (shape.mode & 1)
    x, turn = numbers(shape, 1, heads * head_dim), numbers(shape, 2, half)
    cosine, sine = np.cos(turn), np.sin(turn)
    exact = seen(shape, x).reshape(heads, head_dim).copy()
    a, b = exact[:, :half].copy(), exact[:, half : 2 * half].copy()
    exact[:, :half], exact[:, half : 2 * half] = a * cosine - b * sine, b * cosine + a * sine
    angles = np.concatenate([cosine, sine])
    table = np.rint(angles * 2**30).astype(np.int32).tobytes() if shape.fixed else angles.astype(np.float32).tobytes()
    near = Near(exact.reshape(-1), 2e-5, 2e-5)
    return Case("rope", [heads, head_dim, half], [real(shape, x), table], expected=near)


def stored(values: NDArray[np.float64], cache: CacheFormat) -> NDArray[np.float64]:
    """What a cache keeps of (positions, heads, head_dim)."""
    if cache is CacheFormat.FLOAT16:
        return values.astype(np.float16).astype(np.float64)
    if cache is CacheFormat.INT8:
        scale = np.abs(values).max(axis=2, keepdims=True) / 127
        return np.where(scale > 0, np.rint(values / np.where(scale > 0, scale, 1)) * scale, 0)
    return values


def attention(shape: Shape) -> Case:
    kv_heads, shared, count = 1 + shape.seed % 3, 1 + shape.mode % 3, 1 + shape.rows % 40
    head_dim = [4, 8, 6, 16, 24, 32, 13][shape.columns % 7]
    if shape.extreme and shape.seed % 8 == 0:  # more positions than weights of 16 bits are for
        kv_heads, head_dim, count = 1, min(head_dim, 16), count + 520
    cache = CacheFormat(shape.seed % 3)
    if shape.fixed and cache is CacheFormat.FLOAT16:
        cache = CacheFormat.FLOAT32
    heads, first = kv_heads * shared, (count - 1) * (shape.mode & 1) // 2
    context = count + shape.seed % 5
    q = numbers(shape, 1, heads * head_dim) / (5 if shape.extreme else 1)
    stream = numbers(shape, 2, 2 * count * kv_heads * head_dim)
    scale = 1 / np.sqrt(head_dim)
    keys, values = stored(seen(shape, stream).reshape(2 * count, kv_heads, head_dim), cache).reshape(
        2, count, kv_heads, -1
    )
    scores = np.einsum("hgd,phd->hgp", seen(shape, q).reshape(kv_heads, shared, head_dim), keys[first:]) * scale
    cap = shape.seed // 3 % 2 * 2.5
    if cap:
        scores = cap * np.tanh(scores / cap)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    exact = np.einsum("hgp,phd->hgd", weights, values[first:]).reshape(-1)
    size = packing.cache_bytes(kv_heads, context, head_dim, cache)
    # a rounding of int8 may fall to the other side
    spread = float(np.abs(stream).max())
    near = Near(exact, spread * (5e-3 if cache is CacheFormat.INT8 else 2e-5), spread * (2e-2 if cache else 2e-3))
    return Case(
        "cache_and_attention",
        [
            *(heads, kv_heads, head_dim, context, int(cache), first, count),
            *(real_bits(shape, scale * np.log2(np.e)), real_bits(shape, cap * np.log2(np.e))),
        ],
        [bytes(4 * heads * head_dim), real(shape, q), real(shape, stream), bytes(size), bytes(size), bytes(4 * count)],
        expected=near,
    )


def in_place(
    kernel: str, function: Callable[[Array], Array], absolute: float, fixed_absolute: float
) -> Callable[[Shape], Case]:
    def make(shape: Shape) -> Case:
        x = numbers(shape)
        exact = function(seen(shape, x))
        scale = max(1.0, float(np.abs(exact).max()))
        near = Near(exact, absolute * scale, fixed_absolute * scale)
        return Case(kernel, [len(x)], [real(shape, x)], expected=near)

    return make


def gated(kernel: str, function: Callable[[Array], Array]) -> Callable[[Shape], Case]:
    def make(shape: Shape) -> Case:
        gate, up = numbers(shape, 1), numbers(shape, 2)
        exact = function(seen(shape, gate)) * seen(shape, up)
        scale = max(1.0, float(np.abs(exact).max()), float(np.abs(up).max()))
        near = Near(exact, 2e-6 * scale, 1e-3 * scale)
        return Case(kernel, [len(gate)], [bytes(4 * len(gate)), real(shape, gate), real(shape, up)], expected=near)

    return make


def silu(x: Array) -> Array:
    return np.asarray(x / (1 + np.exp(-x)))


def gelu_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))


def gelu_erf(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.array([erf(value / np.sqrt(2)) for value in x])))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())


def add(shape: Shape) -> Case:
    y, x = numbers(shape, 1), numbers(shape, 2)
    return Case(
        "add", [len(x)], [real(shape, y), real(shape, x)], expected=Near(seen(shape, y) + seen(shape, x), 1e-5, 1e-9)
    )


def mul(shape: Shape) -> Case:
    y, x = numbers(shape, 1), numbers(shape, 2)
    exact = seen(shape, y) * seen(shape, x)
    near = Near(exact, 1e-6 * float(np.abs(exact).max()), 2**-15)
    return Case("mul", [len(x)], [real(shape, y), real(shape, x)], expected=near)


def soft_cap(shape: Shape) -> Case:
    x, cap = numbers(shape), [0.7, 3.0, 30.0, 50.0][shape.rows % 4]
    exact = cap * np.tanh(seen(shape, x) / cap)
    near = Near(exact, 1e-6 * max(cap, 1.0), 1e-4 * max(cap, 1.0))
    return Case("soft_cap", [len(x), real_bits(shape, cap)], [real(shape, x)], expected=near)


def scale(shape: Shape) -> Case:
    x = numbers(shape)
    near = Near(seen(shape, x) * 0.75, 1e-5, 2**-15)
    return Case("scale", [len(x), real_bits(shape, 0.75)], [real(shape, x)], expected=near)


def argmax(shape: Shape) -> Case:
    x = np.round(numbers(shape), 1 if shape.mode & 1 else 9)  # equals
    greatest = np.array([seen(shape, x).argmax()], np.uint32)
    return Case("argmax", [len(x)], [bytes(4), real(shape, x)], expected=Equal(greatest))


FLOAT_ONLY = {"gemv_f32": gemv_f32, "row_f32": row_f32}
MAKERS: dict[str, Callable[[Shape], Case]] = {
    "quantize_row": quantize_row,
    "quantize_static": quantize_static,
    "gemv_i8": gemv_i8,
    "gemv_i4": gemv_i4,
    "gemv_i8_requant": gemv_i8_requant,
    "row_i8": row_i8,
    "row_i4": row_i4,
    "norm": norm,
    "unit_norm": unit_norm,
    "pool": pool,
    "rope_angles": rope_angles,
    "rope": rope,
    "attention": attention,
    "add": add,
    "mul": mul,
    "soft_cap": soft_cap,
    "scale": scale,
    "softmax": in_place("softmax", softmax, 1e-6, 5e-4),
    "silu": in_place("silu", silu, 1e-6, 1e-3),
    "silu_mul": gated("silu_mul", silu),
    "gelu_tanh": in_place("gelu_tanh", gelu_tanh, 2e-6, 1e-3),
    "gelu_tanh_mul": gated("gelu_tanh_mul", gelu_tanh),
    "gelu_erf": in_place("gelu_erf", gelu_erf, 1e-6, 1e-3),
    "tanh": in_place("tanh", np.tanh, 1e-6, 1e-3),
    "relu": in_place("relu", lambda x: np.maximum(x, 0), 0, 0),
    "argmax": argmax,
}
CORES = [
    *("gemv_i8", "gemv_i4", "gemv_i8_requant", "attention", "quantize_row", "quantize_static", "silu_mul", "norm"),
]
"""Kernels with assembly: they get more of the cases."""


def smallest_cases(layout: Layout, fixed: bool) -> list[Case]:
    """Every kernel with one row and one column, where sums have one term and softmax is 1."""
    makers = MAKERS if fixed else {**MAKERS, **FLOAT_ONLY}
    return [maker(Shape(1, 1, 0, 16, False, 7, layout, fixed)) for maker in makers.values()]


@st.composite
def kernel_cases(draw: st.DrawFn, layout: Layout, fixed: bool) -> Case:
    """One case of any kernel. Rows and columns: tails of every kind, and now and then more than 512 columns."""
    makers = MAKERS if fixed else {**MAKERS, **FLOAT_ONLY}
    maker = makers[draw(st.sampled_from(CORES) | st.sampled_from(sorted(makers)))]
    columns = st.integers(1, 80) | st.sampled_from([64, 127, 128, 172, 256]) | st.integers(500, 1100)
    shape = Shape(
        rows=draw(st.integers(1, 13) | st.sampled_from([32, 64])),
        columns=draw(columns),
        mode=draw(st.integers(0, 3)),
        group=draw(st.sampled_from([16, 32])),
        extreme=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32 - 1)),
        layout=layout,
        fixed=fixed,
    )
    return maker(shape)
