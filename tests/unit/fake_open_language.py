"""A fake runtime in place of edgeslm/device/open_language.py: it travels in test bundles, so it knows numpy alone."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FakeEngine:
    """A LanguageEngine whose logits depend on every row of its cache up to the position: a wrong row shows.

    `answer`: says these tokens after each prompt instead. `broken_at`: from this position on, its logits are NaN.
    `delay`: seconds that a call takes. `begun`: a file that is there once a token was asked for. `calls` are (kind,
    position, tokens).
    """

    name = "fake"

    def __init__(
        self,
        context: int = 64,
        vocabulary: int = 512,
        answer: list[int] | None = None,
        delay: float = 0.0,
        broken_at: int | None = None,
        begun: str | None = None,
    ) -> None:
        self.context = context
        self.vocabulary = vocabulary
        self.calls: list[tuple[str, int, int]] = []
        self.closed = False
        self._answer = answer
        self._delay = delay
        self._broken_at = broken_at
        self._begun = begun
        self._said = 0
        self._rows = np.full(context, -1, np.int32)
        self._logits = np.zeros(vocabulary, np.float32)  # the same memory for every call, as runtimes have it

    def prefill(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        assert tokens.dtype == np.int32
        assert 1 <= len(tokens) <= self.context - position
        self._said = 0
        return self._enter("prefill", tokens, position)

    def step(self, token: int, position: int) -> NDArray[np.float32]:
        self._said += 1
        if self._begun:
            Path(self._begun).touch()
        return self._enter("step", np.array([token], np.int32), position)

    def close(self) -> None:
        self.closed = True

    def _enter(self, kind: str, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        assert not self.closed
        end = position + len(tokens)
        self._rows[position:end] = tokens
        assert (self._rows[:end] >= 0).all()
        if self._delay:
            time.sleep(self._delay)
        self.calls.append((kind, position, len(tokens)))
        if self._broken_at is not None and end > self._broken_at:
            self._logits[:] = np.nan
        elif self._answer is not None:
            self._logits[:] = -1
            self._logits[self._answer[self._said % len(self._answer)]] = 5
        else:
            random = np.random.default_rng(zlib.crc32(self._rows[:end].tobytes()))
            self._logits[:] = random.normal(scale=3, size=self.vocabulary)
        return self._logits


def open_language(model: Mapping[str, Any], files: object, threads: int = 2) -> FakeEngine:
    """What the manifest's `model.fake` says."""
    return FakeEngine(**model["fake"])
