"""Through pyOCD: the library is the real one, and behind its debug port is a fake chip (fake_debug_probe.py)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgeslm.errors import (
    ConnectionLostError,
    DeviceNotFoundError,
    MissingExtraError,
    MissingToolError,
    ProbeTimeoutError,
    UnfitDeviceError,
    UnsupportedError,
    VerifyError,
)
from edgeslm.firmware import ports, udev
from edgeslm.firmware.ports import SeenPort
from edgeslm.firmware.serial_line import opened_port, parse_port
from edgeslm.flash import banner
from edgeslm.flash.image import FlashImage
from tests.firmware.flashing.command import flash
from tests.firmware.flashing.fake_chip import CORTEX_M7, FLASH, STM32F405, STM32F429, FakeChip
from tests.firmware.flashing.fake_uart import fake_uart
from tests.firmware.flashing.fake_usb import plug
from tests.firmware.flashing.variants import variant

pytest.importorskip("pyocd", reason="pyocd is not here (pip install edgeslm[flash])")
BLANK = b"\xff" * 64


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeChip]:
    """Identification -> chip, of the probes that pyOCD sees."""
    from pyocd.probe import aggregator

    from tests.firmware.flashing.fake_debug_probe import FakeDebugProbe

    chips = {"0671FF38": FakeChip(idcode=STM32F429)}
    monkeypatch.setattr(aggregator, "PROBE_CLASSES", {"fake": FakeDebugProbe})
    monkeypatch.setattr(FakeDebugProbe, "plugged", chips)
    monkeypatch.chdir(Path.cwd())
    return chips


def test_a_board_is_flashed_and_heard(bundle: Path, image: FlashImage, plugged: dict[str, FakeChip]) -> None:
    (chip,) = plugged.values()
    chip.flash[: len(image.content)] = b"\0" * len(image.content)  # another image, to be erased
    place = image.content.find(bytes.fromhex(image.told))
    before = Path.cwd()
    with fake_uart() as uart:
        uart.say(b"\r\nstub, fp32, 00000000ffffffff\r\n> ")  # what was in flash before
        chip.on_reset = lambda chip: uart.say(chip.banner(place))
        said = flash(bundle, "--via", "pyocd", "--serial", uart.port)
    assert chip.flash[: len(image.content)] == image.content
    assert (chip.resets, chip.halted) == (1, False)
    assert (said["read_back"], said["banner"]) == (True, f"stub, fp32, {image.told}")
    assert (said["debug_probe"], said["emulated"]) == ("0671FF38", False)
    assert Path.cwd() == before


def test_the_port_of_the_boards_usb_id_is_listened_to(
    bundle: Path, image: FlashImage, plugged: dict[str, FakeChip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pyserial lists is a fake; of two such ports none is guessed, and one that is in use is left alone."""
    (chip,) = plugged.values()
    place = image.content.find(bytes.fromhex(image.told))
    (usb,) = image.facts.usb
    with fake_uart() as uart, fake_uart() as other:
        chip.on_reset = lambda chip: uart.say(chip.banner(place))
        mouse, ours, twin = (
            SeenPort("/dev/ttyACM9", "a mouse", "046d:0001"),
            SeenPort(uart.port, "ST-Link", usb),
            SeenPort(other.port, "ST-Link", usb),
        )
        for seen, heard in (([mouse, ours], True), ([mouse, ours, twin], False), ([mouse], False)):
            monkeypatch.setattr(ports, "list_ports", lambda seen=seen: seen)
            assert (flash(bundle, "--via", "pyocd")["banner"] is not None) is heard
        monkeypatch.setattr(ports, "list_ports", lambda: [ours])
        with opened_port(parse_port(uart.port)):
            assert flash(bundle, "--via", "pyocd")["banner"] is None


@pytest.mark.usefixtures("plugged")
def test_a_board_that_stays_silent_is_told(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banner, "BANNER_S", 0.2)
    with fake_uart() as uart, pytest.raises(ProbeTimeoutError, match="stays silent after its reset"):
        flash(bundle, "--via", "pyocd", "--serial", uart.port)


