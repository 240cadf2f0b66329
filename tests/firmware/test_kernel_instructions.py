"""Instructions of kernels are what the golden file says, as long as the compiler is the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scripts.bench_mcu import GOLDEN, changes, kernel_counts
from tests.firmware.kernel_programs import Programs, compiler_version


@pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="no arm-none-eabi-gcc or no qemu-system-arm (Debian: gcc-arm-none-eabi, qemu-system-arm)",
)
def test_kernels_take_as_many_instructions_as_before(programs: Programs, tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    if compiler_version() != golden["compiler"]:
        pytest.skip(f"counts are pinned for arm-none-eabi-gcc {golden['compiler']}, here is {compiler_version()}")
    assert list(changes(golden, kernel_counts(tmp_path, ("m4", "m55"), programs.board))) == []


def test_figures_that_are_wanted_are_reached() -> None:
    """The golden file may only be updated within these. Instructions per product, everything included."""
    golden = json.loads(GOLDEN.read_text())
    m4, m55 = golden["instructions"]["m4"], golden["instructions"]["m55"]
    assert m4["gemv_i8_requant 256x256"] / 65536 <= 1.04
    assert (m4["quantize_row 64"] + m4["gemv_i8 64x64"]) / 4096 <= 1.45
    assert m55["gemv_i8_requant 256x256"] / 65536 <= 0.168
    assert m4["linear_s8 16x64 by 256x64"] / 262144 <= 1.1
    assert m4["linear_s8 1x256 by 256x256"] / 65536 <= 1.04
    assert m4["add_s8 16x64"] / 1024 <= 15
    assert max(m4["softmax_s8 1x256"] / 256, m4["softmax_s8 64x16"] / 1024) <= 40
    assert m55["linear_s8 16x64 by 256x64"] / 262144 <= 0.2
    assert m55["linear_s8 1x256 by 256x256"] / 65536 <= 0.17
