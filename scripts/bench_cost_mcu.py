"""Single kernels of a language model's step on emulated microcontrollers, over a grid of shapes: exact instructions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeslm.artifacts import Precision
from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.cost.kernels import SHORT, KernelCall
from edgeslm.cost.points import KernelPoint, Points
from tests.firmware.kernel_programs import BOARDS, Case, bits, build_board, run_board

CORES = {"cortex-m4": "m4", "cortex-m7": "m7", "cortex-m55": "m55"}
REPEATS = 20
# rows of the matrix, columns
MATRICES = ((64, 64), (32, 64), (172, 64), (64, 172), (512, 64), (96, 96), (48, 128), (128, 48), (24, 256), (160, 32),
            (80, 160), (32, 384), (16, 64))  # fmt: skip
HELD_MATRICES = ((128, 128), (64, 192), (40, 80), (256, 64), (96, 64))
VECTORS, HELD_VECTORS = (32, 64, 172, 256), (96, 128)
# heads, heads of keys, dimension, positions
ATTENTION = ((8, 4, 8, 1), (8, 4, 8, 17), (8, 4, 8, 64), (4, 4, 16, 33), (4, 2, 32, 8), (6, 6, 16, 48))
HELD_ATTENTION = ((8, 4, 8, 40), (4, 4, 16, 20), (4, 2, 32, 30))

Measured = tuple[KernelCall, Precision, int | None, bool, Case]


def measure(core: str) -> Points:
    """What each kernel of a step takes."""
    board = BOARDS[CORES[core]]
    grid = list(_grid(board.layout))
    with tempfile.TemporaryDirectory() as folder:
        program = build_board(Path(folder), CORES[core])
        cases = [Case("nothing", [], [bytes(4)], REPEATS), *(case for *_, case in grid)]
        nothing, *results = run_board(program, CORES[core], cases, Path(folder), count=True)
    tick = board.tick_ns / REPEATS
    points = tuple(
        KernelPoint(call, precision, group, held, round((result.ticks - nothing.ticks) * tick))
        for (call, precision, group, held, _), result in zip(grid, results, strict=True)
    )
    device = f"qemu-system-arm, {core}"
    return Points(core, "instructions", device, emulated=True, throttled=False, empty=0.0, operator=0.0, points=points)


def _grid(layout: Layout) -> Iterator[Measured]:
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
            ):
                if kind != "rope" or n % 8 == 0:
                    yield _named(call, kind), "fp32", None, held, case
            lookup = KernelCall("lookup", 1, 1, n)
            yield lookup, "int8", None, held, Case("row_i8", [5, n, 0], [bytes(4 * n), table], REPEATS)
    for shapes4, held in ((ATTENTION, False), (HELD_ATTENTION, True)):
        for heads, groups, dim, count in shapes4:
            cache = floats(groups * 64 * dim).tobytes()
            size = 4 * heads * dim
            buffers = [bytes(size), floats(heads * dim).tobytes(), cache, cache, bytes(max(256, 4 * count))]
            case = Case("attention", [heads, groups, dim, 64, 0, 0, count, bits(1.0)], buffers, REPEATS)
            yield KernelCall("attention", 1, dim, count, batch=heads), "fp32", None, held, case


def _named(call: KernelCall, kind: str) -> KernelCall:
    return KernelCall(kind, call.rows, call.inputs, call.outputs)
