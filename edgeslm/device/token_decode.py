"""Tokens back to text: the decoder's steps, each over the list of pieces that the one before left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .token_content import TokenContent, damaged

_WORD_PIECES, _BYTES, _FALLBACK, _FUSE, _STRIP, _REPLACE, _SPACES = range(1, 8)
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>")
# In this order, each over what the ones before left; tokenizers has them from transformers.
_CLEANUPS = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)

Step = Callable[[list[str]], list[str]]


class Decoder:
    """A table's decoder. Where it has none, tokens are joined with spaces."""

    def __init__(self, content: TokenContent, byte_level: bool) -> None:
        records = content.records("DECO", "<IIII")
        self._between = "" if "DECO" in content else " "
        if byte_level != (bool(records) and records[0][0] == _BYTES):
            raise damaged("its decoder is of another kind of tokens")
        self._byte_level = byte_level
        self._steps = [self._read(content, *record) for record in records[byte_level:]]

    def text(self, tokens: Iterable[bytes]) -> str:
        pieces = [b"".join(tokens).decode(errors="replace")] if self._byte_level else [one.decode() for one in tokens]
        for step in self._steps:
            pieces = step(pieces)
        return self._between.join(pieces)

    def _read(self, content: TokenContent, kind: int, a: int, x: int, y: int) -> Step:
        if kind == _WORD_PIECES:
            prefix = content.text(x).decode()
            return lambda pieces: _word_pieces(pieces, prefix, bool(a))
        if kind == _FALLBACK:
            return _fallback
        if kind == _FUSE:
            return lambda pieces: ["".join(pieces)]
        if kind == _STRIP:
            character = chr(a)
            return lambda pieces: [_stripped(piece, character, x, y) for piece in pieces]
        if kind == _REPLACE:
            old, new = content.text(x).decode(), content.text(y).decode()
            return lambda pieces: [piece.replace(old, new) for piece in pieces]
        if kind == _SPACES:
            mark = chr(x)
            return lambda pieces: [
                piece.replace(mark, "" if a and not place else " ") for place, piece in enumerate(pieces)
            ]
        raise damaged(f"a decoder step of kind {kind}")


def _word_pieces(pieces: list[str], prefix: str, cleanup: bool) -> list[str]:
    made = []
    for place, piece in enumerate(pieces):
        if place:
            piece = piece[len(prefix) :] if piece.startswith(prefix) else f" {piece}"
        if cleanup and " " in piece:
            for old, new in _CLEANUPS:
                piece = piece.replace(old, new)
        made.append(piece)
    return made


def _fallback(pieces: list[str]) -> list[str]:
    made: list[str] = []
    waiting = bytearray()

    def end() -> None:
        try:
            made.append(waiting.decode())
        except UnicodeDecodeError:
            made.extend("\ufffd" * len(waiting))
        waiting.clear()

    for piece in pieces:
        found = _BYTE_TOKEN.fullmatch(piece)
        if found:
            waiting.append(int(found[1], 16))
            continue
        if waiting:
            end()
        made.append(piece)
    if waiting:
        end()
    return made


def _stripped(piece: str, character: str, start: int, stop: int) -> str:
    first, last = 0, len(piece)
    while first < min(start, last) and piece[first] == character:
        first += 1
    while len(piece) - last < stop and last > first and piece[last - 1] == character:
        last -= 1
    return piece[first:last]
