"""Text from tokens one at a time, as the tokenizer would decode all of them at once."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from .tokenizer import Tokenizer

REPLACEMENT = "\ufffd"
WINDOW = 4
"""Tokens that are decoded again with each new one; decoding costs 1 µs a token."""
WIDEST = 64
"""No window grows longer: only tokens without any text make it grow."""
LONG_RUN = 32
"""Bytes. A byte run this long that is UTF-8 so far is not waited for any more."""


class TextStream:
    """`feed` a token, get the text that is certain now; `finish` gives the rest. Joined, it is `decode(all tokens)`.

    A token's text depends on what stands before it (a space that only the first one loses) and a character may be
    spread over several tokens. So a few tokens are decoded together, and what is new at the end is the piece; a
    character is held back until its last byte is there.

    Tokenizers with byte fallback decode a whole run of byte tokens to U+FFFD, one for each byte, if any of it is no
    UTF-8. The run is therefore held back until it ends. One that is UTF-8 for 32 bytes is trusted: a script that the
    vocabulary does not have would otherwise not be seen before the answer's end.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._decode: Callable[[list[int]], str] = tokenizer.decode
        self._word = tokenizer.word
        self._silent = set(tokenizer.special_ids)
        self._heard: set[int] = set()  # tokens met that are not silent
        self._bytes = tokenizer.byte_ids
        self._filler = next((token for token, byte in self._bytes.items() if byte == 0xFF), None)
        self._window: list[int] = []
        self._shown = 0  # characters of the window's text that were given away
        self._run: _ByteRun | None = None

    def feed(self, token: int) -> str:
        """The text that is certain with this token; often that of the token, "" where it has to wait."""
        if token not in self._heard:
            if token in self._silent:
                return ""
            if self._word(token) is None:  # models are often padded to a round number of ids
                self._silent.add(token)
                return ""
            self._heard.add(token)
        if token in self._bytes:
            return self._feed_byte(token)
        settled = self._close_run() if self._run is not None else ""
        window = self._window
        window.append(token)
        text = self._decode(window)
        certain = len(text)
        if text.endswith(REPLACEMENT) and not self._bytes:
            certain -= 1  # the beginning of a character, perhaps
        piece = text[self._shown : certain]
        self._shown = max(certain, self._shown)
        if certain == len(text):
            if len(window) > WINDOW:
                self._slide(1)
        elif len(window) > WIDEST:
            self._slide(8)  # more tokens than a character has bytes
        return settled + piece

    def finish(self) -> str:
        """What was held back, with U+FFFD where a character is not whole."""
        settled = self._close_run() if self._run is not None else ""
        text = self._decode(self._window)[self._shown :]
        self._window, self._shown = [], 0
        return settled + text

    def _slide(self, keep: int) -> None:
        """Forget all but the last tokens. They need a text: where there is one, nothing is stripped any more."""
        text = self._decode(self._window[-keep:])
        if text or len(self._window) > WIDEST:
            self._window = self._window[-keep:]
            self._shown = len(text) - (keep > 1 and text.endswith(REPLACEMENT))

    def _feed_byte(self, token: int) -> str:
        if self._run is None:
            self._run = _ByteRun()
        run = self._run
        waiting = run.state == "whole"
        piece = run.feed(self._bytes[token])
        if not waiting:
            return piece
        self._window.append(token)
        if run.state == "whole":
            return ""
        if run.state == "long":
            piece = self._decode(self._window)[self._shown :]
        self._restart()
        return piece

    def _close_run(self) -> str:
        """A byte run ends: give what it held, or leave it in the window, to be decoded with the token behind it."""
        run, self._run = self._run, None
        assert run is not None
        lost = run.lost
        if lost and run.state == "whole":
            self._restart()
        return lost

    def _restart(self) -> None:
        """All that lies before is given away; any text stands for it."""
        assert self._filler is not None
        self._window, self._shown = [self._filler], 1


class _ByteRun:
    """Byte tokens in a row. `state`: "whole" while it may still be all UTF-8, "long" then, "broken" if it is not."""

    def __init__(self) -> None:
        self.state = "whole"
        self._held = 0  # bytes that are not given away
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, byte: int) -> str:
        """What the byte adds, where the run's state gives anything away."""
        if self.state == "broken":
            return REPLACEMENT
        self._held += 1
        try:
            letter = self._decoder.decode(bytes([byte]))
        except UnicodeDecodeError:
            self.state = "broken"
            return REPLACEMENT * self._held
        if self.state == "long":
            self._held = 0 if letter else self._held
            return letter
        if self._held >= LONG_RUN and letter:
            self.state = "long"
            self._held = 0
        return ""

    @property
    def lost(self) -> str:
        """What stands for the run's bytes if it ends here, in the middle of a character."""
        incomplete = self.state != "broken" and bool(self._decoder.getstate()[0])
        return REPLACEMENT * self._held if incomplete else ""
