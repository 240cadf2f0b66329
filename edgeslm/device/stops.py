"""Stop strings in a text that comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import UsageError


class Stops:
    """`feed` pieces, get the text before the first stop string; wherever the pieces' borders are, it is the same.

    The first stop string is the one that is complete first; of several that end together, the longest.
    `stopped` says that it was there. Raises UsageError for an empty stop string.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        if any(not text for text in strings):
            raise UsageError("a stop string is empty", "leave it out: without stop strings an answer ends by itself")
        self.stopped = False
        self._strings = tuple(strings)
        self._beginnings = frozenset(text[:length] for text in strings for length in range(1, len(text)))
        self._longest = max(map(len, self._beginnings), default=0)
        self._held = ""

    def feed(self, piece: str) -> str:
        """The text that belongs to the answer for certain. What may begin a stop string is held back."""
        text = self._held + piece
        found = [(start + len(stop), start) for stop in self._strings if (start := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)[1]]
        # The longest end of the text that a stop string begins with.
        for length in range(min(self._longest, len(text)), 0, -1):
            if text[-length:] in self._beginnings:
                self._held = text[-length:]
                return text[:-length]
        self._held = ""
        return text

    def finish(self) -> str:
        """What was held back: no stop string came of it."""
        held, self._held = self._held, ""
        return held
