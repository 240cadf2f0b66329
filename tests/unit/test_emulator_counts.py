"""The plugin's file: marks and clock reads become counts of runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.emulator.counts import Counts, parse_counts, read_counts

count = st.integers(0, 10**12)


@given(st.lists(st.tuples(st.lists(count, max_size=5), count, st.lists(count, max_size=3)), max_size=6), count, count)
def test_each_run_is_what_lies_between_its_two_marks(
    runs: list[tuple[list[int], int, list[int]]], start: int, nothing: int
) -> None:
    lines = [f"m {start}", f"m {nothing}"]
    for reads, end, between in runs:
        lines += [f"c {number}" for number in between]  # clock reads outside a run
        lines += ["m 7", *(f"c {number}" for number in reads), f"m {end}"]
    assert parse_counts(lines) == Counts(nothing, tuple((*reads, end) for reads, end, _ in runs))


def test_a_program_that_was_ended_leaves_its_whole_runs(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    path.write_text("m 100\nm 5\nm 9\nc 40\nm 60\nm 9\nc 41\nm 6")
    assert read_counts(path) == Counts(5, ((40, 60),))
    path.write_text("")
    assert read_counts(path) == Counts(0, ())


@pytest.mark.parametrize("line", ["x 1", "m", "m -1", "m 1.5", "m 1 2", "m " + "9" * 30])
def test_another_file_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse_counts(["m 1", line])
