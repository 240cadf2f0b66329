"""A firmware image on QEMU's emulated board: a UART to speak with, and instructions counted instead of time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeslm.errors import ConnectionLostError, UnsupportedError
from edgeslm.firmware.image import firmware_facts
from edgeslm.target import Target
from edgeslm.toolchain import Conversation, converse_with_tool, find_tool, last_lines

NAME = "qemu-system-arm"
PACKAGE = "qemu-system-arm"
HINT = f"apt install {PACKAGE} brings it (or: edgeslm doctor --install {NAME})"


@dataclass(frozen=True)
class Machine:
    """QEMU's name for a board, and which of its serial ports is the one that the firmware speaks on."""

    name: str
    serial: int = 0


MACHINES = {
    ("mps2", "cortex-m3"): Machine("mps2-an385"),
    ("mps2", "cortex-m4"): Machine("mps2-an386"),
    ("mps2", "cortex-m7"): Machine("mps2-an500"),
    ("mps2-an505", "cortex-m33"): Machine("mps2-an505"),
    ("mps3-an547", "cortex-m55"): Machine("mps3-an547"),
    ("stm32f4", "cortex-m4"): Machine("netduinoplus2", serial=5),
}
"""By the board's C and its core: a target file of one's own is emulated as well, where QEMU knows its like."""


class EmulatedLine:
    """The UART of an emulated board, a Line of firmware/board.py."""

    def __init__(self, conversation: Conversation, machine: str, log: Path) -> None:
        self._conversation = conversation
        self._machine = machine
        self._log = log

    def fileno(self) -> int:
        """To wait for it beside other things."""
        return self._conversation.fileno()

    def write(self, content: bytes) -> None:
        """See Line."""
        try:
            self._conversation.write(content)
        except BrokenPipeError:
            raise self._gone() from None

    def read(self, timeout_s: float) -> bytes:
        """See Line."""
        content = self._conversation.read(timeout_s)
        if content is None:
            raise self._gone()
        return content

    def _gone(self) -> ConnectionLostError:
        said = last_lines(self._log, 4)
        more = "\n" + "\n".join(f"         {line}" for line in said.splitlines()) if said else ""
        return ConnectionLostError(f"the emulated {self._machine} ended in the middle of something{more}")


def find_machine(target: Target) -> Machine:
    """Raises UnsupportedError where QEMU has no board like this target."""
    firmware = firmware_facts(target)
    machine = MACHINES.get((firmware.template, target.cpu.core))
    if machine is None:
        known = ", ".join(f"{template} with {core}" for template, core in MACHINES)
        raise UnsupportedError(
            f"QEMU emulates no board like {target.name}: {firmware.template} with {target.cpu.core}", f"known: {known}"
        )
    return machine


@contextlib.contextmanager
def emulated(target: Target, elf: Path, log: Path) -> Iterator[EmulatedLine]:
    """The image running on the target's emulated board, until the end of the block.

    Every instruction takes a nanosecond of emulated time, so that the board's counter counts them, the same in every
    run. Raises MissingToolError without QEMU, UnsupportedError where it has no such board.
    """
    machine = find_machine(target)
    command = [str(find_tool(NAME, HINT)), "-M", machine.name, "-display", "none", "-monitor", "none"]
    command += [*["-serial", "null"] * machine.serial, "-serial", "stdio", "-icount", "shift=0"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
    with converse_with_tool(command, log, hint=HINT) as conversation:
        yield EmulatedLine(conversation, machine.name, log)


def instructions(target: Target, ticks: int) -> int:
    """Instructions that so many ticks of an emulated board's counter stand for: it counts the core's clock, and an
    instruction takes a nanosecond. Exact to one tick, which is 20 to 50 instructions."""
    return round(ticks * 1000 / target.cpu.clock_mhz)