def test_of_several_probes_one_has_to_be_named(bundle: Path, plugged: dict[str, FakeChip]) -> None:
    plugged["0671AA00"] = FakeChip(idcode=STM32F429)
    with pytest.raises(DeviceNotFoundError, match=r"(?s)2 debug probes are connected.*0671AA00.*0671FF38") as caught:
        flash(bundle, "--via", "pyocd")
    assert caught.value.hint == "--debug-probe 0671AA00"
    with pytest.raises(DeviceNotFoundError, match=r"(?s)no debug probe has the identification 99.*0671AA00.*0671FF38"):
        flash(bundle, "--via", "pyocd", "--debug-probe", "99")
    assert flash(bundle, "--via", "pyocd", "--debug-probe", "0671A")["debug_probe"] == "0671AA00"
    assert plugged["0671FF38"].flash[:64] == BLANK


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (FakeChip(idcode=STM32F405), "its identification is 0x413, and STM32F42x/43x has 0x419"),
        (FakeChip(cpuid=CORTEX_M7), "its core is cortex-m7, and the image is for cortex-m4"),
        (FakeChip(cpuid=0x411FABC1), "a core of part number 0xabc"),
    ],
    ids=["chip", "core", "unknown"],
)
def test_another_board_is_refused(wrong: FakeChip, message: str, bundle: Path, plugged: dict[str, FakeChip]) -> None:
    plugged["0671FF38"] = wrong
    with pytest.raises(UnfitDeviceError, match=message):
        flash(bundle, "--via", "pyocd")
    assert wrong.flash[:64] == BLANK


def test_flash_that_does_not_hold_is_told(bundle: Path, plugged: dict[str, FakeChip]) -> None:
    plugged["0671FF38"].worn = FLASH + 0x200
    with pytest.raises(VerifyError, match=r"1 of .* at 0x08000200 there is 0xff instead of"):
        flash(bundle, "--via", "pyocd")


def test_a_probe_that_goes_away_is_told(
    bundle: Path, plugged: dict[str, FakeChip], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyocd.core.exceptions import ProbeDisconnected

    def gone(chip: FakeChip, sector: int) -> None:
        raise ProbeDisconnected("no such device")

    monkeypatch.setattr(FakeChip, "erase", gone)
    with pytest.raises(ConnectionLostError, match="the debug probe went away while writing"):
        flash(bundle, "--via", "pyocd")


@pytest.mark.usefixtures("plugged")
def test_a_chip_that_pyocd_does_not_know_is_told(bundle: Path, tmp_path: Path) -> None:
    def named(name: str | None) -> Path:
        return variant(bundle, tmp_path / str(name), lambda one: one["target"]["firmware"].update(pyocd=name))

    with pytest.raises(MissingToolError, match="pyOCD does not know the chip stm32x999") as caught:
        flash(named("stm32x999"), "--via", "pyocd")
    assert "pyocd pack install stm32x999" in (caught.value.hint or "")
    with pytest.raises(UnsupportedError, match=r"lacks firmware\.pyocd"):
        flash(named(None), "--via", "pyocd")


def test_without_a_probe_what_was_seen_is_said(bundle: Path) -> None:
    from pyocd.core.helpers import ConnectHelper

    if ConnectHelper.get_all_connected_probes(blocking=False):
        pytest.skip("a debug probe is connected to this machine")
    with pytest.raises(DeviceNotFoundError, match=r"(?s)no debug probe answers for My board.*pyocd: lists none"):
        flash(bundle, "--via", "pyocd")


def test_a_probe_that_this_user_may_not_open_comes_with_the_rule(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(monkeypatch, tmp_path, ("0483:374b", "066DFF", False))
    for way in ("pyocd", "openocd"):
        with pytest.raises(Exception, match=r"serial number 066DFF\) is connected, and this user may not") as caught:
            flash(bundle, "--via", way)
        hint: Any = getattr(caught.value, "hint", "")
        assert 'SUBSYSTEM=="usb", ATTR{idVendor}=="0483", ATTR{idProduct}=="374b", TAG+="uaccess"' in hint
        assert udev.RULES in hint


def test_a_missing_package_is_named_with_its_extra(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyocd", None)
    with pytest.raises(MissingExtraError, match="--via pyocd needs the package pyocd") as caught:
        flash(bundle, "--via", "pyocd")
    assert "edgeslm[flash]" in (caught.value.hint or "")
