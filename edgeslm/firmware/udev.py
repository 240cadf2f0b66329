"""Debug probes as Linux lists them, and the line of udev that lets a user open one.

A rule must come before 73-seat-late.rules, which gives what is tagged `uaccess` to whoever sits at the machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEVICES = Path("/sys/bus/usb/devices")
NODES = Path("/dev/bus/usb")
RULES = "/etc/udev/rules.d/70-edgeslm.rules"


@dataclass(frozen=True)
class UsbDevice:
    """What is plugged in. `usb`: VENDOR:PRODUCT."""

    usb: str
    title: str
    serial: str | None
    node: Path

    @property
    def is_open_to_us(self) -> bool:
        return os.access(self.node, os.R_OK | os.W_OK)

    def __str__(self) -> str:
        return f"{self.title} ({self.usb}{f', serial number {self.serial}' if self.serial else ''})"


def usb_devices(ids: tuple[str, ...]) -> list[UsbDevice]:
    """What is plugged in of these ids, as Linux lists it; [] elsewhere."""
    found = []
    for folder in sorted(DEVICES.glob("*")):
        usb = _usb_id(folder)
        if usb is None or usb not in ids:
            continue
        bus, number = _word(folder / "busnum"), _word(folder / "devnum")
        node = NODES / f"{int(bus or 0):03d}" / f"{int(number or 0):03d}"
        found.append(UsbDevice(usb, _word(folder / "product") or "USB device", _word(folder / "serial"), node))
    return found


def probe_rule(usb: str) -> str:
    """What root writes, so that a user may open a debug probe."""
    vendor, product = usb.split(":")
    rule = f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}", TAG+="uaccess"'
    return f"as root, write this line into {RULES}:\n{rule}\nthen: udevadm control --reload, and plug it in again"


def _usb_id(folder: Path) -> str | None:
    vendor, product = _word(folder / "idVendor"), _word(folder / "idProduct")
    return f"{vendor}:{product}".lower() if vendor and product else None


def _word(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:
        return None
