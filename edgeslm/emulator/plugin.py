"""Our plugin for qemu-user that counts instructions, built on first use by the machine's C compiler."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from edgeslm.cache import explain_full_disk
from edgeslm.data_folder import alone, data_folder
from edgeslm.digest import file_digest
from edgeslm.errors import MissingToolError, ToolFailedError
from edgeslm.toolchain import find_tool, last_lines, run_tool

SOURCE = Path(__file__).with_name("instructions.c")
COMPILERS = ("cc", "gcc", "clang")
NEW_INTERFACE = (9, 0)
"""From this QEMU on, plugins declare version 2 of the interface."""


def find_qemu() -> Path:
    """qemu-aarch64, the dynamic one: the static one takes no plugins. Raises MissingToolError."""
    return find_tool("qemu-aarch64", "apt-get install qemu-user")


def find_compiler() -> Path:
    found = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if found is None:
        raise MissingToolError(
            f"no C compiler is on PATH ({', '.join(COMPILERS)}): the plugin that counts instructions is built here",
            "apt-get install gcc libc6-dev",
        )
    return Path(found)


def build_plugin(qemu: Path, interface: int | None = None) -> Path:
    """The plugin for this QEMU, kept under its source's digest. `interface` overrides the one QEMU's version asks for.

    Raises MissingToolError without a compiler, ToolFailedError where it fails.
    """
    wanted = interface or (2 if qemu_version(qemu) >= NEW_INTERFACE else 1)
    place = data_folder() / f"instructions-{file_digest(SOURCE)[:16]}-{wanted}.so"
    with explain_full_disk(place), alone(place):
        if not place.exists():
            compiler = find_compiler()
            log = data_folder() / "logs" / "plugin.log"
            with tempfile.TemporaryDirectory(prefix=".plugin-", dir=place.parent) as folder:
                made = Path(folder) / place.name
                command = [str(compiler), "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
                command += [f"-DPLUGIN_VERSION={wanted}", "-shared", "-fPIC", "-o", str(made), str(SOURCE)]
                run_tool(command, log)
                made.replace(place)
    return place


def qemu_version(qemu: Path) -> tuple[int, int]:
    """(major, minor)."""
    log = data_folder() / "logs" / "qemu-version.log"
    run_tool([str(qemu), "--version"], log, timeout_s=60)
    told = re.search(r"version (\d+)\.(\d+)", log.read_text())
    if told is None:
        raise ToolFailedError([str(qemu), "--version"], 0, log, last_lines(log))
    return int(told[1]), int(told[2])
