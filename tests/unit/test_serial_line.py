"""Serial ports: how one is named, found and opened, and what is wrong with it. Pseudo terminals stand for ports."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.errors import ConfigError, ConnectionLostError, DeviceError, DeviceNotFoundError, ProbeTimeoutError
from edgeslm.firmware import board as board_module
from edgeslm.firmware import ports as ports_module
from edgeslm.firmware import serial_line
from edgeslm.firmware.board import Board
from edgeslm.firmware.ports import SeenPort, choose_port, shown_ports
from edgeslm.firmware.serial_line import Port, opened_port, parse_port
from tests.firmware.bad_wire import FakeBoard, Faults, PtyPort, served

NUCLEO = SeenPort("/dev/ttyACM0", "STM32 STLink", "0483:374b")
OTHER = SeenPort("/dev/ttyUSB0", "CP2102", "10c4:ea60")
BUILT_IN = SeenPort("/dev/ttyS0", "", "")


@pytest.mark.parametrize(
    ("via", "path", "baud"),
    [
        ("serial:/dev/ttyACM0", "/dev/ttyACM0", 115200),
        ("serial:/dev/ttyACM0:9600", "/dev/ttyACM0", 9600),
        ("serial:/dev/serial/by-path/pci-0:14.0-usb-0:1:1.0", "/dev/serial/by-path/pci-0:14.0-usb-0:1:1.0", 115200),
        ("serial:/dev/serial/by-path/pci-0:14.0-usb-0:1:1.0:300", "/dev/serial/by-path/pci-0:14.0-usb-0:1:1.0", 300),
    ],
)
def test_a_port_is_named_with_its_speed(via: str, path: str, baud: int) -> None:
    assert parse_port(via) == Port(Path(path), baud)


def test_a_port_whose_name_ends_in_digits_is_that_port(tmp_path: Path) -> None:
    (tmp_path / "usb-0:1").touch()
    assert parse_port(f"serial:{tmp_path}/usb-0:1") == Port(tmp_path / "usb-0:1")
    assert parse_port(f"serial:{tmp_path}/usb-0:1:9600") == Port(tmp_path / "usb-0:1", 9600)


@pytest.mark.parametrize(("via", "message"), [("serial:", "names no port"), ("serial:/dev/x:0", "0 is no baud rate"),
                                              ("serial:/dev/x:99999999", "99999999 is no baud rate")])  # fmt: skip
def test_what_is_no_port_is_told(via: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_port(via)


@given(text=st.text(st.characters(exclude_characters="\0")))
def test_any_name_is_a_port_or_refused(text: str) -> None:
    """Never a crash, and nothing of the name is lost."""
    try:
        port = parse_port(f"serial:{text}")
    except ConfigError:
        return
    assert text in {str(port.path), f"{port.path}:{port.baud}"} or Path(text) == port.path or ":" in text


def test_the_one_board_is_found() -> None:
    assert choose_port([BUILT_IN, NUCLEO], ()) == NUCLEO
    assert choose_port([NUCLEO, OTHER, BUILT_IN], ("0483:374b", "0483:374e")) == NUCLEO
    with pytest.raises(ConfigError, match=re.escape("2 boards may be meant: /dev/ttyACM0 (STM32 STLink, 0483:374b), ")):
        choose_port([NUCLEO, OTHER], ())
    with pytest.raises(DeviceNotFoundError, match="no board is on a USB port") as caught:
        choose_port([BUILT_IN], ())
    assert caught.value.hint == "ports here: /dev/ttyS0"
    with pytest.raises(DeviceNotFoundError, match="no board with the USB id 2e8a:000a"):
        choose_port([NUCLEO], ("2e8a:000a",))
    assert "is the board plugged in" in shown_ports([])


def test_ports_are_what_pyserial_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    from serial.tools import list_ports
    from serial.tools.list_ports_common import ListPortInfo

    usb, built_in = ListPortInfo("/dev/ttyACM0"), ListPortInfo("/dev/ttyS0")
    usb.description, usb.vid, usb.pid = "STM32 STLink", 0x0483, 0x374B
    monkeypatch.setattr(list_ports, "comports", lambda: [built_in, usb])
    found = ports_module.list_ports()
    assert [(port.path, port.usb) for port in found] == [("/dev/ttyACM0", "0483:374b"), ("/dev/ttyS0", "")]
    assert found[0] == NUCLEO


@pytest.mark.parametrize(
    ("number", "kind", "message", "hint"),
    [
        (errno.ENOENT, DeviceNotFoundError, "there is no port /dev/ttyACM0", "ports here: /dev/ttyACM0"),
        (errno.EACCES, DeviceNotFoundError, "lets this user not in", 'ATTRS{idVendor}=="0483", ATTRS{idProduct}=='),
        (errno.EAGAIN, DeviceError, "/dev/ttyACM0 is in use", "one program at a time"),
        (errno.EBUSY, DeviceError, "/dev/ttyACM0 is in use", "one program at a time"),
        (errno.ENOTTY, DeviceNotFoundError, "is no serial port", "ports here"),
        (errno.EIO, DeviceError, "cannot be opened as a serial port: .*why", "ports here"),
        (None, DeviceError, "cannot be opened as a serial port: why", "ports here"),
    ],
)
def test_what_the_system_says_is_a_sentence(
    number: int | None, kind: type[DeviceError], message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pyserial hands it on: root is let in everywhere, so that permissions cannot be tried here."""
    import serial

    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException(number, "why") if number else serial.SerialException("why")

    monkeypatch.setattr(serial_line, "list_ports", lambda: [NUCLEO])
    monkeypatch.setattr(serial_line, "_mode", lambda port: 0o020666)
    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(kind, match=message) as caught, opened_port(Port(Path("/dev/ttyACM0"))):
        pass
    assert hint in (caught.value.hint or "")


