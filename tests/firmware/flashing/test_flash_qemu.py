"""`edgeslm flash` as a user runs it, into an emulated board; and bundles that no board is touched for."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.errors import (
    BundleError,
    ConfigError,
    DeviceError,
    DoesNotFitError,
    MissingToolError,
    ProbeTimeoutError,
    UnsupportedError,
    VerifyError,
)
from edgeslm.firmware.board import Board
from edgeslm.flash import banner, qemu
from edgeslm.flash.image import FlashImage
from edgeslm.flash.way import Asked
from tests.firmware.flashing.command import flash
from tests.firmware.flashing.variants import variant
from tests.firmware.host_program import require_tool

ROOT = Path(__file__).resolve().parents[3]
Edgeslm = Callable[..., Any]


@pytest.fixture
def _emulator() -> None:
    require_tool("qemu-system-arm", "qemu-system-arm")
    require_tool("gdb-multiarch", "gdb-multiarch")


@pytest.mark.usefixtures("_emulator")
def test_an_emulated_board_is_flashed_read_back_and_says_its_digest(edgeslm: Edgeslm, bundle: Path) -> None:
    said = edgeslm("flash", bundle, "--via", "qemu")
    assert said.status == 0, said.stderr
    firmware = inspect_bundle(bundle).manifest.firmware
    assert firmware is not None
    assert firmware.digest is not None
    assert "every byte read back and right" in said.stdout
    assert f"stub, fp32, {firmware.digest[:16]}" in said.stdout
    assert "the emulated board is gone" in said.stderr


@pytest.mark.usefixtures("_emulator")
def test_the_flashed_image_answers_by_its_digest(image: FlashImage, tmp_path: Path) -> None:
    with qemu.connect(image, Asked(tmp_path)) as emulated:
        emulated.write()
        assert emulated.read_back() == image.content
        emulated.reset()
        assert emulated.line is not None
        assert Board(emulated.line, "the board", starts=True).hello.image == image.told


@pytest.mark.usefixtures("_emulator")
def test_a_byte_that_changed_is_found(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(board: qemu.EmulatedBoard, load: Any = qemu.EmulatedBoard.write) -> None:
        load(board)
        board.gdb.command("set {char}0x08000123 = ~{char}0x08000123")

    monkeypatch.setattr(qemu.EmulatedBoard, "write", write)
    with pytest.raises(VerifyError, match=r"1 of 10,\d{3} bytes read back .* at 0x08000123 there is 0x"):
        flash(bundle, "--via", "qemu")


@pytest.mark.usefixtures("_emulator")
def test_a_board_that_does_not_start_is_told(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banner, "BANNER_S", 0.5)
    monkeypatch.setattr(qemu.EmulatedBoard, "reset", lambda board: None)
    with pytest.raises(ProbeTimeoutError, match="my-board stays silent after its reset"):
        flash(bundle, "--via", "qemu")


@pytest.mark.usefixtures("_emulator")
def test_gdbs_own_words_are_told(image: FlashImage, tmp_path: Path) -> None:
    with (
        qemu.connect(image, Asked(tmp_path)) as emulated,
        pytest.raises(DeviceError, match='gdb: frobnicate: Undefined command: "frobnicate"'),
    ):
        emulated.gdb.command("frobnicate all")


def test_a_missing_tool_is_named_with_its_package(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for way, package in (("qemu", "qemu-system-arm"), ("openocd", "openocd")):
        with pytest.raises(MissingToolError) as caught:
            flash(bundle, "--via", way)
        assert f"apt install {package}" in (caught.value.hint or "")


def test_options_of_another_way_are_refused(bundle: Path) -> None:
    for options, message in (
        (["--via", "qemu", "--debug-probe", "1"], "needs no debug probe"),
        (["--via", "qemu", "--serial", "/dev/ttyACM0"], "brings the emulated board's UART itself"),
        (["--via", "openocd", "--volume", "/"], "--volume is a board's drive"),
    ):
        with pytest.raises(ConfigError, match=message):
            flash(bundle, *options)


@pytest.mark.usefixtures("_emulator")
def test_ctrl_c_leaves_nothing_behind(bundle: Path, tmp_path: Path) -> None:
    """In the middle of a session: QEMU is the real one, and a FAKE gdb says that it was started, and nothing more."""
    started = tmp_path / "started"
    os.mkfifo(started)
    fake = tmp_path / "bin" / "gdb-multiarch"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho started > {started}\nexec sleep 1000\n")
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment["TMPDIR"] = str(tmp_path)
    command = [sys.executable, "-m", "edgeslm", "flash", str(bundle), "--via", "qemu"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert started.read_text() == "started\n"
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "nothing is left of the emulated board: the same command begins anew" in said
    assert len(children) == 2  # QEMU and gdb
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert not list(tmp_path.glob("edgeslm-flash-*"))


def test_a_bundle_that_was_changed_is_refused(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    changed = variant(bundle, tmp_path, lambda manifest: None)
    content = bytearray((changed / "firmware/firmware.bin").read_bytes())
    content[100] ^= 1
    (changed / "firmware/firmware.bin").write_bytes(content)
    said = edgeslm("flash", changed, "--via", "qemu", "--json")
    assert said.status == 8
    assert said.json["error"]["kind"] == "BundleError"
    assert "firmware/firmware.bin does not match its digest" in said.json["error"]["message"]


def test_an_image_that_tells_another_digest_is_refused(bundle: Path, tmp_path: Path) -> None:
    lied = variant(bundle, tmp_path, lambda manifest: manifest["firmware"].update(digest="ab" * 32))
    with pytest.raises(BundleError, match=r"firmware\.bin does not tell the digest"):
        flash(lied, "--via", "qemu")


def test_what_is_no_firmware_or_does_not_fit_is_refused(bundle: Path, tmp_path: Path) -> None:
    def without_firmware(manifest: dict[str, Any]) -> None:
        manifest["firmware"] = manifest["target"]["firmware"] = None
        manifest["target"] |= {"packaging": "linux", "probe": "linux"}
        manifest["target"]["cpu"] = {"arch": "aarch64", "core": "cortex-a72", "cores": 4, "clock_mhz": 1500}

    with pytest.raises(UnsupportedError, match="runs Linux: there is no firmware in it"):
        flash(variant(bundle, tmp_path / "linux", without_firmware))
    old = variant(bundle, tmp_path / "old", lambda manifest: manifest["firmware"].pop("digest"))
    with pytest.raises(UnsupportedError, match="before images told their digest"):
        flash(old)
    small = variant(bundle, tmp_path / "small", lambda manifest: manifest["target"]["memory"].update(storage_kib=8))
    with pytest.raises(DoesNotFitError, match=r"the image has 10,\d{3} bytes; my-board has 8,192"):
        flash(small)
    other = variant(bundle, tmp_path / "family", lambda manifest: manifest["target"]["firmware"].update(uf2_family=7))
    with pytest.raises(BundleError, match="family 0x57755a57, which is not this bundle's image"):
        flash(other)


def test_every_file_of_the_image_is_the_same_image(bundle: Path, image: FlashImage, tmp_path: Path) -> None:
    """ELF, Intel hex and UF2 carry the bytes of firmware.bin, and these tell the digest that is theirs."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if name.startswith("firmware/")])
    for name, kind in (("firmware.elf", []), ("firmware.hex", ["-I", "ihex"])):
        command = ["arm-none-eabi-objcopy", *kind, "-O", "binary", name, "again.bin"]
        subprocess.run(command, cwd=tmp_path / "firmware", check=True)
        assert (tmp_path / "firmware" / "again.bin").read_bytes() == image.content
    place = image.content.find(bytes.fromhex(image.told))
    zeroed = image.content[:place] + bytes(8) + image.content[place + 8 :]
    assert hashlib.sha256(zeroed).hexdigest() == image.digest
