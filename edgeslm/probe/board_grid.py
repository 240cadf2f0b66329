"""Kernels of a model's step on a microcontroller, over a grid of shapes: what a board is asked to run, one by one.

A case says which kernel, with which arguments, and how long its buffers are; what is in them the board makes up
(firmware_templates/measure).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from edgeslm.artifacts import Precision
from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.packing import CacheFormat, Layout
from edgeslm.cost.kernels import SHORT, KernelCall

# rows of the matrix, columns
MATRICES = ((64, 64), (32, 64), (172, 64), (64, 172), (512, 64), (96, 96), (48, 128), (128, 48), (24, 256), (160, 32),
            (80, 160), (32, 384), (16, 64))  # fmt: skip
HELD_MATRICES = ((128, 128), (64, 192), (40, 80), (256, 64), (96, 64))
VECTORS, HELD_VECTORS = (32, 64, 172, 256, 512), (96, 128, 384)
# heads, heads of keys, dimension, positions
ATTENTION = ((8, 4, 8, 1), (8, 4, 8, 17), (8, 4, 8, 64), (4, 4, 16, 33), (4, 2, 32, 8), (6, 6, 16, 48))
HELD_ATTENTION = ((8, 4, 8, 40), (4, 4, 16, 20), (4, 2, 32, 30))
# tokens, numbers of each
POOLED, HELD_POOLED = ((1, 64), (32, 64), (16, 96), (64, 32)), ((24, 80), (48, 64))
MEAN = 0
UNARY = ("softmax", "silu", "gelu_tanh", "gelu_erf", "tanh", "relu")
CACHES = {"": CacheFormat.FLOAT32, " float16": CacheFormat.FLOAT16, " int8": CacheFormat.INT8}
"""What a kernel's name has behind it, by how keys and values are kept."""
CONTEXT, STORED = 64, 16
"""Positions of the caches that are attended to, and of those that a token is stored into."""
TABLE_ROWS = 8
BIAS, ACCUMULATE = 1, 2
"""Of a product: the kernels' EDGESLM_BIAS and EDGESLM_ACCUMULATE."""
KERNELS = """
    nothing gemv_i8 gemv_i4 gemv_f32 row_i8 row_i4 row_f32 quantize_row quantize_static rmsnorm layernorm unit_norm
    rope_angles rope cache_store attention add mul scale soft_cap softmax silu_mul gelu_tanh_mul silu gelu_tanh gelu_erf
    tanh relu argmax pool
"""
NUMBERS = {name: number for number, name in enumerate(KERNELS.split())}
"""As call_kernel in measure/serve_kernels.c counts them."""


class Content(enum.IntEnum):
    """What a board puts into a buffer."""

    WEIGHTS = 0  # in flash
    BYTES = 1
    FLOATS = 2


Buffer = tuple[Content, int]
"""What is in it, and its bytes."""


@dataclass(frozen=True)
class BoardCase:
    kernel: str
    arguments: Sequence[int]
    buffers: Sequence[Buffer]

    @property
    def words(self) -> tuple[list[int], list[int]]:
        """Of a request `K`: the kernel's number, and what comes behind how often it is run."""
        arguments = [*self.arguments, *[0] * (9 - len(self.arguments))]
        buffers = [word for content, size in self.buffers for word in (int(content), size)]
        return [NUMBERS[self.kernel]], [*arguments, len(self.buffers), *buffers]


@dataclass(frozen=True)
class GridPoint:
    """A kernel at a shape. `case` takes its cost and what `less` does."""

    call: KernelCall
    precision: Precision
    group: int | None
    held_out: bool
    case: BoardCase
    less: BoardCase


NOTHING = BoardCase("nothing", [], [])
Shape = TypeVar("Shape")


def board_grid(layout: Layout) -> list[GridPoint]:
    """Of a core whose matrices are packed so, and which computes with floats."""
    return [*_products(layout), *_vectors(layout), *_attention(), *_modes(layout)]


def _products(layout: Layout) -> Iterator[GridPoint]:
    for (rows, columns), held in _held(MATRICES, HELD_MATRICES):
        call, out = KernelCall(SHORT if columns == 64 else "gemv", 1, columns, rows), _any(4 * rows)
        packed, row = packing.packed_bytes_i8(rows, columns, layout), packing.quantized_bytes(columns, layout)
        case = BoardCase("gemv_i8", [rows, columns, 0], [out, _weights(packed), _any(row)])
        yield GridPoint(call, "int8", None, held, case, NOTHING)
        packed = packing.packed_bytes_f32(rows, columns)
        case = BoardCase("gemv_f32", [rows, columns, 0], [out, _weights(packed), _floats(columns)])
        yield GridPoint(call, "fp32", None, held, case, NOTHING)
        for group in (16, 32):
            if columns % group == 0:
                packed = packing.packed_bytes_i4(rows, columns, group)
                row = packing.quantized_bytes(columns, layout, group)
                case = BoardCase("gemv_i4", [rows, columns, group, 0], [out, _weights(packed), _any(row)])
                yield GridPoint(call, "int4", group, held, case, NOTHING)