def test_the_line_for_udev_is_of_the_targets_own_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_line, "list_ports", lambda: [NUCLEO])
    hint = serial_line._permission(Path("/dev/ttyACM0"), ("2e8a:000a", "2e8a:0009"))
    assert 'SUBSYSTEM=="tty", ATTRS{idVendor}=="2e8a", ATTRS{idProduct}=="000a", TAG+="uaccess"\n' in hint
    assert '=="0009"' in hint
    assert "0483" not in hint
    assert hint.endswith("sudo usermod -aG dialout $USER, and log in again")
    monkeypatch.setattr(serial_line, "list_ports", list)
    assert serial_line._permission(Path("/dev/ttyS0"), ()).startswith("join the port's group")


@pytest.mark.parametrize("make", [lambda path: path.write_text("x"), lambda path: path.mkdir(), os.mkfifo])
def test_a_file_is_no_port(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "port")
    with pytest.raises(DeviceNotFoundError, match="is no serial port"), opened_port(Port(tmp_path / "port")):
        pass
    with pytest.raises(DeviceNotFoundError, match="is no serial port"), opened_port(Port(Path("/dev/null"))):
        pass
    with pytest.raises(DeviceNotFoundError, match="there is no port"), opened_port(Port(tmp_path / "nowhere")):
        pass


def test_the_second_program_is_told_who_has_the_port() -> None:
    port = PtyPort()
    with opened_port(Port(Path(port.path))):
        os.set_blocking(port.end, False)
        first = os.open(port.path, os.O_RDWR | os.O_NOCTTY)  # who only opens it, and takes no lock, is not noticed
        os.close(first)
        with pytest.raises(DeviceError, match="is in use"), opened_port(Port(Path(port.path))):
            pass
    with opened_port(Port(Path(port.path))) as line:  # it was let go
        line.write(b"x")
        assert port.hear() == b"x"
    port.unplug()


def test_bytes_go_as_they_are_and_an_unplugged_port_is_told() -> None:
    port = PtyPort()
    every = bytes(range(256))
    with opened_port(Port(Path(port.path))) as line:
        assert line.read(0.0) == b""
        line.write(every)
        assert port.hear() == every
        port.say(every)
        assert line.read(10.0) == every
        port.unplug()
        with pytest.raises(ConnectionLostError, match="was unplugged"):
            line.read(10.0)
        with pytest.raises(ConnectionLostError, match="was unplugged"):
            line.write(b"x")


def test_a_port_that_takes_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_line, "LEAST_WAIT_S", 0.01)
    port = PtyPort()
    with (
        opened_port(Port(Path(port.path), 4_000_000)) as line,
        pytest.raises(ProbeTimeoutError, match="takes no more bytes"),
    ):
        line.write(bytes(1 << 18))
    port.unplug()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "PATIENCE_S", (0.05, 0.05, 0.1))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("heard", "message"),
    [
        (b"", "nothing came"),
        (b"login: ", "7 bytes came, and no whole frame"),
        (bytes([0xFD, 1, 2, 255, 255]) * 3, "3 damaged frames came"),  # as at another baud rate
    ],
)
def test_a_silent_port_and_one_of_noise_are_told(heard: bytes, message: str) -> None:
    left = [heard]
    with (
        served(lambda asked: left.pop() if left else b"") as port,
        opened_port(Port(Path(port.path))) as line,
        pytest.raises(ProbeTimeoutError, match=f"stays silent: asked 3 times, {message}") as caught,
    ):
        Board(line, "the board")
    assert "the right baud rate (115200)" in (caught.value.hint or "")


@pytest.mark.usefixtures("impatient")
def test_garbage_before_the_first_answer_is_passed_over() -> None:
    fake, noise = FakeBoard(), Faults(5, 0.9)
    with served(fake.take) as port, opened_port(Port(Path(port.path))) as line:
        port.say(noise(bytes(range(256))) + b"\r\nstub, fp32\r\n> ")
        assert Board(line, "the board").hello.name == "stub"
