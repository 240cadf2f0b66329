"""Through OpenOCD as Debian ships it: its own scripts, and a fake chip behind its bit-banged JTAG (fake_jtag.py)."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeslm.errors import (
    ConfigError,
    DeviceError,
    DeviceNotFoundError,
    UnfitDeviceError,
    UnsupportedError,
    VerifyError,
)
from edgeslm.flash.gdb import debugging
from edgeslm.flash.image import FlashImage
from edgeslm.flash.openocd import NAME
from edgeslm.target import list_targets
from tests.firmware.flashing.command import flash
from tests.firmware.flashing.fake_chip import CORTEX_M7, FLASH, RAM, STM32F405, STM32F429, FakeChip
from tests.firmware.flashing.fake_jtag import fake_jtag
from tests.firmware.flashing.fake_uart import fake_uart
from tests.firmware.flashing.fake_usb import plug
from tests.firmware.flashing.variants import variant
from tests.firmware.host_program import require_tool


@pytest.fixture(autouse=True)
def _openocd() -> None:
    require_tool(NAME, NAME)


@contextlib.contextmanager
def wired(bundle: Path, chip: FakeChip, folder: Path) -> Iterator[Path]:
    """The bundle for a board that is this chip on a fake cable."""
    with fake_jtag(chip, folder) as script:
        facts = {"openocd": str(script)}
        yield variant(bundle, folder / "wired", lambda manifest: manifest["target"]["firmware"].update(facts))


def test_a_board_is_flashed_and_heard(bundle: Path, image: FlashImage, tmp_path: Path) -> None:
    chip = FakeChip(idcode=STM32F429)
    chip.flash[: len(image.content)] = bytes(len(image.content))  # another image, to be erased
    place = image.content.find(bytes.fromhex(image.told))
    with fake_uart() as uart, wired(bundle, chip, tmp_path) as board:
        chip.on_reset = lambda chip: uart.say(chip.banner(place))
        said = flash(board, "--via", "openocd", "--serial", uart.port)
    assert chip.flash[: len(image.content)] == image.content
    assert not chip.halted
    assert (said["read_back"], said["banner"]) == (True, f"stub, fp32, {image.told}")


def test_flash_that_does_not_hold_is_told(bundle: Path, tmp_path: Path) -> None:
    chip = FakeChip(idcode=STM32F429, worn=FLASH + 0x100)
    with (
        wired(bundle, chip, tmp_path) as board,
        pytest.raises(VerifyError, match=r"1 of .* at 0x08000100 there is 0xff instead of"),
    ):
        flash(board, "--via", "openocd")


@pytest.mark.parametrize(
    ("chip", "message"),
    [(FakeChip(idcode=STM32F405), "identification is 0x413"), (FakeChip(cpuid=CORTEX_M7), "its core is cortex-m7")],
    ids=["chip", "core"],
)
def test_another_board_is_refused(chip: FakeChip, message: str, bundle: Path, tmp_path: Path) -> None:
    with wired(bundle, chip, tmp_path) as board, pytest.raises(UnfitDeviceError, match=message):
        flash(board, "--via", "openocd")
    assert bytes(chip.flash[:64]) == b"\xff" * 64


def test_flash_that_cannot_be_written_is_told_in_openocds_words(bundle: Path, tmp_path: Path) -> None:
    """A FAKE of a write-protected sector: it is there, and its controller says no."""
    chip = FakeChip(idcode=STM32F429, protected=True)
    with wired(bundle, chip, tmp_path) as board, pytest.raises(DeviceError, match="openocd: flash write_image erase"):
        flash(board, "--via", "openocd")


def test_its_gdb_server_compares_what_is_in_flash(image: FlashImage, tmp_path: Path) -> None:
    """As an IDE debugs a board: GDB starts OpenOCD, and speaks with its server on a pipe."""
    require_tool("gdb-multiarch", "gdb-multiarch")
    chip = FakeChip(idcode=STM32F429)
    chip.flash[: len(image.content)] = image.content
    elf = tmp_path / "firmware.elf"
    elf.write_bytes(image.elf)
    with fake_jtag(chip, tmp_path, work_bytes=0) as script:
        server = f'{shutil.which(NAME)} -c "gdb_port pipe" -c "log_output {tmp_path}/openocd.log" -f {script}'
        with debugging(elf, f"| {server}", tmp_path / "gdb.log") as gdb:
            gdb.command("monitor halt")
            _, said = gdb.command("compare-sections")
            assert said.count("matched") == said.count("Section") >= 2
            assert "MIS-MATCHED" not in said
            chip.flash[0x40] ^= 1
            assert "MIS-MATCHED" in gdb.command("compare-sections .text")[1]
            gdb.command(f"set {{int}}{RAM:#x} = 0x12345678")
            assert gdb.read_memory(RAM, 4) == b"\x78\x56\x34\x12" == bytes(chip.ram[:4])


def test_without_a_probe_what_was_seen_is_said(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, tmp_path)
    with pytest.raises(DeviceNotFoundError) as caught:
        flash(bundle, "--via", "openocd")
    assert "openocd: open failed" in caught.value.message
    assert "USB shows no device of 0483:374b" in caught.value.message
    with pytest.raises(DeviceNotFoundError, match="openocd: "):
        flash(bundle, "--via", "openocd", "--debug-probe", "066DFF")


def test_of_several_probes_one_has_to_be_named(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, tmp_path, ("0483:374b", "066DFF", True), ("0483:374b", "066AAA", True))
    with pytest.raises(DeviceNotFoundError, match=r"(?s)2 debug probes are connected.*066DFF.*066AAA"):
        flash(bundle, "--via", "openocd")
    with pytest.raises(DeviceNotFoundError, match="no debug probe has the identification 99"):
        flash(bundle, "--via", "openocd", "--debug-probe", "99")


def test_a_script_that_is_not_there_is_named(bundle: Path, tmp_path: Path) -> None:
    def scripted(name: str | None, folder: str) -> Path:
        return variant(bundle, tmp_path / folder, lambda one: one["target"]["firmware"].update(openocd=name))

    with pytest.raises(ConfigError, match=r"openocd has no script board/nobody\.cfg"):
        flash(scripted("board/nobody.cfg", "nobody"), "--via", "openocd")
    with pytest.raises(UnsupportedError, match=r"lacks firmware\.openocd"):
        flash(scripted(None, "none"), "--via", "openocd")
    with pytest.raises(ConfigError, match=r"firmware\.openocd is no name of a script"):
        flash(scripted("x}; exec touch /tmp/stranger; #{", "stranger"), "--via", "openocd")
    with pytest.raises(ConfigError, match="is no serial number"):
        flash(bundle, "--via", "openocd", "--debug-probe", "1}; shutdown; {")


def test_openocd_has_the_script_of_every_target() -> None:
    for target in list_targets():
        if target.firmware and target.firmware.openocd:
            finds = [f"puts [find {script}]" for script in target.firmware.openocd.split()]
            command = [NAME, *(word for one in [*finds, "shutdown"] for word in ("-c", one))]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{target.name}: {done.stderr}"
