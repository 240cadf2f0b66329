"""What a board sends, as text for a person: without frames, and without anything that steers a terminal."""

from __future__ import annotations

import codecs
import re

from edgeslm.firmware.board import MOST_ANSWER
from edgeslm.firmware.told import error_of
from edgeslm.firmware.wire import Frame, Receiver

_STEERING = re.compile(r"[^\r\n\t\b\x20-\x7e\xa0-\U0010ffff]")
"""Control characters but those of protocol/terminal.c: returns, line ends, tabs, and what erases a character."""


class Screen:
    """Frames on the line are somebody else's conversation and are left out; one that tells an error becomes a line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._receiver = Receiver(MOST_ANSWER)
        # A character may come in pieces.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def show(self, content: bytes) -> str:
        """The text of these bytes; what may become a frame is held back until `settle`."""
        return "".join(map(self._piece, self._receiver.pieces(content)))

    def settle(self) -> str:
        """What was held back, where nothing comes any more: it is no frame."""
        return "".join(map(self._piece, self._receiver.give_up()))

    def _piece(self, piece: Frame | bytes) -> str:
        if isinstance(piece, bytes):
            return self._text(piece)
        return f"\r\n[{error_of(piece, self._name).message}]\r\n" if piece.type == "e" else ""

    def _text(self, content: bytes) -> str:
        return _STEERING.sub("\ufffd", self._decoder.decode(content))
