"""A FAKE debug probe of pyOCD's: the library is the real one, down to the debug port, and behind that a fake chip."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

from pyocd.probe.debug_probe import DebugProbe
from pyocd.target.builtin.target_STM32F429xx import FLASH_ALGO

from tests.firmware.flashing.fake_chip import FLASH, PC, R0, R1, R2, RAM, ROM_TABLE, SECTORS, FakeChip

DPIDR, AHB_AP = 0x2BA01477, 0x24770011
"""Of the Cortex-M4's debug port and access port: Arm 100166."""


class FakeMemory:
    """What a probe that reads memory by itself does for pyOCD; see pyocd.core.memory_interface."""

    def __init__(self, chip: FakeChip) -> None:
        self._chip = chip

    def write_memory(self, address: int, value: int, size: int = 32, **_: Any) -> None:
        self._chip.write(address, value.to_bytes(size // 8, "little"))

    def read_memory(self, address: int, size: int = 32, now: bool = True, **_: Any) -> int | Callable[[], int]:
        value = int.from_bytes(self._chip.read(address, size // 8), "little")
        return value if now else lambda: value

    def write_memory_block32(self, address: int, words: Sequence[int], **_: Any) -> None:
        for place in range(0, len(words), 256):
            part = words[place : place + 256]
            self._chip.write(address + 4 * place, struct.pack(f"<{len(part)}I", *part))

    def read_memory_block32(self, address: int, count: int, **_: Any) -> Sequence[int]:
        return struct.unpack(f"<{count}I", self._chip.read(address, 4 * count))

    def write_memory_block8(self, address: int, content: Sequence[int], **_: Any) -> None:
        self._chip.write(address, bytes(content))

    def read_memory_block8(self, address: int, count: int, **_: Any) -> Sequence[int]:
        return list(self._chip.read(address, count))


class FakeDebugProbe(DebugProbe):  # type: ignore[misc]  # it has no types
    """`plugged`: identification -> chip, of all that are connected."""

    plugged: ClassVar[dict[str, FakeChip]] = {}

    @classmethod
    def get_all_connected_probes(cls, unique_id: str | None = None, is_explicit: bool = False) -> list[DebugProbe]:
        return [cls(name) for name in cls.plugged]

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> DebugProbe | None:
        return cls(unique_id) if unique_id in cls.plugged else None

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._chip = self.plugged[name]
        self._chip.on_run = run_flash_algorithm
        self._open = False
        self._power = 0
        self._access = {0x00: 0x23000052, 0xF4: 0, 0xF8: ROM_TABLE | 3, 0xFC: AHB_AP}

    vendor_name = "Nobody"
    product_name = "fake debug probe"
    supported_wire_protocols: Collection[DebugProbe.Protocol] = (DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD)
    wire_protocol = DebugProbe.Protocol.SWD
    capabilities: ClassVar[set[DebugProbe.Capability]] = set()

    @property
    def unique_id(self) -> str:
        return self._name

    @property
    def is_open(self) -> bool:
        return self._open

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        pass

    def disconnect(self) -> None:
        pass

    def set_clock(self, frequency: float) -> None:
        pass

    def reset(self) -> None:
        self._chip._reset()

    def assert_reset(self, asserted: bool) -> None:
        pass

    def is_reset_asserted(self) -> bool:
        return False

    def read_dp(self, addr: int, now: bool = True) -> Any:
        value = {0: DPIDR, 4: self._power | self._power << 1}.get(addr, 0)
        return value if now else lambda: value

    def write_dp(self, addr: int, data: int) -> None:
        if addr == 4:
            self._power = data & 0x50000000  # what is asked for is granted, a bit higher

    def read_ap(self, addr: int, now: bool = True) -> Any:
        value = self._access.get(addr & 0xFF, 0) if addr >> 24 == 0 else 0
        return value if now else lambda: value

    def write_ap(self, addr: int, data: int) -> None:
        if addr == 0:
            self._access[0] = data

    def get_memory_interface_for_ap(self, ap_address: Any) -> Any:
        return FakeMemory(self._chip)


def run_flash_algorithm(chip: FakeChip) -> None:
    """Do what the flash algorithm's routine at the program counter does, and stop as its breakpoint would."""
    routine = chip.registers.get(PC, 0) | 1
    names = {address: name for name, address in FLASH_ALGO.items() if name.startswith("pc_")}
    name = names.get(routine)
    if name is None:
        return
    first, count, buffer = (chip.registers.get(number, 0) for number in (R0, R1, R2))
    if name == "pc_erase_sector":
        chip.erase(next(n for n in range(len(SECTORS)) if sum(SECTORS[: n + 1]) > first - FLASH))
    elif name == "pc_program_page":
        chip.program(first, bytes(chip.ram[buffer - RAM : buffer - RAM + count]))
    chip.registers |= {R0: 0, PC: FLASH_ALGO["load_address"]}
    chip.halted = True
