"""Frames on a wire that may lose, double or change bytes: firmware_templates/protocol/frames.h in Python.

    | 0xfd | type | length (2 bytes) | payload (length) | CRC-32 of type, length and payload (4 bytes) |

Numbers are little-endian. The sync byte is none of UTF-8's.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SYNC = 0xFD
MOST_PAYLOAD = 0xFFFF
MOST_REQUEST = 1024
"""EDGESLM_MOST_PAYLOAD: a board waits for no longer payload."""
BETWEEN = 16
"""Bytes that are kept of what is no frame."""
BEGIN, END = 4, 4
"""Bytes before a payload, and behind it."""


@dataclass(frozen=True)
class Frame:
    """A request (type in upper case) or an answer (in lower case)."""

    type: str
    payload: bytes = b""

    def encode(self) -> bytes:
        """Raises ValueError for a payload that no length can tell."""
        if len(self.payload) > MOST_PAYLOAD:
            raise ValueError(f"a frame holds {MOST_PAYLOAD} bytes at most, not {len(self.payload)}")
        body = struct.pack("<BH", ord(self.type), len(self.payload)) + self.payload
        return bytes([SYNC]) + body + struct.pack("<I", zlib.crc32(body))

    def words(self, count: int) -> tuple[int, ...]:
        """The payload's first words, 4 bytes each. Raises ValueError where it has fewer."""
        if len(self.payload) < 4 * count:
            raise ValueError(f"frame {self.type} has {len(self.payload)} bytes, {count} words are expected")
        return struct.unpack_from(f"<{count}I", self.payload)

    def text(self, words: int) -> bytes:
        """What comes behind the payload's words."""
        return self.payload[4 * words :]


def request(kind: str, *words: int) -> Frame:
    return Frame(kind, struct.pack(f"<{len(words)}I", *words))


class Receiver:
    """Takes bytes as they come, and gives the frames that are whole.

    A receiver that finds a frame damaged looks for the next sync byte in what it holds already. `damaged` counts the
    places that looked like a frame and were none; `most` is the longest payload that is waited for; `between` is the
    end of what came since the last frame and was none.
    """

    def __init__(self, most: int = MOST_PAYLOAD) -> None:
        self.damaged = 0
        self.between = b""
        self._most = most
        self._held = bytearray()

    def feed(self, content: bytes) -> Iterator[Frame]:
        """The frames that are whole with these bytes, in order."""
        self._held += content
        while self._held:
            place = self._held.find(SYNC)
            passed = len(self._held) if place < 0 else place
            self.between = (self.between + bytes(self._held[:passed]))[-BETWEEN:]
            del self._held[:passed]
            if place < 0:
                return
            if len(self._held) < BEGIN:
                return
            kind, length = struct.unpack_from("<BH", self._held, 1)
            if length <= self._most:
                whole = BEGIN + length + END
                if len(self._held) < whole:
                    return
                (crc,) = struct.unpack_from("<I", self._held, BEGIN + length)
                if zlib.crc32(memoryview(self._held)[1 : BEGIN + length]) == crc:
                    frame = Frame(chr(kind), bytes(self._held[BEGIN : BEGIN + length]))
                    del self._held[:whole]
                    self.between = b""
                    yield frame
                    continue
            self.damaged += 1
            del self._held[0]
