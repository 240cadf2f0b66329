"""What each part of a firmware takes of flash and RAM, from the linker's map."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from edgeslm.errors import InternalError

FLASH_SECTIONS = frozenset({".text", ".image_digest", ".ARM.exidx", ".data"})
RAM_SECTIONS = frozenset({".stack", ".data", ".bss"})
WEIGHTS, TOKENIZER = "weights", "tokenizer table"
LIBRARY, PADDING = "compiler's library", "padding"
FROM_OBJECT = {
    **{"model_weights.o": WEIGHTS, "model_tokenizer.o": TOKENIZER, "model_schedule.o": "schedule"},
    **{"uart_stm32.o": "board", "start_rp.o": "board"},  # for several boards, and still not for all
}
STATE = "edgeslm_model_state"
NET_ARENA = "edgeslm_net_arena"
_SECTION = re.compile(r"^(\.[\w.]+)(?:\s+0x([0-9a-f]+)\s+0x([0-9a-f]+).*)?$")
_INPUT = re.compile(r"^ (\.[\w.$]+|COMMON|\*fill\*)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?: (.*))?$")
_NAME = re.compile(r"^ (\.[\w.$]+|COMMON)$")
_BEGIN = "Linker script and memory map"


@dataclass(frozen=True)
class Placed:
    """A piece of an output section: where it lies, and the object it came from ("" for the script's own)."""

    section: str
    name: str
    address: int
    bytes: int
    source: str


@dataclass(frozen=True)
class MemoryMap:
    """Item -> bytes. `code` is what is in flash beyond weights and tokenizer table."""

    flash: dict[str, int]
    ram: dict[str, int]

    @property
    def flash_bytes(self) -> int:
        return sum(self.flash.values())

    @property
    def ram_bytes(self) -> int:
        return sum(self.ram.values())

    @property
    def code(self) -> int:
        return self.flash_bytes - self.flash.get(WEIGHTS, 0) - self.flash.get(TOKENIZER, 0)


def read_memory_map(text: str, config: str) -> MemoryMap:
    """`text` is the map that GNU ld wrote, `config` the generated model_config.h, which says what the state is made of.

    Raises InternalError where the map is not what the linker script makes of our objects.
    """
    flash: dict[str, int] = {}
    ram: dict[str, int] = {}
    for piece in placed_pieces(text):
        if piece.section in FLASH_SECTIONS:
            item = _flash_item(piece)
            flash[item] = flash.get(item, 0) + piece.bytes
        if piece.section in RAM_SECTIONS:
            for item, count in _ram_items(piece, config):
                ram[item] = ram.get(item, 0) + count
    if not flash or "stack" not in ram:
        raise InternalError("the linker's map tells of no code, or of no stack")
    return MemoryMap(flash, ram)


def placed_pieces(text: str) -> Iterator[Placed]:
    """Every piece of the output sections, in the map's order. A long name has its numbers on the line below."""
    section, pending = "", ""
    begun = False
    for line in text.splitlines():
        begun = begun or line.startswith(_BEGIN)
        if not begun:
            continue
        head = _SECTION.match(line)
        if head:
            section, pending = head[1], ""
            continue
        name = _NAME.match(line)
        if name:
            pending = name[1]
            continue
        found = _INPUT.match(line)
        # Assignments of the script ("0x2000  . = ALIGN (0x8)") have no size and do not match.
        if found and section and int(found[3], 16):
            name_here = found[1] or pending
            yield Placed(section, name_here, int(found[2], 16), int(found[3], 16), (found[4] or "").strip())
        pending = ""


def _flash_item(piece: Placed) -> str:
    if piece.name == "*fill*" or not piece.source:
        return PADDING
    path = PurePosixPath(piece.source)
    if path.parts[0] != "objects":
        return LIBRARY
    return FROM_OBJECT.get(path.name, path.parts[1])


def _ram_items(piece: Placed, config: str) -> Iterator[tuple[str, int]]:
    if piece.section == ".stack":
        yield "stack", piece.bytes
    elif piece.name.endswith(NET_ARENA):
        yield "arena", piece.bytes
    elif piece.name.endswith(STATE):
        cache = 2 * _size(config, "LAYERS") * _size(config, "CACHE_BYTES")
        arena = _size(config, "ARENA_BYTES")
        yield "kv cache", cache
        yield "arena", arena
        yield "state", piece.bytes - cache - arena
    else:
        yield "buffers", piece.bytes


def _size(config: str, name: str) -> int:
    found = re.search(rf"^#define EDGESLM_MODEL_{name} (\d+)u", config, re.MULTILINE)
    if found is None:
        raise InternalError(f"model_config.h defines no EDGESLM_MODEL_{name}")
    return int(found[1])
