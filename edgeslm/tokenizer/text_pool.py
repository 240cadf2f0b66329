"""Short texts of a table, each kept once: uint16 length, then the bytes. What refers to one has its offset."""

from __future__ import annotations

import struct

from edgeslm.errors import UnsupportedError


class TextPool:
    def __init__(self) -> None:
        self._content = bytearray()
        self._offsets: dict[bytes, int] = {}

    def add(self, text: bytes) -> int:
        """Its offset. Raises UnsupportedError for a text of more than 65,535 bytes."""
        if len(text) > 0xFFFF:
            raise UnsupportedError(f"a text of {len(text):,} bytes in tokenizer.json is longer than a table holds")
        if text not in self._offsets:
            self._offsets[text] = len(self._content)
            self._content += struct.pack("<H", len(text)) + text
        return self._offsets[text]

    @property
    def content(self) -> bytes:
        return bytes(self._content)
