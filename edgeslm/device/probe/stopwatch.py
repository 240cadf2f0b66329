"""Time single runs on the monotonic clock, and notice when a clock goes backwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], int]
"""Nanoseconds; the difference of two readings counts."""


@dataclass
class Stopwatch:
    """`clock` is CLOCK_MONOTONIC, which no setting of the time can move; a device's may still be broken.

    A reading that is not larger than the one before it cannot be a duration: it is counted and left out.
    """

    clock: Clock = time.perf_counter_ns
    discarded: int = field(default=0, init=False)

    def time(self, action: Callable[[], object]) -> float | None:
        """Milliseconds that `action` took, or None where the clock says something impossible."""
        started = self.clock()
        action()
        passed = self.clock() - started
        if passed <= 0:
            self.discarded += 1
            return None
        return passed / 1e6

    def sample(self, action: Callable[[], object], runs: int) -> tuple[list[float], int]:
        """Milliseconds of each of `runs` runs, in order, and how many readings were discarded."""
        before = self.discarded
        taken = [self.time(action) for _ in range(runs)]
        return [value for value in taken if value is not None], self.discarded - before
