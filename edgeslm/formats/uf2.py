"""UF2: firmware as blocks of 512 bytes, each with its address, which a bootloader takes from a file copied to it.

https://github.com/microsoft/uf2 describes the format. All numbers are little-endian:

    magic, magic, flags, address, payload's bytes, block's number, number of blocks, family | payload (476) | magic
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edgeslm.errors import BundleError

BLOCK, PAYLOAD = 512, 256
"""Bytes of a block, and of what each carries: a page of flash, which every bootloader takes."""
FIRST, SECOND, LAST = 0x0A324655, 0x9E5D5157, 0x0AB16F30
HAS_FAMILY = 0x2000
"""The flag that says what the block's last number is."""
_HEAD = struct.Struct("<8I")
_ROOM = BLOCK - _HEAD.size - 4


@dataclass(frozen=True)
class Uf2:
    """What a file carries: bytes from an address on, for the boards of a family."""

    content: bytes
    address: int
    family: int


def write_uf2(content: bytes, address: int, family: int) -> bytes:
    """The file for these bytes of flash; the last page is filled with zeros."""
    count = -(-len(content) // PAYLOAD)
    blocks = []
    for number in range(count):
        page = content[number * PAYLOAD : (number + 1) * PAYLOAD]
        head = _HEAD.pack(
            FIRST, SECOND, HAS_FAMILY, address + number * PAYLOAD, PAYLOAD, number, count, family & 0xFFFFFFFF
        )
        blocks.append(head + page.ljust(_ROOM, b"\0") + struct.pack("<I", LAST))
    return b"".join(blocks)


def read_uf2(file: bytes, where: str) -> Uf2:
    """What the file carries, its last page whole. Raises BundleError naming the block that is not as `write_uf2` writes
    it: other numbers, another family, a gap."""
    if not file or len(file) % BLOCK:
        raise BundleError(f"{where} has {len(file):,} bytes, which is no number of whole blocks", "build it again")
    count = len(file) // BLOCK
    pages, address, family = [], 0, 0
    for number in range(count):
        block = file[number * BLOCK : (number + 1) * BLOCK]
        *magic, flags, place, size, index, blocks, kind = _HEAD.unpack_from(block)
        if number == 0:
            address, family = place, kind
        expected = (FIRST, SECOND, HAS_FAMILY, address + number * PAYLOAD, PAYLOAD, number, count, family)
        if (*magic, flags, place, size, index, blocks, kind) != expected or block[-4:] != struct.pack("<I", LAST):
            raise BundleError(f"{where}: block {number} of {count} is damaged", "build it again")
        pages.append(block[_HEAD.size : _HEAD.size + PAYLOAD])
    return Uf2(b"".join(pages), address, family)
