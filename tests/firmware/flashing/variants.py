"""One firmware bundle, and others of the same image whose manifests say something else of the board."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeslm.target import load_target
from tests.firmware.stub_bundle import write_stub_bundle

BOARD = {
    "name": "my-board",
    "title": "My board (STM32F429)",
    "flasher": "uf2",
    "pyocd": "stm32f429xi",
    "openocd": "board/stm32f429discovery.cfg",
    "uf2_family": 0x57755A57,
    "uf2_volume": "MYBOOT",
    "usb": ["0483:374b"],
}
"""What a user's target file has other than netduinoplus2's: a board that can be flashed in every way. QEMU emulates it
as well, and pyOCD knows the chip without fetching its description."""


def build(folder: Path) -> Path:
    """The stub model's bundle for BOARD."""
    facts = load_target("netduinoplus2").model_dump(mode="json", exclude_unset=True)
    facts["firmware"] |= {key: value for key, value in BOARD.items() if key not in facts}
    facts |= {key: value for key, value in BOARD.items() if key in facts}
    tables = {key: value for key, value in facts.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in facts.items() if key not in tables]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    target = folder / "my-board.toml"
    target.write_text("\n".join(lines) + "\n")
    return write_stub_bundle(str(target), folder / "built").path


def variant(bundle: Path, folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """`bundle` unpacked into `folder`, its manifest edited; no digest in it changes."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))
    return folder
