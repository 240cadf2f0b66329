"""Frames on a wire that may lose, double or change bytes: firmware_templates/protocol/frames.h in Python.

    | 0xfd | type | length (2 bytes) | number | payload (length) | CRC-32 of all but the first byte (4 bytes) |

What has more than a byte is little-endian. The sync byte is none of UTF-8's. An answer has its request's number.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SYNC = 0xFD
MOST_NUMBER = 0xFF
MOST_PAYLOAD = 0xFFFF
MOST_REQUEST = 1024
"""EDGESLM_MOST_PAYLOAD: a board waits for no longer payload."""
BETWEEN = 64
"""Bytes that are kept of what is no frame."""
BEGIN, END = 5, 4
"""Bytes before a payload, and behind it."""


@dataclass(frozen=True)
class Frame:
    """A request (type in upper case) or an answer (in lower case)."""

    type: str
    payload: bytes = b""
    number: int = 0

    def encode(self) -> bytes:
        """Raises ValueError for a payload that no length can tell."""
        if len(self.payload) > MOST_PAYLOAD:
            raise ValueError(f"a frame holds {MOST_PAYLOAD} bytes at most, not {len(self.payload)}")
        body = struct.pack("<BHB", ord(self.type), len(self.payload), self.number) + self.payload
        return bytes([SYNC]) + body + struct.pack("<I", zlib.crc32(body))

    def words(self, count: int) -> tuple[int, ...]:
        """The payload's first words, 4 bytes each. Raises ValueError where it has fewer."""
        if len(self.payload) < 4 * count:
            raise ValueError(f"frame {self.type} has {len(self.payload)} bytes, {count} words are expected")
        return struct.unpack_from(f"<{count}I", self.payload)

    def text(self, words: int) -> bytes:
        """What comes behind the payload's words."""
        return self.payload[4 * words :]


def request(kind: str, *words: int, number: int = 0) -> Frame:
    return Frame(kind, struct.pack(f"<{len(words)}I", *words), number)


class Receiver:
    """Takes bytes as they come, and gives the frames that are whole.

    A receiver that finds a frame damaged looks for the next sync byte in what it holds already. `damaged` counts the
    places that looked like a frame and were none, `passed` all bytes that were of no frame; `most` is the longest
    payload that is waited for; `between` is the end of what came since the last frame and was none.
    """

    def __init__(self, most: int = MOST_PAYLOAD) -> None:
        self.damaged = 0
        self.passed = 0
        self.between = b""
        self._most = most
        self._held = bytearray()

    def feed(self, content: bytes) -> Iterator[Frame]:
        """The frames that are whole with these bytes, in order."""
        for piece in self.pieces(content):
            if isinstance(piece, Frame):
                yield piece

    def pieces(self, content: bytes) -> Iterator[Frame | bytes]:
        """Frames, and the bytes between them, in order. What may become a frame is held back."""
        self._held += content
        while self._held:
            place = self._held.find(SYNC)
            if place:
                yield self._pass(len(self._held) if place < 0 else place)
                continue
            frame = self._front()
            if frame is None:
                return
            if frame:
                del self._held[: BEGIN + len(frame.payload) + END]
                self.between = b""
                yield frame
            else:
                self.damaged += 1
                yield self._pass(1)

    def give_up(self) -> Iterator[Frame | bytes]:
        """Pieces of what was held back, where nothing comes any more: what wanted more bytes is no frame, and a damaged
        length may have held back whole ones."""
        while self._held:
            self.damaged += 1
            yield self._pass(1)
            yield from self.pieces(b"")

    def _pass(self, count: int) -> bytes:
        passed = bytes(self._held[:count])
        del self._held[:count]
        self.passed += count
        self.between = (self.between + passed)[-BETWEEN:]
        return passed

    def _front(self) -> Frame | Literal[False] | None:
        """The frame that begins at the first byte held; False where none does, None where more bytes may make one."""
        if len(self._held) < BEGIN:
            return None
        kind, length, number = struct.unpack_from("<BHB", self._held, 1)
        if length > self._most:
            return False
        if len(self._held) < BEGIN + length + END:
            return None
        (crc,) = struct.unpack_from("<I", self._held, BEGIN + length)
        if zlib.crc32(memoryview(self._held)[1 : BEGIN + length]) != crc:
            return False
        return Frame(chr(kind), bytes(self._held[BEGIN : BEGIN + length]), number)
