"""How long an answer took, inside the runtime and outside of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .language import LanguageEngine


@dataclass(frozen=True)
class Timings:
    """Seconds of one answer. `first_token` counts from when the answer was first asked for to its first text."""

    first_token: float
    prefill: float
    steps: tuple[float, ...]  # inside engine.step, one for each call
    outside: tuple[float, ...]  # before each of these calls: choosing, decoding, and what the caller does with a piece


class TimedEngine:
    """An engine that notes when each of its calls begins and ends. A LanguageEngine itself."""

    def __init__(self, engine: LanguageEngine) -> None:
        self.name = engine.name
        self.context = engine.context
        self.vocabulary = engine.vocabulary
        self._engine = engine
        self._started = time.perf_counter()
        self._first: float | None = None
        self._marks: list[tuple[float, float]] = []

    def prefill(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        begin = time.perf_counter()
        logits = self._engine.prefill(tokens, position)
        self._marks.append((begin, time.perf_counter()))
        return logits

    def step(self, token: int, position: int) -> NDArray[np.float32]:
        begin = time.perf_counter()
        logits = self._engine.step(token, position)
        self._marks.append((begin, time.perf_counter()))
        return logits

    def close(self) -> None:
        self._engine.close()

    def note_first(self, feed: Callable[[int], str]) -> Callable[[int], str]:
        """A token's text as `feed` gives it; the first one's time is noted."""

        def noting(token: int) -> str:
            text = feed(token)
            if self._first is None:
                self._first = time.perf_counter()
            return text

        return noting

    @property
    def timings(self) -> Timings:
        """What was measured until now."""
        now = time.perf_counter()
        prefill, steps = self._marks[:1], self._marks[1:]
        return Timings(
            first_token=(self._first or now) - self._started,
            prefill=sum(end - begin for begin, end in prefill),
            steps=tuple(end - begin for begin, end in steps),
            outside=tuple(steps[number][0] - self._marks[number][1] for number in range(len(steps))),
        )
