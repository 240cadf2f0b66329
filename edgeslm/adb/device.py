"""One device, and a single command of adb's for it: what it prints, and why it failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeslm.adb.client import ask_devices
from edgeslm.adb.devices import READY, parse_devices
from edgeslm.cache import cache_folder
from edgeslm.errors import ConnectionLostError, DeviceError, ToolFailedError
from edgeslm.toolchain import last_lines, stream_tool

TIMED_OUT = 124
KEPT_LINES = 80
"""Of what a command said; a Python that was hanging tells where all its threads were."""


@dataclass(frozen=True)
class Device:
    """A device by its serial number, through the client `adb`."""

    adb: Path
    serial: str

    @property
    def log(self) -> Path:
        """What the last command said on stderr."""
        return cache_folder() / "logs" / f"adb-{re.sub(r'[^A-Za-z0-9.-]+', '-', self.serial)}.log"

    def command(self, *words: str) -> list[str]:
        """`adb -s SERIAL words`."""
        return [str(self.adb), "-s", self.serial, *words]

    def __str__(self) -> str:
        return f"adb:{self.serial}"


class TooSlowError(Exception):
    """The command took longer than it may, and was ended on this machine."""


def call(device: Device, words: Sequence[str], on_line: Callable[[str], None], *, time_limit_s: float) -> None:
    """Run `adb -s SERIAL words` to its end. Raises ToolFailedError with what it said, TooSlowError."""
    try:
        stream_tool(device.command(*words), on_line, device.log, timeout_s=time_limit_s)
    except ToolFailedError as error:
        if error.status == TIMED_OUT:
            raise TooSlowError from None
        raise


def said(device: Device) -> str:
    """The last lines of the last command's stderr."""
    return last_lines(device.log, KEPT_LINES)


def lost(device: Device, doing: str) -> ConnectionLostError:
    """The device went away while `doing` something; adb's own word for it."""
    state = next((one.state for one in parse_devices(ask_devices(device.adb)) if one.serial == device.serial), None)
    if state == READY:
        how = "it is there again"
    else:
        how = "adb does not see it any more" if state is None else f"adb says it is {state}"
    return ConnectionLostError(
        f"the connection to {device} was lost while {doing} ({how})",
        "is the cable firm, and the device still on? Then the same command again",
    )


def failed(device: Device, doing: str) -> DeviceError:
    """Why adb's own command failed, by its last lines. A device that is not ready any more was lost."""
    seen = parse_devices(ask_devices(device.adb))
    if not any(one.serial == device.serial and one.state == READY for one in seen):
        return lost(device, doing)
    tail = "\n".join(f"         {line}" for line in said(device).splitlines()[-6:])
    return DeviceError(f"{device}: {doing} failed; adb says:\n{tail}", f"the whole log is in {device.log}")
