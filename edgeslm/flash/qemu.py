"""Flash an emulated board: a real GDB session into QEMU's, which stands still with empty flash.

It forgets when the command ends. What it proves is the image and the way through a debugger: every section is loaded by
GDB, compared with what lies there, and the core runs from the vector table that was written.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

from edgeslm.errors import VerifyError
from edgeslm.firmware.board import Line
from edgeslm.firmware.qemu import find_machine, halted
from edgeslm.flash.gdb import Gdb, debugging
from edgeslm.flash.image import FlashImage
from edgeslm.flash.way import Asked

THUMB = 1 << 24
"""Of xPSR: a core that does not have it set faults at once."""


class EmulatedBoard:
    """See way.Connected."""

    debug_probe = None

    def __init__(self, image: FlashImage, gdb: Gdb, line: Line) -> None:
        self.device = f"an emulated {find_machine(image.target).name}, by gdb"
        self.line: Line | None = line
        self.gdb = gdb
        self._image = image

    def write(self) -> None:
        self.gdb.command("-target-download")

    def read_back(self) -> bytes:
        """Compared by GDB section by section; then the bytes themselves."""
        _, said = self.gdb.command("compare-sections")
        content = self.gdb.read_memory(self._image.address, len(self._image.content))
        wrong = [line for line in said.splitlines() if "MIS-MATCHED" in line]
        if wrong and content == self._image.content:
            raise VerifyError(f"firmware.elf is not the image of firmware.bin: {wrong[0]}", "build it again")
        return content

    def reset(self) -> None:
        """The stack pointer and the first instruction are the vector table's, as a core's reset takes them."""
        stack, entry = struct.unpack("<2I", self.gdb.read_memory(self._image.address, 8))
        self.gdb.command(f"set $sp = {stack:#x}")
        self.gdb.command(f"set $pc = {entry & ~1:#x}")
        self.gdb.command(f"set $xpsr = {THUMB:#x}")
        self.gdb.command("-exec-continue")


@contextlib.contextmanager
def connect(image: FlashImage, asked: Asked) -> Iterator[EmulatedBoard]:
    """The target's emulated board, halted; see way.Connected. Raises MissingToolError without QEMU or GDB,
    UnsupportedError where QEMU has no such board."""
    elf = asked.folder / "firmware.elf"
    elf.write_bytes(image.elf)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        with (
            halted(image.target, listening, asked.folder / "qemu.log") as line,
            debugging(elf, f"{host}:{port}", asked.folder / "gdb.log") as gdb,
        ):
            yield EmulatedBoard(image, gdb, line)
