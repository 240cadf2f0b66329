"""What the counting plugin wrote down: instructions between the marks that a probe set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

MAX_BYTES = 256 << 20
_LINE = re.compile(r"([mc]) (\d{1,19})")


@dataclass(frozen=True)
class Counts:
    """`runs`: for each counted run the instructions up to each clock read in it, and after the last to its end.

    Instructions of a run are the sum of its list, less `overhead`: what two marks take with nothing in between.
    """

    overhead: int
    runs: tuple[tuple[int, ...], ...]


def read_counts(path: Path) -> Counts:
    """The file of one program: two marks around nothing, then two around each run.

    A last line or run that was cut off is left out. Raises ValueError where it is no such file.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_BYTES:,} bytes")
    text = path.read_text(encoding="ascii")
    return parse_counts(text[: text.rfind("\n") + 1].splitlines())


def parse_counts(lines: Sequence[str]) -> Counts:
    read = [_LINE.fullmatch(line) for line in lines]
    if None in read:
        raise ValueError(f"line {read.index(None) + 1} of the counts is neither a mark nor a clock read")
    letters = [(match[1], int(match[2])) for match in read if match]
    marks = [place for place, (letter, _) in enumerate(letters) if letter == "m"]
    windows = [tuple(count for _, count in letters[start + 1 : end + 1]) for start, end in pairwise(marks)]
    if not windows:
        return Counts(0, ())
    # Between the windows that count lie those between a run's end and the next one's start.
    return Counts(sum(windows[0]), tuple(windows[2::2]))