def _vectors(layout: Layout) -> Iterator[GridPoint]:
    for n, held in (*((n, False) for n in VECTORS), *((n, True) for n in HELD_VECTORS)):
        for case in _operators(n, layout):
            yield GridPoint(KernelCall(case.kernel, 1, n, 1), "fp32", None, held, case, NOTHING)
        yield from _stores(n, held=held)
        yield from _lookups(n, layout, held=held)
    for (count, n), held in _held(POOLED, HELD_POOLED):
        case = BoardCase("pool", [count, n, MEAN], [_any(4 * n), _floats(count * n)])
        yield GridPoint(KernelCall("pool", n, count, 1), "fp32", None, held, case, NOTHING)


def _operators(n: int, layout: Layout) -> Iterator[BoardCase]:
    """Over a row of n numbers. Gains, biases and frequencies are weights."""
    out, row, gains = _any(4 * n), _floats(n), _weights(4 * n)
    quantized = _any(packing.quantized_bytes(n, layout))
    yield BoardCase("quantize_row", [n, 0], [quantized, row])
    yield BoardCase("quantize_static", [n, 0, _bits(3.0)], [quantized, row])
    yield BoardCase("rmsnorm", [n, _bits(1e-5)], [out, row, gains])
    yield BoardCase("layernorm", [n, _bits(1e-12)], [out, row, gains, gains])
    yield BoardCase("unit_norm", [n, _bits(1e-12)], [row])
    yield BoardCase("rope_angles", [n, 9], [_any(8 * n), gains])
    if n % 8 == 0:
        yield BoardCase("rope", [n // 8, 8, 4], [row, _floats(8)])
    yield BoardCase("argmax", [n], [_any(4), row])
    for kernel in ("silu_mul", "gelu_tanh_mul"):
        yield BoardCase(kernel, [n], [out, row, row])
    for kernel in ("add", "mul"):
        yield BoardCase(kernel, [n], [row, row])
    yield BoardCase("scale", [n, _bits(1.0)], [row])
    yield BoardCase("soft_cap", [n, _bits(30.0)], [row])
    for kernel in UNARY:
        yield BoardCase(kernel, [n], [row])


def _stores(n: int, *, held: bool) -> Iterator[GridPoint]:
    """A token's keys, of heads of 8, into a cache."""
    if n % 8:
        return
    for kind, form in CACHES.items():
        cache = _any(packing.cache_bytes(n // 8, STORED, 8, form))
        case = BoardCase("cache_store", [n // 8, n // 8, 8, STORED, form, 3], [cache, _floats(n)])
        yield GridPoint(KernelCall(f"cache_store{kind}", 1, n, 1), "fp32", None, held, case, NOTHING)


def _lookups(n: int, layout: Layout, *, held: bool) -> Iterator[GridPoint]:
    call, out = KernelCall("lookup", 1, 1, n), _any(4 * n)
    table = _weights(packing.packed_bytes_i8(TABLE_ROWS, n, layout))
    yield GridPoint(call, "int8", None, held, BoardCase("row_i8", [5, n, 0], [out, table]), NOTHING)
    table = _weights(packing.packed_bytes_f32(TABLE_ROWS, n))
    yield GridPoint(call, "fp32", None, held, BoardCase("row_f32", [5, n, 0], [out, table]), NOTHING)
    for group in (16, 32):
        table = _weights(packing.packed_bytes_i4(TABLE_ROWS, n, group))
        yield GridPoint(call, "int4", group, held, BoardCase("row_i4", [5, n, group, 0], [out, table]), NOTHING)


def _attention() -> Iterator[GridPoint]:
    for (heads, groups, dim, count), held in _held(ATTENTION, HELD_ATTENTION):
        for kind, form in CACHES.items():
            cache = _any(packing.cache_bytes(groups, CONTEXT, dim, form))
            buffers = [_any(4 * heads * dim), _floats(heads * dim), cache, cache, _any(max(256, 4 * count))]
            case = BoardCase("attention", [heads, groups, dim, CONTEXT, form, 0, count], buffers)
            call = KernelCall(f"attention{kind}", 1, dim, count, batch=heads)
            yield GridPoint(call, "fp32", None, held, case, NOTHING)


def _modes(layout: Layout) -> Iterator[GridPoint]:
    """What it takes to add biases, and to add to what is there: kernels of their own to a cost model."""
    for (rows, columns), held in _held(MATRICES, HELD_MATRICES):
        packed = packing.packed_bytes_i8(rows, columns, layout, bias=True)
        buffers = [_any(4 * rows), _weights(packed), _any(packing.quantized_bytes(columns, layout))]
        plain, biased, added = (BoardCase("gemv_i8", [rows, columns, mode], buffers) for mode in (0, BIAS, ACCUMULATE))
        yield GridPoint(KernelCall("bias", 1, 1, rows), "fp32", None, held, biased, plain)
        yield GridPoint(KernelCall("accumulate", 1, 1, rows), "fp32", None, held, added, plain)


def _held(shapes: Sequence[Shape], held_out: Sequence[Shape]) -> Iterator[tuple[Shape, bool]]:
    """Each shape, and whether no law is fitted to it."""
    for chosen, held in ((shapes, False), (held_out, True)):
        for shape in chosen:
            yield shape, held


def _weights(size: int) -> Buffer:
    return Content.WEIGHTS, size


def _any(size: int) -> Buffer:
    return Content.BYTES, size


def _floats(count: int) -> Buffer:
    return Content.FLOATS, 4 * count


def _bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))
