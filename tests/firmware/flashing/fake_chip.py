"""A FAKE microcontroller at the edge of a debug port: an STM32F4's memories and debug registers, without a core.

It stands where silicon would, behind a fake of a debug probe. Nothing runs in it: what a debugger lets run is done here
by `on_run`, and the image that a reset starts says its banner because `banner` looks into the flash that was written.
Registers: Arm DDI 0403 (Armv7-M), ST RM0090 (flash controller, DBGMCU), Arm IHI 0031 (ROM table).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

FLASH, RAM, ROM_TABLE, SCS = 0x08000000, 0x20000000, 0xE00FF000, 0xE000E000
CPUID, AIRCR, DHCSR, DCRSR, DCRDR, DEMCR = 0xE000ED00, 0xE000ED0C, 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
IDCODE, SIZES = 0xE0042000, 0x1FFF7A20
CORTEX_M4, CORTEX_M7 = 0x410FC241, 0x411FC271
STM32F405, STM32F429 = 0x10076413, 0x20036419
R0, R1, R2, SP, LR, PC = 0, 1, 2, 13, 14, 15
FLASH_KEY, FLASH_STATUS, FLASH_CONTROL = 0x40023C04, 0x40023C0C, 0x40023C10
PROTECTION_ERROR = 1 << 4
LOCK, START, ERASE_SECTOR = 1 << 31, 1 << 16, 1 << 1
SECTORS = [0x4000] * 4 + [0x10000] + [0x20000] * 7
"""Bytes of each: ST RM0090, table 5."""


@dataclass
class FakeChip:
    """`worn`: an address of flash whose byte stays as it is, whatever is written. `protected`: the flash controller
    refuses to erase. `on_run`, `on_reset`: what happens when a debugger lets the core run, and when it starts anew;
    `on_write`: what its program does when an address of RAM was written."""

    cpuid: int = CORTEX_M4
    idcode: int = STM32F405
    worn: int | None = None
    protected: bool = False
    on_run: Callable[[FakeChip], None] | None = None
    on_reset: Callable[[FakeChip], None] | None = None
    on_write: Callable[[FakeChip, int], None] | None = None
    halted: bool = False
    resets: int = 0
    flash: bytearray = field(default_factory=lambda: bytearray(b"\xff" * (1 << 20)))
    ram: bytearray = field(default_factory=lambda: bytearray(192 << 10))
    registers: dict[int, int] = field(default_factory=dict)
    words: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._was_reset = False
        self.words |= {CPUID: self.cpuid, IDCODE: self.idcode, SIZES: 1024 << 16, FLASH_CONTROL: LOCK}
        self._component(ROM_TABLE, kind=1, part=0x4C4)
        self._component(SCS, kind=14, part=0x00C)
        self.words[ROM_TABLE] = (SCS - ROM_TABLE) & 0xFFFFF000 | 3

    def read(self, address: int, count: int) -> bytes:
        for start, memory in ((FLASH, self.flash), (RAM, self.ram)):
            if start <= address and address + count <= start + len(memory):
                return bytes(memory[address - start : address - start + count])
        first = address & ~3
        words = [self._read_word(place) for place in range(first, address + count, 4)]
        return struct.pack(f"<{len(words)}I", *words)[address - first :][:count]

    def write(self, address: int, content: bytes) -> None:
        if address >= RAM and address + len(content) <= RAM + len(self.ram):
            self.ram[address - RAM : address - RAM + len(content)] = content
            if self.on_write is not None:
                self.on_write(self, address)
        elif address >= FLASH and address + len(content) <= FLASH + len(self.flash):
            if not self.words[FLASH_CONTROL] & LOCK:
                self.program(address, content)
        elif len(content) % 4 == 0:
            for place, word in enumerate(struct.unpack(f"<{len(content) // 4}I", content)):
                self._write_word(address + 4 * place, word)

    def program(self, address: int, content: bytes) -> None:
        """Flash only loses bits."""
        for place, byte in enumerate(content, address - FLASH):
            if self.worn != FLASH + place:
                self.flash[place] &= byte

    def erase(self, sector: int) -> None:
        start = sum(SECTORS[:sector])
        self.flash[start : start + SECTORS[sector]] = b"\xff" * SECTORS[sector]

    def banner(self, place: int) -> bytes:
        """What the image says when it starts, its digest from where it lies in flash."""
        return f"\r\nstub, fp32, {self.flash[place : place + 8].hex()}\r\n> ".encode()

    def _component(self, base: int, kind: int, part: int) -> None:
        """Peripheral and component identification of a part of Arm's."""
        for place, byte in zip((0xFD0, 0xFE0, 0xFE4, 0xFE8), (4, part & 0xFF, 0xB0 | part >> 8, 0x0B), strict=True):
            self.words[base + place] = byte
        for number, byte in enumerate((0x0D, kind << 4, 0x05, 0xB1)):
            self.words[base + 0xFF0 + 4 * number] = byte

    def _read_word(self, address: int) -> int:
        if address == DHCSR:
            told = self.words.get(DHCSR, 0) & 0xF | 1 << 16 | self.halted << 17
            was_reset, self._was_reset = self._was_reset, False
            return told | was_reset << 25
        return self.words.get(address, 0)

    def _write_word(self, address: int, word: int) -> None:
        if address == DHCSR:
            if word >> 16 == 0xA05F:
                self.words[DHCSR] = word & 0xFFFF
                self._debug(halt=bool(word & 2 and word & 1))
        elif address == DCRSR:
            if word & 1 << 16:
                self.registers[word & 0x7F] = self.words.get(DCRDR, 0)
            else:
                self.words[DCRDR] = self.registers.get(word & 0x7F, 0)
        elif address == AIRCR:
            if word >> 16 == 0x05FA and word & 5:
                self._reset()
        elif address == FLASH_KEY:
            if word == 0xCDEF89AB:
                self.words[FLASH_CONTROL] &= ~LOCK
        elif address == FLASH_CONTROL:
            if word & START and word & ERASE_SECTOR:
                if self.protected:
                    self.words[FLASH_STATUS] = PROTECTION_ERROR
                else:
                    self.erase(word >> 3 & 0xF)
            self.words[address] = word & ~START
        elif address not in (CPUID, IDCODE, FLASH_STATUS):
            self.words[address] = word

    def _debug(self, *, halt: bool) -> None:
        was_halted, self.halted = self.halted, halt
        if was_halted and not halt and self.on_run is not None:
            self.on_run(self)

    def _reset(self) -> None:
        self.resets += 1
        self.halted = bool(self.words.get(DEMCR, 0) & 1 and self.words.get(DHCSR, 0) & 1)
        self.registers[SP], self.registers[PC] = struct.unpack_from("<2I", self.flash)
        self.registers[16] = 1 << 24
        self.words[FLASH_CONTROL] = LOCK
        self._was_reset = True
        if not self.halted and self.on_reset is not None:
            self.on_reset(self)
