"""Kernels: portable C against numpy under the sanitizers, and every core's variant against portable C, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edgeslm.backends.cortexm.packing import Layout
from tests.firmware.kernel_cases import kernel_cases, smallest_cases
from tests.firmware.kernel_programs import BOARDS, Case, Programs, run_board, run_host

needs_board = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="no arm-none-eabi-gcc or no qemu-system-arm (Debian: gcc-arm-none-eabi, qemu-system-arm)",
)


@pytest.mark.parametrize(
    ("layout", "fixed"),
    [(Layout.ROWS, False), (Layout.PAIRS, False), (Layout.VECTORS, False), (Layout.ROWS, True)],
    ids=["rows", "pairs", "vectors", "fixed"],
)
def test_portable_kernels_give_what_numpy_gives(
    layout: Layout, fixed: bool, programs: Programs, tmp_path: Path
) -> None:
    program = programs.host(layout, fixed=fixed)

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(st.lists(kernel_cases(layout, fixed), min_size=20, max_size=60))
    def check(cases: list[Case]) -> None:
        cases = smallest_cases(layout, fixed) + cases
        results = run_host(program, cases, tmp_path)
        assert len(results) == len(cases)
        for case, result in zip(cases, results, strict=True):
            if case.expected is not None:
                try:
                    case.expected.reject(result, fixed)
                except AssertionError as error:
                    raise AssertionError(f"{case.kernel} {case.arguments}: {error}") from None

    check()


@needs_board
@pytest.mark.parametrize("name", BOARDS)
def test_a_board_gives_what_portable_c_gives_bit_for_bit(name: str, programs: Programs, tmp_path: Path) -> None:
    board = BOARDS[name]
    cases: list[Case] = []

    @settings(
        max_examples=300,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(kernel_cases(board.layout, board.fixed))
    def collect(case: Case) -> None:
        cases.append(case)

    collect()
    expected = run_host(programs.host(board.layout, fixed=board.fixed), cases, tmp_path)
    got = run_board(programs.board(name), name, cases, tmp_path)
    assert len(got) == len(expected)
    wrong = [
        f"{case.kernel} {case.arguments}"
        for case, ours, theirs in zip(cases, got, expected, strict=True)
        if ours.data != theirs.data
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)} differ: {wrong[:20]}"
