"""Instructions of kernels and of tokens on emulated microcontrollers: exact, the same on every machine, no time.

`scripts/bench mcu` prints the tables and says what changed since the golden files; `--update` writes those. With the
compiler they were written with, every count must be the same; another one is held to what must be reached, alone.
One instruction takes 1 ns of the emulator's time (-icount shift=0), and SysTick counts ticks of that.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.packing import Layout
from scripts.bench_mcu_integers import measured_integers
from scripts.bench_mcu_nets import net_changes, net_counts
from scripts.bench_mcu_tokens import token_changes, token_counts
from scripts.mcu_figures import NETS_GOLDEN, TITLES, TOKENS_GOLDEN, reached
from tests.firmware.kernel_programs import BOARDS, Case, bits, build_board, compiler_version, run_board

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "kernel_instructions.json"
CORES = ("m4", "m7", "m33", "m55")
REPEATS = 200

Array = NDArray[Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench mcu", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the golden files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kernels, tokens, nets = kernel_counts(Path(folder)), token_counts(Path(folder)), net_counts(Path(folder))
    print(f"instructions (per element or product), arm-none-eabi-gcc {kernels['compiler']}")
    for label in kernels["instructions"]["m4"]:
        print(f"  {label:42}" + "".join(_figure(kernels, core, label) for core in CORES))
    found = list(reached(kernels, tokens, nets))
    print()
    _print_table([TITLES, *(figure.row(number) for figure, number in found)])
    if arguments.update:
        for path, counts in ((GOLDEN, kernels), (TOKENS_GOLDEN, tokens), (NETS_GOLDEN, nets)):
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(counts, indent=1) + "\n")
        return 0
    golden = json.loads(GOLDEN.read_text())
    if kernels["compiler"] == golden["compiler"]:
        lines = [*changes(golden, kernels), *token_changes(json.loads(TOKENS_GOLDEN.read_text()), tokens)]
        lines += net_changes(json.loads(NETS_GOLDEN.read_text()), nets)
    else:
        print(f"counts are kept for arm-none-eabi-gcc {golden['compiler']}: held to what must be reached, alone")
        lines = [f"{figure.name}: misses what must be reached" for figure, number in found if number > figure.must]
    for line in lines:
        print(line)
    return 1 if lines else 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def kernel_counts(
    folder: Path, cores: Sequence[str] = CORES, built: Callable[[str], Path] | None = None
) -> dict[str, Any]:
    """{"compiler": version, "instructions": {core: {label: count}}, "elements": {label: count}}. `built`: a core's
    program, where somebody has made it."""
    instructions: dict[str, dict[str, int]] = {}
    elements: dict[str, int] = {}
    for core in cores:
        layout = BOARDS[core].layout
        measured = [*_measured(layout), *measured_integers(layout, REPEATS)]
        program = built(core) if built else build_board(folder, core)
        cases = [Case("nothing", [], [bytes(4)], REPEATS), *(case for _, _, case in measured)]
        nothing, *results = run_board(program, core, cases, folder, count=True)
        tick = BOARDS[core].tick_ns / REPEATS
        instructions[core] = {
            label: round((result.ticks - nothing.ticks) * tick)
            for (label, _, _), result in zip(measured, results, strict=True)
        }
        elements = {label: count for label, count, _ in measured}
    return {"compiler": compiler_version(), "instructions": instructions, "elements": elements}


def changes(golden: dict[str, Any], counts: dict[str, Any]) -> Iterator[str]:
    """What differs from the golden file, a line each."""
    for core, kernels in counts["instructions"].items():
        for label, count in kernels.items():
            before = golden["instructions"].get(core, {}).get(label)
            if before != count:
                yield f"{core} {label}: {count} instructions, golden {before}"


def _figure(counts: dict[str, Any], core: str, label: str) -> str:
    count = counts["instructions"][core][label]
    return f"{core:>5} {count:7} ({count / counts['elements'][label]:6.3f})"


def _measured(layout: Layout) -> Iterator[tuple[str, int, Case]]:
    """Label, elements (products for matrices), case."""
    random = np.random.default_rng(0)

    def floats(*size: int) -> Array:
        return random.standard_normal(size).astype(np.float32)

    def quantized(columns: int, group: int = 0) -> bytes:
        x = np.zeros(packing.padded(columns, group or layout.columns_step), np.int64)
        x[:columns] = random.integers(-127, 128, columns)
        row = np.float32(0.01).tobytes() + np.int32(x.sum()).tobytes()
        row += x.astype(np.int16 if layout is Layout.PAIRS else np.int8).tobytes()
        return row + (x.reshape(-1, group).sum(axis=1).astype(np.int32).tobytes() if group else b"")

    def case(kernel: str, arguments: Sequence[int], buffers: Sequence[bytes]) -> Case:
        return Case(kernel, arguments, buffers, REPEATS)

    for rows, columns, mode in (
        (64, 64, 0),
        (64, 64, 2),
        (32, 64, 0),
        (172, 64, 0),
        (64, 172, 2),
        (512, 64, 0),
        (256, 256, 0),
    ):
        weights = random.integers(-127, 128, (rows, columns)).astype(np.int8)
        packed = packing.pack_i8(weights, np.abs(floats(rows)), layout)
        label = f"gemv_i8 {rows}x{columns}{' accumulated' * (mode // 2)}"
        yield (
            label,
            rows * columns,
            case("gemv_i8", [rows, columns, mode], [bytes(4 * rows), packed, quantized(columns)]),
        )
    # one answer of a layer of 64 by 64, from floats to floats, is quantize_row 64 and gemv_i8 64x64
    for n in (64, 172):
        row = bytes(packing.quantized_bytes(n, layout))
        yield f"quantize_row {n}", n, case("quantize_row", [n, 0], [row, floats(n).tobytes()])
    weights = random.integers(-127, 128, (256, 256)).astype(np.int8)
    ones, shifts = np.full(256, 2**30 + 12345, np.int32), np.full(256, -7, np.int32)
    packed = packing.pack_requant(weights, np.zeros(256, np.int32), ones, shifts, 3, layout)
    x, scratch = random.integers(-128, 128, 256).astype(np.int8).tobytes(), bytes(512)
    yield (
        "gemv_i8_requant 256x256",
        65536,
        case("gemv_i8_requant", [256, 256, 1, -128, 127], [bytes(256), packed, x, scratch]),
    )
    for group in (16, 32):
        weights = random.integers(-8, 8, (64, 64)).astype(np.int8)
        packed = packing.pack_i4(weights, np.full((64, 64 // group), 0.01, np.float16), group, layout)
        yield (
            f"gemv_i4 64x64 groups of {group}",
            4096,
            case("gemv_i4", [64, 64, group, 0], [bytes(256), packed, quantized(64, group)]),
        )
    packed = packing.pack_f32(floats(64, 64))
    yield "gemv_f32 64x64", 4096, case("gemv_f32", [64, 64, 0], [bytes(256), packed, floats(64).tobytes()])
    packed = packing.pack_i8(random.integers(-127, 128, (8, 64)).astype(np.int8), np.ones(8, np.float32), layout)
    yield "row_i8 64", 64, case("row_i8", [5, 64, 0], [bytes(256), packed])
    yield "rmsnorm 64", 64, case("rmsnorm", [64, bits(1e-5)], [bytes(256), floats(64).tobytes(), floats(64).tobytes()])
    yield (
        "rope_angles 4",
        4,
        case("rope_angles", [4, 17], [bytes(32), np.array([1, 0.1, 0.01, 0.001], np.float32).tobytes()]),
    )
    yield "rope 8 heads of 8", 64, case("rope", [8, 8, 4], [floats(64).tobytes(), floats(8).tobytes()])
    for count in (1, 33, 64):
        cache = floats(4 * 64 * 8).tobytes()
        buffers = [bytes(256), floats(64).tobytes(), cache, cache, bytes(256)]
        # q is multiplied by the scale in place: 1 leaves it as it is for the next repeat
        arguments = [8, 4, 8, 64, 0, 0, count, bits(1.0)]
        yield f"attention 8 heads of 8 over {count}", 128 * count, case("attention", arguments, buffers)
    yield "softmax 64", 64, case("softmax", [64], [floats(64).tobytes()])
    yield "silu_mul 172", 172, case("silu_mul", [172], [bytes(688), floats(172).tobytes(), floats(172).tobytes()])
    yield "argmax 512", 512, case("argmax", [512], [bytes(4), floats(512).tobytes()])
    # int8: elements, then a scale for each head and position
    elements = random.integers(-127, 128, 4 * 64 * 8).astype(np.int8).tobytes()
    cache = elements + np.full(4 * 64, 0.01, np.float32).tobytes()
    buffers = [bytes(256), floats(64).tobytes(), cache, cache, bytes(256)]
    arguments = [8, 4, 8, 64, 2, 0, 64, bits(1.0)]
    yield "attention 8 heads of 8 over 64, int8", 128 * 64, case("attention", arguments, buffers)
    row = bytes(packing.quantized_bytes(64, layout))
    yield "quantize_static 64", 64, case("quantize_static", [64, 0, bits(3.0)], [row, floats(64).tobytes()])


if __name__ == "__main__":
    sys.exit(main())
