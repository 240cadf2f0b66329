"""FAKE lists of USB devices: folders as Linux's sysfs has them, and nodes that this user may open or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeslm.firmware import udev


def plug(monkeypatch: pytest.MonkeyPatch, folder: Path, *devices: tuple[str, str, bool]) -> None:
    """Each: VENDOR:PRODUCT, serial number, whether it may be opened. A node that is not there may not, even by root."""
    for number, (usb, serial, is_open) in enumerate(devices, 1):
        vendor, product = usb.split(":")
        device = folder / "devices" / f"1-{number}"
        device.mkdir(parents=True)
        facts = {"idVendor": vendor, "idProduct": product, "serial": serial, "product": "STM32 STLink"}
        for name, value in (facts | {"busnum": "1", "devnum": str(number)}).items():
            (device / name).write_text(f"{value}\n")
        node = folder / "nodes" / "001" / f"{number:03d}"
        node.parent.mkdir(parents=True, exist_ok=True)
        if is_open:
            node.touch()
    monkeypatch.setattr(udev, "DEVICES", folder / "devices")
    monkeypatch.setattr(udev, "NODES", folder / "nodes")
