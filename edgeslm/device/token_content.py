"""The binary table of a tokenizer: its header checked, its sections as numbers and texts."""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from typing import Any

from .errors import BundleError

MAGIC = b"edgetok\0"
VERSION = 1
NONE = 0xFFFFFFFF
"""In place of an id or an offset: there is none."""
_HEADER = 32
_ENTRY = 16


def damaged(problem: str) -> BundleError:
    return BundleError(
        f"the tokenizer's table is damaged: {problem}", "copy the bundle again, or build it again with edgeslm build"
    )


class TokenContent:
    """A table's bytes. Raises BundleError where they are not the ones that were written."""

    def __init__(self, content: bytes) -> None:
        if len(content) < _HEADER or content[:8] != MAGIC:
            raise damaged("it does not begin as one")
        version, size, checksum, count = struct.unpack_from("<IIII", content, 8)
        if version != VERSION:
            raise BundleError(
                f"the tokenizer's table is of version {version}; this device package reads version {VERSION}",
                "use the device package that lies beside it in the bundle",
            )
        if size != len(content) or zlib.crc32(memoryview(content)[_HEADER:]) != checksum:
            raise damaged("it was cut short, or bytes of it changed")
        if count * _ENTRY > size - _HEADER:
            raise damaged("its directory does not fit into it")
        self._sections: dict[str, memoryview] = {}
        for number in range(count):
            tag, start, length = struct.unpack_from("<4sII", content, _HEADER + _ENTRY * number)
            if start + length > size:
                raise damaged(f"section {tag!r} does not fit into it")
            self._sections[tag.decode("latin-1")] = memoryview(content)[start : start + length]

    def __contains__(self, tag: str) -> bool:
        return tag in self._sections

    def bytes_of(self, tag: str) -> memoryview:
        """A section; an empty one where there is none."""
        return self._sections.get(tag, memoryview(b""))

    def numbers(self, tag: str, width: int = 4) -> Sequence[int]:
        """A section as unsigned integers of 2 or 4 bytes."""
        section = self._whole(tag, width)
        view: Sequence[int] = section.cast("H") if width == 2 else section.cast("I")
        return view if sys.byteorder == "little" else _swapped(array("H" if width == 2 else "I", section.tobytes()))

    def scores(self, tag: str, width: int) -> Sequence[float]:
        """A section as IEEE 754 numbers of 4 or 8 bytes."""
        section = self._whole(tag, width)
        view: Sequence[float] = section.cast("f") if width == 4 else section.cast("d")
        return view if sys.byteorder == "little" else _swapped(array("f" if width == 4 else "d", section.tobytes()))

    def _whole(self, tag: str, width: int) -> memoryview:
        section = self.bytes_of(tag)
        if width not in (2, 4, 8) or len(section) % width:
            raise damaged(f"section {tag} is not whole")
        return section

    def records(self, tag: str, layout: str) -> list[tuple[int, ...]]:
        """A section as records of a struct layout."""
        section = self.bytes_of(tag)
        if len(section) % struct.calcsize(layout):
            raise damaged(f"section {tag} is not whole")
        return list(struct.iter_unpack(layout, section))

    def text(self, offset: int) -> bytes:
        """A text of the pool."""
        pool = self.bytes_of("TEXT")
        if offset + 2 > len(pool):
            raise damaged("a text lies outside it")
        end = offset + 2 + int.from_bytes(pool[offset : offset + 2], "little")
        if end > len(pool):
            raise damaged("a text does not end in it")
        return bytes(pool[offset + 2 : end])


def _swapped(numbers: array[Any]) -> array[Any]:
    numbers.byteswap()
    return numbers
