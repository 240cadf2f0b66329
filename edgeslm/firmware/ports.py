"""Serial ports that there are, and the one that a board is on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeslm.errors import ConfigError, DeviceNotFoundError

PLUG = "is the board plugged in, by a cable that has data lines?"


@dataclass(frozen=True)
class SeenPort:
    """A port of this machine. `usb`: "VENDOR:PRODUCT" in hexadecimal digits; "" of one that is on no USB."""

    path: str
    title: str
    usb: str

    def __str__(self) -> str:
        known = ", ".join(part for part in (self.title, self.usb) if part)
        return f"{self.path} ({known})" if known else self.path


def list_ports() -> list[SeenPort]:
    """What pyserial finds, in the order of the names."""
    from serial.tools.list_ports import comports

    found = []
    for one in comports():
        title = one.description if one.description not in {None, "n/a"} else ""
        found.append(SeenPort(one.device, title, f"{one.vid:04x}:{one.pid:04x}" if one.vid is not None else ""))
    return sorted(found, key=lambda port: port.path)


def shown_ports(ports: Sequence[SeenPort]) -> str:
    """A sentence for hints."""
    return f"ports here: {', '.join(map(str, ports))}" if ports else f"no serial port is here: {PLUG}"


def choose_port(ports: Sequence[SeenPort], usb: Sequence[str]) -> SeenPort:
    """The port of the ids that a target's board has; without any, the only one that is on USB.

    Raises DeviceNotFoundError where there is none, ConfigError where there are several.
    """
    likely = [port for port in ports if port.usb and (not usb or port.usb in usb)]
    if len(likely) == 1:
        return likely[0]
    if likely:
        raise ConfigError(
            f"{len(likely)} boards may be meant: {', '.join(map(str, likely))}", f"name one: {likely[0].path}"
        )
    wanted = f" with the USB id {' or '.join(usb)}" if usb else ""
    raise DeviceNotFoundError(f"no board{wanted} is on a USB port of this machine", shown_ports(ports))
