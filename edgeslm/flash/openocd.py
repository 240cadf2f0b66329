"""Flash through OpenOCD, as a tool: the board's script says which debug probe and which chip.

It is spoken with over its Tcl server, on a pipe: no port is opened. OpenOCD User's Guide, chapter "Tcl Scripting API".
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

from edgeslm.errors import (
    ConfigError,
    ConnectionLostError,
    DeviceError,
    DeviceNotFoundError,
    ProbeTimeoutError,
    UnsupportedError,
)
from edgeslm.firmware.udev import probe_rule, usb_devices
from edgeslm.flash.chips import require_chip
from edgeslm.flash.image import FlashImage
from edgeslm.flash.probes import Seen, choose_probe, no_probe, require_access
from edgeslm.flash.way import Asked
from edgeslm.toolchain import Conversation, converse_with_tool, find_tool, last_lines

NAME = "openocd"
HINT = f"apt install {NAME} brings it (or: edgeslm doctor --install {NAME})"
PORTS = ("gdb_port disabled", "telnet_port disabled", "tcl_port pipe")
END = b"\x1a"
PLAIN = re.compile(r"[\w./+-]+", re.ASCII)
COMMAND_S = 300.0
"""Erasing and writing a megabyte takes a minute or two."""
START_S = 30.0
ABSENT = ("open failed", "unable to find", "No J-Link", "no device found", "No device matches", "couldn't find")
"""How OpenOCD's drivers say that no debug probe is there."""
FORBIDDEN = ("LIBUSB_ERROR_ACCESS", "Permission denied")
IMAGE, READ = "firmware.bin", "read.bin"


class OpenOcd:
    """A running OpenOCD. Every call raises DeviceError in its own words."""

    def __init__(self, conversation: Conversation, log: Path) -> None:
        self._conversation = conversation
        self._log = log

    def command(self, text: str, limit_s: float = COMMAND_S) -> str:
        """What a command of OpenOCD's returns and prints."""
        asked = f'format "%d %s" [catch {{capture {{{text}}}}} answer] $answer'
        try:
            self._conversation.write(asked.encode() + END)
        except BrokenPipeError:
            raise self._gone(text) from None
        said, ends = b"", time.monotonic() + limit_s
        while not said.endswith(END):
            left = ends - time.monotonic()
            if left <= 0:
                raise ProbeTimeoutError(f"openocd does not come to an end of: {text}", "flash it again")
            content = self._conversation.read(left)
            if content is None:
                raise self._gone(text)
            said += content
        failed, _, answer = said[:-1].decode(errors="replace").partition(" ")
        if failed != "0":
            lines = _errors(self._log) or [answer.strip()]
            raise DeviceError(
                f"openocd: {text}:" + "".join(f"\n         {line}" for line in lines),
                "flash it again; docs/flashing.md says what helps a probe that loses its chip",
            )
        return answer

    def read_word(self, address: int) -> int:
        return int(self.command(f"read_memory {address:#x} 32 1").split()[-1], 0)

    def _gone(self, doing: str) -> ConnectionLostError:
        return ConnectionLostError(f"openocd ended in the middle of {doing}:\n         {last_lines(self._log, 1)}")


class OpenOcdBoard:
    """See way.Connected."""

    line = None

    def __init__(self, image: FlashImage, openocd: OpenOcd, folder: Path, probe: Seen | None) -> None:
        self.device = f"{image.target.title}, by openocd -f {image.facts.openocd}"
        self.debug_probe = probe.serial if probe else None
        self.openocd = openocd
        self._image = image
        self._folder = folder

    def write(self) -> None:
        self.openocd.command("reset init")
        self.openocd.command(f"flash write_image erase {IMAGE} {self._image.address:#x} bin")

    def read_back(self) -> bytes:
        self.openocd.command(f"dump_image {READ} {self._image.address:#x} {len(self._image.content)}")
        return (self._folder / READ).read_bytes()

    def reset(self) -> None:
        self.openocd.command("reset run")


@contextlib.contextmanager
def connect(image: FlashImage, asked: Asked) -> Iterator[OpenOcdBoard]:
    """The board that OpenOCD's script describes; see way.Connected.

    OpenOCD takes the first probe of a kind that it finds: where several are plugged in, one has to be asked for. Raises
    MissingToolError without OpenOCD, ConfigError for a script that it does not have, DeviceNotFoundError,
    UnfitDeviceError.
    """
    scripts = _scripts(image)
    tool = find_tool(NAME, HINT)
    require_access(image)
    probe = _choose(image, asked)
    (asked.folder / IMAGE).write_bytes(image.content)
    log = asked.folder / "openocd.log"
    command = [str(tool), *(word for port in PORTS for word in ("-c", port))]
    command += [word for script in scripts for word in ("-f", script)]
    command += ["-c", f"adapter serial {{{probe.serial}}}"] if probe else []
    # In the folder to work in: a script is OpenOCD's own, or one by its whole path.
    with converse_with_tool(command, log, hint=HINT, cwd=asked.folder) as conversation:
        openocd = OpenOcd(conversation, log)
        try:
            openocd.command("targets", START_S)
        except ConnectionLostError:
            raise _not_found(image, _errors(log)) from None
        require_chip(image, openocd.read_word)
        yield OpenOcdBoard(image, openocd, asked.folder, probe)


def _scripts(image: FlashImage) -> list[str]:
    """In order. OpenOCD makes a command of each, and a bundle may be a stranger's."""
    scripts = (image.facts.openocd or "").split()
    if not scripts:
        raise UnsupportedError(
            f"{image.target.name} has no script of OpenOCD's: its target file lacks firmware.openocd",
            f"--via {image.facts.flasher}",
        )
    for script in scripts:
        if not PLAIN.fullmatch(script):
            raise ConfigError(f"firmware.openocd is no name of a script: {script!r}", "letters, digits and ./_+- alone")
    return scripts


def _choose(image: FlashImage, asked: Asked) -> Seen | None:
    """The probe to ask OpenOCD for; None leaves it to its script, where only one can be meant."""
    seen = [Seen(device.serial, str(device)) for device in usb_devices(image.facts.usb) if device.serial]
    if len(seen) > 1 or (seen and asked.debug_probe):
        return choose_probe(seen, asked.debug_probe)
    if asked.debug_probe:
        if not PLAIN.fullmatch(asked.debug_probe):
            raise ConfigError(f"--debug-probe {asked.debug_probe} is no serial number")
        return Seen(asked.debug_probe, "as asked")
    return None


def _not_found(image: FlashImage, lines: list[str]) -> DeviceError | ConfigError:
    said = "\n".join(lines)
    if "Can't find" in said:
        return ConfigError(
            f"openocd has no script {image.facts.openocd}", "firmware.openocd of the target names another, or its path"
        )
    if any(word in said for word in FORBIDDEN):
        rules = [probe_rule(usb) for usb in image.facts.usb]
        return DeviceError(
            f"this user may not open the debug probe\n         openocd: {said}", "\n".join(rules) or None
        )
    if any(word in said for word in ABSENT):
        return no_probe(image, NAME, lines)
    return DeviceNotFoundError(
        f"no core answers behind the debug probe{''.join(f'{chr(10)}         openocd: {line}' for line in lines)}",
        "SWDIO, SWCLK, ground and the board's supply; hold its reset button down while it connects",
    )


def _errors(log: Path) -> list[str]:
    """The last lines in which OpenOCD says what is wrong, without its own word for that."""
    lines = last_lines(log, 60).splitlines()
    found = [line.partition("Error:")[2].strip() for line in lines if "Error:" in line]
    return list(dict.fromkeys(found))[-4:]
