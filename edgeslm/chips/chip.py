"""The microcontrollers that firmware_templates has a start-up for, and what follows from their clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeslm.chips import uarts
from edgeslm.chips.pins import Uart
from edgeslm.chips.pll import MHZ, Pll

BAUD = 115_200
WORST_BAUD = 0.02
"""Of the wanted rate: a receiver samples the last of ten bits half a bit from its edge, so 5 % is shared by two clocks
and a cable. Every clock that a chip runs at is within (tests/unit/test_chips.py)."""


@dataclass(frozen=True)
class Memory:
    """Memory in one piece: its name in the data sheet, first address, and the most KiB there are."""

    name: str
    origin: int
    kib: int


@dataclass(frozen=True)
class Chip:
    """One microcontroller, or several that differ in package and in sizes of memories alone.

    `template` is the folder in firmware_templates/boards. `clock_hz`: lowest and highest of the core. `internal_hz`:
    the oscillator in it that is exact enough for a UART, None where it has none. `oscillator_hz`: what may be on its
    pins, lowest and highest. `uart_divides`: of the core's clock, for the UARTs by their number.
    """

    template: str
    core: str
    clock_hz: tuple[int, int]
    internal_hz: int | None
    oscillator_hz: tuple[int, int]
    pll: Pll
    flash: Memory
    ram: tuple[Memory, ...]
    uarts: Mapping[str, Uart]
    uart_divides: Mapping[int, int]

    def uart_hz(self, uart: str, clock_hz: int) -> int:
        """The clock of a UART where the core has `clock_hz`."""
        return clock_hz // self.uart_divides[self.uarts[uart].number]


def baud_error(uart_hz: int) -> float:
    """How far 115200 baud is missed, as a share, by the nearest whole divisor."""
    divisor = max(1, (2 * uart_hz + BAUD) // (2 * BAUD))
    return abs(uart_hz / divisor / BAUD - 1)


def _numbers(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


# ST RM0090 6.3.2 (F405) and RM0390 6.3.2 (F446), RCC_PLLCFGR; DS8626 and DS10693, main PLL characteristics.
_F4_PLL = Pll((950_000, 2_100_000), (100 * MHZ, 432 * MHZ), _numbers(2, 63), _numbers(50, 432), (2, 4, 6, 8))
# USARTs 1 and 6 are on APB2, which gets half of the core's clock, the others on APB1, which gets a quarter.
_F4_UARTS = {1: 2, 2: 4, 3: 4, 4: 4, 5: 4, 6: 2}
# RP2040 data sheet 2.18.2; RP2350 data sheet 8.6.3: the same PLL. Its reference divider stays 1.
_RP_PLL = Pll((5 * MHZ, 25 * MHZ), (750 * MHZ, 1600 * MHZ), (1,), _numbers(16, 320), _numbers(1, 7), _numbers(1, 7))

CHIPS: dict[str, Chip] = {
    # ST DS8626 (STM32F405, F407), RM0090. SRAM 1 and 2 lie together; the core-coupled memory lies elsewhere.
    "stm32f405": Chip(
        template="stm32f4",
        core="cortex-m4",
        clock_hz=(13 * MHZ, 168 * MHZ),
        internal_hz=16 * MHZ,
        oscillator_hz=(1 * MHZ, 50 * MHZ),
        pll=_F4_PLL,
        flash=Memory("flash", 0x08000000, 1024),
        ram=(Memory("SRAM 1 and 2", 0x20000000, 128), Memory("CCM", 0x10000000, 64)),
        uarts=uarts.STM32F405,
        uart_divides=_F4_UARTS,
    ),
    # ST DS10693 (STM32F446), RM0390. Above 168 MHz by over-drive.
    "stm32f446": Chip(
        template="stm32f4",
        core="cortex-m4",
        clock_hz=(13 * MHZ, 180 * MHZ),
        internal_hz=16 * MHZ,
        oscillator_hz=(1 * MHZ, 50 * MHZ),
        pll=_F4_PLL,
        flash=Memory("flash", 0x08000000, 512),
        ram=(Memory("SRAM 1 and 2", 0x20000000, 128),),
        uarts=uarts.STM32F446,
        uart_divides=_F4_UARTS,
    ),
    # ST DS12110 (STM32H743), RM0433. 400 MHz is voltage scale 1, which every revision of the silicon has; scale 0 and
    # its 480 MHz came with revision V. VCO and reference: RM0433 8.5.5, the wide range.
    "stm32h743": Chip(
        template="stm32h7",
        core="cortex-m7",
        clock_hz=(13 * MHZ, 400 * MHZ),
        internal_hz=64 * MHZ,
        oscillator_hz=(4 * MHZ, 48 * MHZ),
        pll=Pll(
            (2 * MHZ, 16 * MHZ), (192 * MHZ, 836 * MHZ), _numbers(1, 63), _numbers(4, 512), tuple(range(2, 129, 2))
        ),
        flash=Memory("flash", 0x08000000, 2048),
        ram=(
            Memory("AXI SRAM", 0x24000000, 512),
            Memory("DTCM", 0x20000000, 128),
        ),
        uarts=uarts.STM32H743,
        uart_divides=dict.fromkeys(range(1, 9), 4),
    ),
    # ST DS13737 (STM32U575), RM0456. SRAM 1, 2 and 3 lie together. PLL: RM0456 11.4.7.
    "stm32u575": Chip(
        template="stm32u5",
        core="cortex-m33",
        clock_hz=(4 * MHZ, 160 * MHZ),
        internal_hz=16 * MHZ,
        oscillator_hz=(4 * MHZ, 50 * MHZ),
        pll=Pll((4 * MHZ, 16 * MHZ), (128 * MHZ, 544 * MHZ), _numbers(1, 16), _numbers(4, 512), _numbers(1, 128)),
        flash=Memory("flash", 0x08000000, 2048),
        ram=(Memory("SRAM 1 to 3", 0x20000000, 768),),
        uarts=uarts.STM32U575,
        uart_divides=dict.fromkeys(range(1, 6), 1),
    ),
    # ST DS13560 (STM32G0B1), RM0444. 144 KiB of SRAM where its parity is not checked, which is how it is delivered.
    # PLL: RM0444 5.4.4.
    "stm32g0b1": Chip(
        template="stm32g0",
        core="cortex-m0plus",
        clock_hz=(12 * MHZ, 64 * MHZ),
        internal_hz=16 * MHZ,
        oscillator_hz=(4 * MHZ, 48 * MHZ),
        pll=Pll((2_660_000, 16 * MHZ), (96 * MHZ, 344 * MHZ), _numbers(1, 8), _numbers(8, 86), _numbers(2, 8)),
        flash=Memory("flash", 0x08000000, 512),
        ram=(Memory("SRAM", 0x20000000, 144),),
        uarts=uarts.STM32G0B1,
        uart_divides=dict.fromkeys(range(1, 7), 1),
    ),
    # RP2040 data sheet. All six banks of SRAM lie together; 133 MHz is the highest clock of every chip.
    "rp2040": Chip(
        template="rp2040",
        core="cortex-m0plus",
        clock_hz=(16 * MHZ, 133 * MHZ),
        internal_hz=None,
        oscillator_hz=(5 * MHZ, 15 * MHZ),
        pll=_RP_PLL,
        flash=Memory("flash on QSPI", 0x10000000, 16384),
        ram=(Memory("SRAM 0 to 5", 0x20000000, 264),),
        uarts=uarts.RP2040,
        uart_divides={0: 1, 1: 1},
    ),
    # RP2350 data sheet. All ten banks of SRAM lie together.
    "rp2350": Chip(
        template="rp2350",
        core="cortex-m33",
        clock_hz=(16 * MHZ, 150 * MHZ),
        internal_hz=None,
        oscillator_hz=(5 * MHZ, 15 * MHZ),
        pll=_RP_PLL,
        flash=Memory("flash on QSPI", 0x10000000, 16384),
        ram=(Memory("SRAM 0 to 9", 0x20000000, 520),),
        uarts=uarts.RP2350,
        uart_divides={0: 1, 1: 1},
    ),
}


def chips_of(template: str) -> list[str]:
    """Chips that a folder of firmware_templates/boards is for; none where it is for an emulator's own boards."""
    return sorted(name for name, chip in CHIPS.items() if chip.template == template)
