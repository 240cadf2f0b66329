"""The tokens that lie in an engine's cache, and who may add to them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from .errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .language import LanguageEngine


class Context:
    """An engine's cache. One answer writes to it at a time; the one that begins takes it over from the one before.

    `ids` are the tokens whose rows are known to be there. After an exception, Ctrl-C included, they are fewer than
    what was entered, never more.
    """

    def __init__(self, engine: LanguageEngine) -> None:
        self.engine = engine
        self.ids: list[int] = []
        self.turn: Turn | None = None
        self.lock = threading.Lock()

    def begin(self, engine: LanguageEngine | None = None) -> Turn:
        """Take the cache over. `engine` is the context's own, in a wrapping that measures it."""
        self.turn = Turn(self, engine or self.engine)
        return self.turn

    def close(self) -> None:
        """Free the model's memory; an answer under way is told so."""
        with self.lock:
            self.turn = None
            self.ids = []
            self.engine.close()


class Turn:
    """One answer's use of the cache. Raises UsageError once another answer took it over, or the model was closed."""

    def __init__(self, context: Context, engine: LanguageEngine) -> None:
        self._context = context
        self._engine = engine

    def enter(self, prompt: list[int], reuse: bool) -> NDArray[np.float32]:
        """The logits after a prompt. With `reuse`, what it has in common with the cache is not entered again."""
        context = self._context
        with context.lock:
            self._require_turn()
            # At least the last token is entered: its logits are wanted.
            start = _common(context.ids, prompt[:-1]) if reuse else 0
            del context.ids[start:]
            logits = self._engine.prefill(np.array(prompt[start:], np.int32), start)
            context.ids.extend(prompt[start:])
        return logits

    def step(self, token: int) -> NDArray[np.float32]:
        """The logits after one more token."""
        context = self._context
        with context.lock:
            if context.turn is not self:
                self._require_turn()
            logits = self._engine.step(token, len(context.ids))
            context.ids.append(token)
        return logits

    def _require_turn(self) -> None:
        if self._context.turn is not self:
            raise UsageError(
                "this answer cannot go on: the model was closed, or another answer began",
                "a model gives one answer at a time; open it twice for two",
            )


def _common(one: list[int], other: list[int]) -> int:
    """How many tokens two lists begin with together."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)
