"""The devices that adb sees, and which of them is meant."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgeslm.errors import ConfigError, DeviceNotFoundError

SERIAL = "ANDROID_SERIAL"
"""The environment variable by which adb itself knows the device that is meant."""
READY = "device"
NO_PERMISSION = "no permissions"

_LINE = re.compile(rf"(?P<serial>\S+)\s+(?P<state>{NO_PERMISSION}.*?|\S+)(?P<facts>(\s+\w+:\S*)*)\s*")
_STATES = {
    "unauthorized": (
        "does not know this machine's key",
        'unlock it and confirm "Allow USB debugging?"; if it does not ask: unplug it, `adb kill-server`, plug it in',
    ),
    "authorizing": ("is still asked whether it knows this machine's key", "unlock it, and try again"),
    "connecting": ("is still being connected", "try again"),
    "offline": (
        "is offline: it does not answer adb",
        "unplug it and plug it in again, or `adb reconnect offline`; behind a network address: `adb disconnect`, "
        "then `adb connect HOST:PORT`",
    ),
    NO_PERMISSION: (
        "may not be opened by this user",
        "apt-get install android-sdk-platform-tools-common has the udev rules; then be in the group plugdev and log in "
        "again",
    ),
}
"""State -> what that means, and what to do."""
_NOT_STARTED = ("has not started Android", "leave recovery, sideload or the bootloader: restart it")


@dataclass(frozen=True)
class Seen:
    """One line of `adb devices -l`. `model` is "" where adb does not tell it."""

    serial: str
    state: str
    model: str = ""

    def __str__(self) -> str:
        told = [self.model] if self.model else []
        told += [self.state] if self.state != READY else []
        return f"{self.serial} ({', '.join(told)})" if told else self.serial


def parse_devices(text: str) -> list[Seen]:
    """`adb devices -l`, without its title and what the server says of itself."""
    found = []
    for line in text.partition("List of devices attached")[2].splitlines():
        read = _LINE.fullmatch(line)
        if read is None or line.startswith("* "):
            continue
        facts = dict(fact.split(":", 1) for fact in read["facts"].split())
        state = NO_PERMISSION if read["state"].startswith(NO_PERMISSION) else read["state"]
        found.append(Seen(read["serial"], state, facts.get("model", "").replace("_", " ")))
    return found


def choose(seen: Sequence[Seen], serial: str | None) -> Seen:
    """The device that is meant: by its serial number, by ANDROID_SERIAL, or the only one.

    Raises ConfigError where it could be several, DeviceNotFoundError where it is not there or not ready.
    """
    wanted = serial or os.environ.get(SERIAL)
    if not seen:
        named = f" ({wanted} is wanted)" if wanted else ""
        raise DeviceNotFoundError(
            f"adb sees no device{named}",
            "plug it in and switch on USB debugging (Settings, System, Developer options), or `adb connect HOST:PORT`; "
            "`adb devices` lists what it sees",
        )
    listed = ", ".join(map(str, seen))
    if wanted is None and len(seen) > 1:
        raise ConfigError(f"adb sees {len(seen)} devices: {listed}", f"say which: --via adb:{seen[0].serial}")
    found = next((one for one in seen if wanted in (None, one.serial)), None)
    if found is None:
        named = f"{SERIAL} names it" if serial is None else f"--via adb:{seen[0].serial} names another"
        raise DeviceNotFoundError(f"adb sees no device {wanted}; it sees {listed}", named)
    if found.state != READY:
        meaning, hint = _STATES.get(found.state, _NOT_STARTED)
        raise DeviceNotFoundError(f"{found.serial} {meaning} (adb: {found.state})", hint)
    return found
