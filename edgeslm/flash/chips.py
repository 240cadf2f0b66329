"""Is it the right chip? What core and chip say of themselves, read by a debug probe before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgeslm.errors import UnfitDeviceError
from edgeslm.flash.image import FlashImage

ReadWord = Callable[[int], int]
"""The word at an address of the board's memory."""
CPUID = 0xE000ED00
PARTS = {
    0xC60: "cortex-m0plus",
    0xC20: "cortex-m0",
    0xC23: "cortex-m3",
    0xC24: "cortex-m4",
    0xC27: "cortex-m7",
    0xD20: "cortex-m23",
    0xD21: "cortex-m33",
    0xD22: "cortex-m55",
}
"""CPUID's part number -> core, from Arm's technical reference manuals (table of system control registers)."""


@dataclass(frozen=True)
class Chip:
    """Where a chip keeps its identification, and what stands there."""

    address: int
    mask: int
    values: tuple[int, ...]
    title: str


CHIPS = {
    "stm32f405": Chip(0xE0042000, 0xFFF, (0x413, 0x411), "STM32F405/407"),  # ST RM0090, DBGMCU_IDCODE; ES0182: rev A
    "stm32f407": Chip(0xE0042000, 0xFFF, (0x413, 0x411), "STM32F405/407"),
    "stm32f412": Chip(0xE0042000, 0xFFF, (0x441,), "STM32F412"),  # ST RM0402
    "stm32f429": Chip(0xE0042000, 0xFFF, (0x419,), "STM32F42x/43x"),  # ST RM0090
    "stm32f446": Chip(0xE0042000, 0xFFF, (0x421,), "STM32F446"),  # ST RM0390
    "stm32g0b1": Chip(0x40015800, 0xFFF, (0x467,), "STM32G0B1/0C1"),  # ST RM0444
    "stm32h743": Chip(0x5C001000, 0xFFF, (0x450,), "STM32H742/743/753"),  # ST RM0433
    "stm32u575": Chip(0xE0044000, 0xFFF, (0x482,), "STM32U575/585"),  # ST RM0456
    "rp2040": Chip(0x40000000, 0xFFFFFFF, (0x0002927,), "RP2040"),  # RP2040 datasheet, SYSINFO CHIP_ID
    "rp2350": Chip(0x40000000, 0xFFFFFFF, (0x0004927,), "RP2350"),  # RP2350 datasheet, SYSINFO CHIP_ID
}
"""By the beginning of pyOCD's name of a chip."""


def require_chip(image: FlashImage, read: ReadWord) -> None:
    """Raises UnfitDeviceError where another core or another chip is connected than the image was built for."""
    part = read(CPUID) >> 4 & 0xFFF
    wanted = image.target.cpu.core
    if PARTS.get(part) != wanted:
        found = PARTS.get(part, f"a core of part number {part:#05x}")
        raise _wrong(image, f"its core is {found}, and the image is for {wanted}")
    name = image.facts.pyocd or ""
    chip = next((chip for prefix, chip in CHIPS.items() if name.startswith(prefix)), None)
    if chip is not None:
        told = read(chip.address) & chip.mask
        if told not in chip.values:
            raise _wrong(image, f"its identification is {told:#x}, and {chip.title} has {chip.values[0]:#x}")


def _wrong(image: FlashImage, why: str) -> UnfitDeviceError:
    return UnfitDeviceError(
        f"the board that is connected is no {image.target.title}: {why}",
        "nothing was written; --debug-probe chooses another probe, edgeslm build --target another board",
    )
