"""What a board's C is told about it: the target's facts as macros, the PLL's settings among them."""

from __future__ import annotations

from edgeslm.chips.check import oscillator_of
from edgeslm.chips.chip import CHIPS
from edgeslm.chips.pins import pin_place
from edgeslm.chips.pll import MHZ
from edgeslm.errors import InternalError
from edgeslm.target import Firmware, Target

OSCILLATORS = {"internal": 0, "crystal": 1, "clock": 2}
"""As boards/registers.h names them."""


def board_macros(target: Target) -> tuple[str, ...]:
    """The compiler's -D for a microcontroller's start-up.

    On an emulator alone the program ends by semihosting: without a debugger silicon would fault there. Raises
    InternalError for a target that is no microcontroller, or whose clock its PLL does not make: a file was checked.
    """
    firmware = target.firmware
    if firmware is None:
        raise InternalError(f"{target.name} is no microcontroller: nothing is told to its start-up")
    ends = ("-DEDGESLM_SEMIHOSTING",) if firmware.flasher == "qemu" else ()
    return (*ends, *(f"-DEDGESLM_{name}={value}u" for name, value in _chip_facts(target, firmware).items()))


def _chip_facts(target: Target, firmware: Firmware) -> dict[str, int]:
    if firmware.chip is None or firmware.uart is None or firmware.tx is None or firmware.rx is None:
        return {}
    chip, clock = CHIPS[firmware.chip], target.cpu.clock_mhz * MHZ
    source = oscillator_of(chip, firmware.model_dump())
    settings = None if source is None else chip.pll.settle(source, clock)
    if source is None or settings is None:
        raise InternalError(f"{target.name}: the PLL of {firmware.chip} makes no {target.cpu.clock_mhz} MHz")
    uart = chip.uarts[firmware.uart]
    (tx_port, tx_pin), (rx_port, rx_pin) = pin_place(firmware.tx), pin_place(firmware.rx)
    return {
        "CLOCK_HZ": clock,
        "OSCILLATOR": OSCILLATORS[firmware.oscillator],
        "OSCILLATOR_HZ": source,
        "PLL_DIVIDE": settings.divide,
        "PLL_MULTIPLY": settings.multiply,
        "PLL_POST": settings.post,
        "PLL_POST_2": settings.post_2,
        "UART": uart.number,
        "TX_PORT": tx_port,
        "TX_PIN": tx_pin,
        "TX_FUNCTION": uart.tx[firmware.tx],
        "RX_PORT": rx_port,
        "RX_PIN": rx_pin,
        "RX_FUNCTION": uart.rx[firmware.rx],
    }
