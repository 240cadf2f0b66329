"""Kernels of int8 graphs: on the host under the sanitizers and on every core, against the reference, to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edgeslm.backends.cortexm.variant import Variant
from tests.firmware.integer_cases import VARIANTS, integer_cases, smallest_cases
from tests.firmware.kernel_programs import BOARDS, Case, Programs, Result, run_board, run_host

needs_board = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="no arm-none-eabi-gcc or no qemu-system-arm (Debian: gcc-arm-none-eabi, qemu-system-arm)",
)


def reject(cases: Sequence[Case], results: Sequence[Result]) -> None:
    assert len(results) == len(cases)
    wrong = []
    for case, result in zip(cases, results, strict=True):
        try:
            case.expected.reject(result, False)
        except AssertionError as error:
            wrong.append(f"{case.kernel} {case.arguments}: {error}")
    assert not wrong, f"{len(wrong)} of {len(cases)} are wrong: {wrong[0]}"


@pytest.mark.parametrize("name", VARIANTS)
def test_portable_kernels_give_what_the_reference_gives(name: str, programs: Programs, tmp_path: Path) -> None:
    variant = VARIANTS[name]
    program = programs.host(variant.layout, fixed=variant.fixed)

    @settings(max_examples=8, suppress_health_check=list(HealthCheck))
    @given(st.lists(integer_cases(variant), min_size=20, max_size=50))
    def check(cases: list[Case]) -> None:
        cases = smallest_cases(variant) + cases
        reject(cases, run_host(program, cases, tmp_path))

    check()


@needs_board
@pytest.mark.parametrize("name", BOARDS)
def test_boards_give_what_the_reference_gives(name: str, programs: Programs, tmp_path: Path) -> None:
    board = BOARDS[name]
    variant = Variant(board.layout, fixed=board.fixed)
    cases = smallest_cases(variant)

    @settings(
        max_examples=250,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(integer_cases(variant))
    def collect(case: Case) -> None:
        cases.append(case)

    collect()
    reject(cases, run_board(programs.board(name), name, cases, tmp_path))
