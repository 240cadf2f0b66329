"""Single kernels of a language model's step on emulated microcontrollers, over a grid of shapes: exact instructions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeslm.artifacts import Precision
from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.packing import CacheFormat, Layout
from edgeslm.cost.kernels import SHORT, KernelCall
from edgeslm.cost.points import KernelPoint, Points
from edgeslm.probe.board_grid import (
    ACCUMULATE,
    ATTENTION,
    BIAS,
    CACHES,
    HELD_ATTENTION,
    HELD_MATRICES,
    HELD_POOLED,
    HELD_VECTORS,
    MATRICES,
    MEAN,
    POOLED,
    UNARY,
    VECTORS,
)
from tests.firmware.kernel_programs import BOARDS, Case, bits, build_timed_board, run_board

CORES = {"cortex-m4": "m4", "cortex-m7": "m7", "cortex-m55": "m55"}
REPEATS = 20

Measured = tuple[KernelCall, Precision, int | None, bool, Case, Case]
"""The last case is what the one before does, too, and which is taken off."""
NOTHING = Case("nothing", [], [bytes(4)], REPEATS)


def measure(core: str) -> Points:
    """What each kernel of a step takes."""
    board = BOARDS[CORES[core]]
    grid = list(_grid(board.layout))
    with tempfile.TemporaryDirectory() as folder:
        program = build_timed_board(Path(folder), CORES[core])
        cases = [case for entry in grid for case in entry[-2:]]
        ticks = [one.ticks for one in run_board(program, CORES[core], cases, Path(folder), count=True)]
    tick = board.tick_ns / REPEATS
    points = tuple(
        KernelPoint(call, precision, group, held, round((one - other) * tick))
        for (call, precision, group, held, *_), one, other in zip(grid, ticks[::2], ticks[1::2], strict=True)
    )
    device = f"qemu-system-arm, {core}"
    return Points(core, "instructions", device, emulated=True, throttled=False, empty=0.0, operator=0.0, points=points)


def _grid(layout: Layout) -> Iterator[Measured]:
    for call, precision, group, held, case in _kernels(layout):
        yield call, precision, group, held, case, NOTHING
    yield from _modes(layout)


def _modes(layout: Layout) -> Iterator[Measured]:
    """What it takes to add biases, and to add to what is there: kernels of their own to a cost model."""
    random = np.random.default_rng(1)
    for shapes, held in ((MATRICES, False), (HELD_MATRICES, True)):
        for rows, columns in shapes:
            weights, scales = random.integers(-127, 128, (rows, columns)).astype(np.int8), np.ones(rows, np.float32)
            packed = packing.pack_i8(weights, scales, layout, np.ones(rows, np.float32))
            row = bytes(packing.quantized_bytes(columns, layout))
            plain, biased, added = (
                Case("gemv_i8", [rows, columns, mode], [bytes(4 * rows), packed, row], REPEATS)
                for mode in (0, BIAS, ACCUMULATE)
            )
            call = KernelCall("", 1, 1, rows)
            yield _named(call, "bias"), "fp32", None, held, biased, plain
            yield _named(call, "accumulate"), "fp32", None, held, added, plain


def _kernels(layout: Layout) -> Iterator[tuple[KernelCall, Precision, int | None, bool, Case]]:
    random = np.random.default_rng(0)

    def floats(*size: int) -> Any:
        return random.standard_normal(size).astype(np.float32)

    def row(columns: int, group: int = 0) -> bytes:
        x = np.zeros(packing.padded(columns, group or layout.columns_step), np.int64)
        x[:columns] = random.integers(-127, 128, columns)
        found = np.float32(0.01).tobytes() + np.int32(x.sum()).tobytes()
        found += x.astype(np.int16 if layout is Layout.PAIRS else np.int8).tobytes()
        return found + (x.reshape(-1, group).sum(axis=1).astype(np.int32).tobytes() if group else b"")

    for shapes, held in ((MATRICES, False), (HELD_MATRICES, True)):
        for rows, columns in shapes:
            call, out = KernelCall(SHORT if columns == 64 else "gemv", 1, columns, rows), bytes(4 * rows)
            weights = random.integers(-127, 128, (rows, columns)).astype(np.int8)
            packed = packing.pack_i8(weights, np.abs(floats(rows)), layout)
            yield call, "int8", None, held, Case("gemv_i8", [rows, columns, 0], [out, packed, row(columns)], REPEATS)
            packed = packing.pack_f32(floats(rows, columns))
            values = floats(columns).tobytes()
            yield call, "fp32", None, held, Case("gemv_f32", [rows, columns, 0], [out, packed, values], REPEATS)
            for group in (16, 32):
                if columns % group == 0:
                    weights = random.integers(-8, 8, (rows, columns)).astype(np.int8)
                    scales = np.full((rows, columns // group), 0.01, np.float16)
                    packed = packing.pack_i4(weights, scales, group, layout)
                    buffers = [out, packed, row(columns, group)]
                    yield call, "int4", group, held, Case("gemv_i4", [rows, columns, group, 0], buffers, REPEATS)
    for lengths, held in ((VECTORS, False), (HELD_VECTORS, True)):
        for n in lengths:
            call = KernelCall("", 1, n, 1)
            vector = floats(n).tobytes()
            quantized = bytes(packing.quantized_bytes(n, layout))
            table = packing.pack_i8(random.integers(-127, 128, (8, n)).astype(np.int8), np.ones(8, np.float32), layout)
            for kind, case in (
                ("quantize_row", Case("quantize_row", [n, 0], [quantized, vector], REPEATS)),
                ("rmsnorm", Case("rmsnorm", [n, bits(1e-5)], [bytes(4 * n), vector, vector], REPEATS)),
                ("silu_mul", Case("silu_mul", [n], [bytes(4 * n), vector, vector], REPEATS)),
                ("rope", Case("rope", [n // 8, 8, 4], [vector, floats(8).tobytes()], REPEATS)),
                ("argmax", Case("argmax", [n], [bytes(4), vector], REPEATS)),
                ("layernorm", Case("layernorm", [n, bits(1e-12), 1], [bytes(4 * n), vector, vector, vector], REPEATS)),
                ("quantize_static", Case("quantize_static", [n, 0, bits(3.0)], [quantized, vector], REPEATS)),
                ("rope_angles", Case("rope_angles", [n, 9], [bytes(8 * n), vector], REPEATS)),
                ("gelu_tanh_mul", Case("gelu_tanh_mul", [n], [bytes(4 * n), vector, vector], REPEATS)),
                ("add", Case("add", [n], [vector, vector], REPEATS)),
                ("mul", Case("mul", [n], [vector, vector], REPEATS)),
                ("scale", Case("scale", [n, bits(1.0)], [vector], REPEATS)),
                ("soft_cap", Case("soft_cap", [n, bits(30.0)], [vector], REPEATS)),
                ("unit_norm", Case("unit_norm", [n, bits(1e-12)], [vector], REPEATS)),
                *((name, Case(name, [n], [vector], REPEATS)) for name in UNARY),
                *((kind, case) for kind, case in _stores(n, vector)),
            ):
                if kind != "rope" or n % 8 == 0:
                    yield _named(call, kind), "fp32", None, held, case
            lookup, out = KernelCall("lookup", 1, 1, n), bytes(4 * n)
            yield lookup, "int8", None, held, Case("row_i8", [5, n, 0], [out, table], REPEATS)
            packed = packing.pack_f32(floats(8, n))
            yield lookup, "fp32", None, held, Case("row_f32", [5, n, 0], [out, packed], REPEATS)
            for group in (16, 32):
                codes, steps = random.integers(-8, 8, (8, n)).astype(np.int8), np.ones((8, -(-n // group)), np.float16)
                packed = packing.pack_i4(codes, steps, group, layout)
                yield lookup, "int4", group, held, Case("row_i4", [5, n, group, 0], [out, packed], REPEATS)
    for pooled, held in ((POOLED, False), (HELD_POOLED, True)):
        for count, n in pooled:
            case = Case("pool", [count, n, MEAN], [bytes(4 * n), floats(count, n).tobytes()], REPEATS)
            yield KernelCall("pool", n, count, 1), "fp32", None, held, case
    for shapes4, held in ((ATTENTION, False), (HELD_ATTENTION, True)):
        for heads, groups, dim, count in shapes4:
            for kind, form in CACHES.items():
                cache = floats(groups * 64 * (dim + 1)).tobytes()  # and a scale for each row
                if form is CacheFormat.FLOAT16:
                    cache = np.frombuffer(cache, np.float32).astype(np.float16).tobytes()
                size = 4 * heads * dim
                buffers = [bytes(size), floats(heads * dim).tobytes(), cache, cache, bytes(max(256, 4 * count))]
                case = Case("attention", [heads, groups, dim, 64, form, 0, count, bits(1.0)], buffers, REPEATS)
                yield KernelCall(f"attention{kind}", 1, dim, count, batch=heads), "fp32", None, held, case


def _stores(n: int, vector: bytes) -> Iterator[tuple[str, Case]]:
    """A token's keys, of heads of 8, into a cache of 16 positions."""
    if n % 8 == 0:
        for kind, form in CACHES.items():
            buffers = [bytes(n * 16 * 4 + 4 * (n // 8) * 16), vector]
            yield f"cache_store{kind}", Case("cache_store", [n // 8, n // 8, 8, 16, form, 3], buffers, REPEATS)


def _named(call: KernelCall, kind: str) -> KernelCall:
    return KernelCall(kind, call.rows, call.inputs, call.outputs)
