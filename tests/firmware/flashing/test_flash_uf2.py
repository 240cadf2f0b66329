"""By copying to a bootloader's drive. The drives are FAKE: folders with the INFO_UF2.TXT of one."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from edgeslm.errors import BundleError, DeviceNotFoundError, UnfitDeviceError, UnsupportedError
from edgeslm.flash import uf2
from edgeslm.flash.image import FlashImage
from edgeslm.formats.uf2 import read_uf2
from tests.firmware.flashing.command import flash
from tests.firmware.flashing.fake_uart import fake_uart
from tests.firmware.flashing.variants import variant

Bundle = Path


def drive(folder: Path, board: str, model: str = "My board") -> Path:
    folder.mkdir(parents=True)
    (folder / uf2.INFO).write_text(f"UF2 Bootloader v3.0\r\nModel: {model}\r\nBoard-ID: {board}\r\n")
    return folder


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drives are looked for."""
    folder = tmp_path / "media"
    folder.mkdir()
    monkeypatch.setattr(uf2, "MOUNTS", (f"{folder}/*",))
    return folder


def test_the_boards_drive_is_found_and_gets_the_file(bundle: Bundle, image: FlashImage, mounts: Path) -> None:
    """The target's own way: --via is not needed."""
    drive(mounts / "other", "RPI-RP2", "Raspberry Pi RP2")
    ours = drive(mounts / "anything", "MyBoot")
    said = flash(bundle)
    carried = read_uf2((ours / "firmware.uf2").read_bytes(), "the drive")
    assert carried.content[: len(image.content)] == image.content
    assert (carried.address, carried.family) == (0x08000000, 0x57755A57)
    assert (said["via"], said["read_back"], said["banner"]) == ("uf2", False, None)
    assert said["device"] == f"My board, at {ours}"


def test_the_image_is_known_by_its_digest(bundle: Bundle, image: FlashImage, tmp_path: Path) -> None:
    """A FAKE bootloader takes the file as it comes and starts what was in it, as silicon would: the file is a pipe."""
    ours = drive(tmp_path / "MYBOOT", "MYBOOT")
    os.mkfifo(ours / "firmware.uf2")
    place = image.content.find(bytes.fromhex(image.told))
    with fake_uart() as uart:

        def boot() -> None:
            carried = read_uf2((ours / "firmware.uf2").read_bytes(), "the drive").content
            uart.say(f"\r\nstub, fp32, {carried[place : place + 8].hex()}\r\n> ".encode())

        bootloader = threading.Thread(target=boot)
        bootloader.start()
        said = flash(bundle, "--volume", str(ours), "--serial", uart.port)
        bootloader.join()
    assert said["banner"] == f"stub, fp32, {image.told}"


def test_another_boards_drive_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    other = drive(tmp_path / "RPI-RP2", "RPI-RP2", "Raspberry Pi RP2")
    with pytest.raises(UnfitDeviceError, match=r"Board-ID RPI-RP2, Raspberry Pi RP2\) is another board's"):
        flash(bundle, "--volume", str(other))
    with pytest.raises(DeviceNotFoundError, match=r"is no drive of a UF2 bootloader: it has no INFO_UF2\.TXT"):
        flash(bundle, "--volume", str(tmp_path))
    assert not (other / "firmware.uf2").exists()


def test_none_and_several_say_what_was_seen(bundle: Bundle, mounts: Path) -> None:
    with pytest.raises(DeviceNotFoundError, match="no drive MYBOOT is mounted under") as caught:
        flash(bundle)
    assert "BOOTSEL" in (caught.value.hint or "")
    drive(mounts / "RPI-RP2", "RPI-RP2", "Raspberry Pi RP2")
    with pytest.raises(DeviceNotFoundError, match=r"(?s)there are others:.*Board-ID RPI-RP2, Raspberry Pi RP2"):
        flash(bundle)
    for name in ("a", "b"):
        drive(mounts / name, "MYBOOT")
    with pytest.raises(DeviceNotFoundError, match=r"(?s)2 such boards are there:.*/a .*/b ") as caught:
        flash(bundle)
    assert caught.value.hint == f"--volume {mounts / 'a'}"


def test_a_drive_without_room_is_told(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = drive(tmp_path / "MYBOOT", "MYBOOT")
    (ours / "firmware.uf2").symlink_to("/dev/full")
    with pytest.raises(UnfitDeviceError, match="has no more room"):
        flash(bundle, "--volume", str(ours))

    class Usage:
        free = 5000

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(UnfitDeviceError, match=r"has 5,000 bytes free, and the file has 2\d,\d{3}"):
        flash(bundle, "--volume", str(ours))


def test_a_damaged_file_and_a_board_without_bootloader_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    def without(manifest: dict[str, dict[str, dict[str, object]]]) -> None:
        manifest["firmware"].pop("uf2")
        manifest["target"]["firmware"].pop("uf2_family")

    ours = drive(tmp_path / "MYBOOT", "MYBOOT")
    with pytest.raises(UnsupportedError, match=r"lacks firmware\.uf2_family"):
        flash(variant(bundle, tmp_path / "without", without), "--volume", str(ours))
    damaged = variant(bundle, tmp_path / "damaged", lambda one: None)
    (damaged / "firmware" / "firmware.uf2").write_bytes(b"UF2\n")
    with pytest.raises(BundleError, match=r"firmware\.uf2 has 4 bytes instead of"):
        flash(damaged, "--volume", str(ours))
