"""An emulated board whose UART is a pseudo terminal: what a port is to a program that opens one."""

from __future__ import annotations

import re
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeslm.firmware.qemu import find_machine
from edgeslm.target import load_target


class PtyQemu:
    """`path`: the pseudo terminal."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.path = ""
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"char device redirected to (\S+)", line)
            if found:
                self.path = found[1]
                return
        raise AssertionError("QEMU told no pseudo terminal")

    def sleep(self) -> None:
        """It computes nothing until it is woken: a board that waits for a byte takes a whole core here."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def reset(self) -> None:
        """As its button does."""
        assert self._process.stdin is not None
        self._process.stdin.write("system_reset\n")
        self._process.stdin.flush()


@contextmanager
def board_on_a_pty(target_name: str, bundle: Path, folder: Path, *, counted: bool = True) -> Iterator[PtyQemu]:
    """The bundle's image on QEMU's board, until the end of the block. `counted`: its time are its instructions."""
    with zipfile.ZipFile(bundle) as archive:
        elf = archive.extract("firmware/firmware.elf", folder)
    machine = find_machine(load_target(target_name))
    command = ["qemu-system-arm", "-M", machine.name, "-display", "none", "-monitor", "stdio", "-kernel", elf]
    command += [*["-serial", "null"] * machine.serial, "-serial", "pty", *["-icount", "shift=0"] * counted]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield PtyQemu(process)
        finally:
            process.kill()
