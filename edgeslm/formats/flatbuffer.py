"""Reading a flatbuffer that anybody may have written: each place is checked before anything is read there.

The generated classes trust their file, and their Python library has no verifier. This reads the wire form itself
(https://flatbuffers.dev/internals): a table begins with the distance back to its vtable, which says where in the table
each field lies; what is not a number is a distance forward. Nothing here recurses, so cycles of tables end nowhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ROOT_AND_IDENTIFIER = 8  # bytes
LEAST_TABLE = 4


class DamageError(ValueError):
    """The bytes are no flatbuffer, or not the one that was expected. Callers say in which file."""


@dataclass
class Flatbuffer:
    """`raw` and how many bytes of it may still be read: lists may share their bytes, and then a small file could
    unpack to all of memory. An honest file is read once, so a few times its size is enough for all."""

    raw: bytes
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = 4 * len(self.raw) + 4096

    def root(self, identifier: bytes) -> Table:
        if len(self.raw) < ROOT_AND_IDENTIFIER or self.raw[4:8] != identifier:
            raise DamageError(f"it does not begin as one: no {identifier.decode()} at byte 4")
        return Table.at(self, self.ahead(0))

    def unpack(self, code: str, place: int) -> Any:
        """The number at a place. `code` is struct's letter."""
        width = struct.calcsize(code)
        if not 0 <= place <= len(self.raw) - width:
            raise DamageError(f"it points at byte {place} of {len(self.raw)}")
        return struct.unpack_from("<" + code, self.raw, place)[0]

    def ahead(self, place: int) -> int:
        """Where the distance at a place leads."""
        return place + int(self.unpack("I", place))

    def run(self, place: int, width: int) -> tuple[int, int]:
        """Where the items of a vector begin, and how many there are of `width` bytes each."""
        count = int(self.unpack("I", place))
        if count * width > len(self.raw) - place - 4:
            raise DamageError(f"a list of {count} items at byte {place} ends behind the file's end")
        return place + 4, count

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise DamageError(f"its lists share their bytes: together they are many times its {len(self.raw)} bytes")


@dataclass(frozen=True)
class Table:
    """A table whose vtable and extent lie inside the file. Fields are called by number, as in the schema, from 0."""

    buffer: Flatbuffer
    place: int
    size: int
    vtable: int
    fields: int

    @classmethod
    def at(cls, buffer: Flatbuffer, place: int) -> Table:
        vtable = place - int(buffer.unpack("i", place))
        length, size = int(buffer.unpack("H", vtable)), int(buffer.unpack("H", vtable + 2))
        if length < 4 or length % 2 or vtable + length > len(buffer.raw):
            raise DamageError(f"the table at byte {place} has a vtable of {length} bytes at byte {vtable}")
        if size < LEAST_TABLE or place + size > len(buffer.raw):
            raise DamageError(f"the table at byte {place} says that it takes {size} bytes")
        return cls(buffer, place, size, vtable, (length - 4) // 2)

    def has(self, number: int) -> bool:
        return self._offset(number, 1) is not None

    def number(self, number: int, code: str, default: Any) -> Any:
        """A scalar field. `code` is struct's letter."""
        offset = self._offset(number, struct.calcsize(code))
        return default if offset is None else self.buffer.unpack(code, self.place + offset)

    def integer(self, number: int, code: str = "i", default: int = 0) -> int:
        return int(self.number(number, code, default))

    def table(self, number: int) -> Table | None:
        place = self._ahead(number)
        return None if place is None else Table.at(self.buffer, place)

    def tables(self, number: int, most: int) -> list[Table]:
        """The tables of a list, none where it is left out. Raises DamageError for more than `most`."""
        place = self._ahead(number)
        if place is None:
            return []
        start, count = self.buffer.run(place, 4)
        if count > most:
            raise DamageError(f"it lists {count} tables where at most {most} are read")
        self.buffer.spend(count * 4)
        return [Table.at(self.buffer, self.buffer.ahead(start + 4 * index)) for index in range(count)]

    def numbers(self, number: int, dtype: DTypeLike) -> NDArray[Any] | None:
        """The numbers of a list, as a view of the file; None where it is left out."""
        wanted = np.dtype(dtype).newbyteorder("<")
        place = self._ahead(number)
        if place is None:
            return None
        start, count = self.buffer.run(place, wanted.itemsize)
        self.buffer.spend(count * wanted.itemsize)
        return np.frombuffer(self.buffer.raw, wanted, count, start)

    def blob(self, number: int) -> memoryview | None:
        """The bytes of a list, not copied; None where it is left out."""
        place = self._ahead(number)
        if place is None:
            return None
        start, count = self.buffer.run(place, 1)
        return memoryview(self.buffer.raw)[start : start + count]

    def text(self, number: int, most: int) -> str:
        """A string's first `most` bytes; what is no UTF-8, or not to be printed, is replaced."""
        found = self.blob(number)
        text = "" if found is None else bytes(found[:most]).decode("utf-8", "replace")
        return "".join(one if one.isprintable() else "?" for one in text)

    def _ahead(self, number: int) -> int | None:
        offset = self._offset(number, 4)
        return None if offset is None else self.buffer.ahead(self.place + offset)

    def _offset(self, number: int, width: int) -> int | None:
        """Where in the table a field lies; None where it is left out."""
        if number >= self.fields:
            return None
        offset = int(self.buffer.unpack("H", self.vtable + 4 + 2 * number))
        if offset == 0:
            return None
        if offset < LEAST_TABLE or offset + width > self.size:
            raise DamageError(f"field {number} of the table at byte {self.place} lies outside it")
        return offset


@contextmanager
def while_reading(what: Callable[[], str]) -> Iterator[None]:
    """Put before a DamageError's message what was being read."""
    try:
        yield
    except DamageError as error:
        raise DamageError(f"{what()}: {error}") from error
