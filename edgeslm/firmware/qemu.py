"""A firmware image on QEMU's emulated board: a UART to speak with, and instructions counted instead of time."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgeslm.chips.chip import CHIPS
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
    ("stm32f405", "cortex-m4"): Machine("netduinoplus2"),
}
"""By the chip, or by the board's C where that is for no chip of silicon, and the core: a target file of one's own is
emulated as well, where QEMU knows its like."""
NOT_RUN_HERE = "not run here"
"""What is said of a board that nothing on this machine executes: its firmware is compiled, linked and fitted."""


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


def is_emulated(target: Target) -> bool:
    """Whether QEMU has a board like this microcontroller. Raises InternalError for a target that runs Linux."""
    return _kind(target) in MACHINES


def not_run_here(target: Target) -> tuple[str, ...]:
    """The sentence that a plan and its bundle carry for a board that is not emulated; nothing for the others."""
    if is_emulated(target):
        return ()
    return (
        f"{target.title} is {NOT_RUN_HERE}: QEMU emulates no such board, and its firmware has not been on silicon. It "
        "is compiled, linked and fitted; its score is that of the same C on this machine",
    )


def find_machine(target: Target) -> Machine:
    """Raises UnsupportedError where QEMU has no board like this target."""
    machine, firmware = MACHINES.get(_kind(target)), firmware_facts(target)
    if machine is None:
        known = ", ".join(f"{board} with {core}" for board, core in MACHINES)
        raise UnsupportedError(
            f"QEMU emulates no board like {target.name}: {' with '.join(_kind(target))}", f"known: {known}"
        )
    if firmware.chip is None or firmware.uart is None:
        return machine
    # QEMU's serial ports of a chip are its UARTs, in order.
    return replace(machine, serial=list(CHIPS[firmware.chip].uarts).index(firmware.uart))


def _kind(target: Target) -> tuple[str, str]:
    firmware = firmware_facts(target)
    return firmware.chip or firmware.template, target.cpu.core


@contextlib.contextmanager
def emulated(target: Target, elf: Path, log: Path) -> Iterator[EmulatedLine]:
    """The image running on the target's emulated board, until the end of the block.

    Every instruction takes a nanosecond of emulated time, so that the board's counter counts them, the same in every
    run. Raises MissingToolError without QEMU, UnsupportedError where it has no such board.
    """
    machine = find_machine(target)
    with converse_with_tool([*_command(machine), "-kernel", str(elf)], log, hint=HINT) as conversation:
        yield EmulatedLine(conversation, machine.name, log)


@contextlib.contextmanager
def halted(target: Target, gdb: socket.socket, log: Path) -> Iterator[EmulatedLine]:
    """The target's emulated board with empty flash, standing still until a debugger that comes to the listening socket
    `gdb` lets it go. Raises as `emulated` does."""
    machine, number = find_machine(target), gdb.fileno()
    command = [*_command(machine), "-S", "-chardev", f"socket,id=gdb,fd={number},server=on,wait=off,nodelay=on"]
    with converse_with_tool([*command, "-gdb", "chardev:gdb"], log, hint=HINT, pass_fds=(number,)) as conversation:
        yield EmulatedLine(conversation, machine.name, log)


def _command(machine: Machine) -> list[str]:
    command = [str(find_tool(NAME, HINT)), "-M", machine.name, "-display", "none", "-monitor", "none"]
    command += [*["-serial", "null"] * machine.serial, "-serial", "stdio", "-icount", "shift=0"]
    return [*command, "-semihosting-config", "enable=on,target=native"]


def instructions(target: Target, ticks: int) -> int:
    """Instructions that so many ticks of an emulated board's counter stand for: it counts the core's clock, and an
    instruction takes a nanosecond. Exact to one tick, which is 20 to 50 instructions."""
    return round(ticks * 1000 / target.cpu.clock_mhz)
