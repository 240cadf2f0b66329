"""A serial port as a Line of firmware/board.py, and everything that can be wrong with one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import stat
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.errors import ConfigError, ConnectionLostError, DeviceError, DeviceNotFoundError, ProbeTimeoutError
from edgeslm.firmware.ports import list_ports, shown_ports

if TYPE_CHECKING:
    from serial import Serial

SERIAL = "serial:"
BAUD = 115200
"""What every board's firmware sets its UART to."""
MOST_BAUD = 12_000_000
LEAST_WAIT_S = 10.0
"""For room to write; slow lines get twice the time that the bytes take."""
BITS = 10
"""Of a byte on the line."""
PIECE = 65536
_PORT = re.compile(r"(?P<path>.+?)(?::(?P<baud>\d+))?", re.DOTALL)


@dataclass(frozen=True)
class Port:
    path: Path
    baud: int = BAUD


def parse_port(via: str) -> Port:
    """serial:PORT[:BAUD]; a PORT may have colons in it, as those of /dev/serial/by-path. Raises ConfigError."""
    found = _PORT.fullmatch(via.removeprefix(SERIAL))
    if found is None:
        raise ConfigError(f"--via {via} names no port", f"--via serial:/dev/ttyACM0; {shown_ports(list_ports())}")
    whole = Path(via.removeprefix(SERIAL))
    if found["baud"] is None or whole.exists():
        return Port(whole)
    return Port(Path(found["path"]), require_baud(int(found["baud"])))


def require_baud(baud: int) -> int:
    """Raises ConfigError for what is no speed of a serial line."""
    if not 1 <= baud <= MOST_BAUD:
        raise ConfigError(f"{baud} is no baud rate", f"boards speak {BAUD} unless their firmware was changed")
    return baud


class SerialLine:
    """See Line."""

    def __init__(self, serial: Serial, port: Port) -> None:
        self._serial = serial
        self._port = port

    def fileno(self) -> int:
        """To wait for it beside other things."""
        return int(self._serial.fileno())

    def write(self, content: bytes) -> None:
        """See Line. Raises ProbeTimeoutError where nobody takes the bytes."""
        ends = time.monotonic() + LEAST_WAIT_S + 2 * BITS * len(content) / self._port.baud
        while content:
            try:
                _, ready, _ = select.select([], [self.fileno()], [], max(0.0, ends - time.monotonic()))
                content = content[os.write(self.fileno(), content) if ready else 0 :]
            except BlockingIOError:  # the room is less than it seemed
                continue
            except OSError:
                raise self._gone() from None
            if not ready:
                raise ProbeTimeoutError(
                    f"{self._port.path} takes no more bytes: nobody reads them",
                    "is the board on, and its cable whole?",
                )

    def read(self, timeout_s: float) -> bytes:
        """See Line."""
        try:
            ready, _, _ = select.select([self.fileno()], [], [], max(0.0, timeout_s))
            content = os.read(self.fileno(), PIECE) if ready else None
        except BlockingIOError:
            return b""
        except OSError:  # of a pseudo terminal or an adapter that is gone
            raise self._gone() from None
        if content == b"":  # ready, and nothing there: the end
            raise self._gone()
        return content or b""

    def _gone(self) -> ConnectionLostError:
        return ConnectionLostError(
            f"{self._port.path} was unplugged in the middle of something",
            "its cable, its adapter; it may come back by another name: ls /dev/serial/by-id",
        )


@contextlib.contextmanager
def opened_port(port: Port, usb: Sequence[str] = ()) -> Iterator[SerialLine]:
    """The port, for this program alone; `usb`: ids that the target's own port has, for the line that lets users in.

    Raises DeviceNotFoundError where there is no such port, or it lets nobody in, DeviceError where another program has
    it, or the system does not set it.
    """
    from serial import Serial, SerialException

    if not stat.S_ISCHR(_mode(port)):
        raise _explain(port, errno.ENOTTY, usb)
    try:
        serial = Serial(str(port.path), port.baud, exclusive=True)
    except (SerialException, termios.error, ValueError) as error:
        raise _explain(port, _number(error), usb, str(error)) from None
    with contextlib.closing(serial):
        yield SerialLine(serial, port)


def _mode(port: Port) -> int:
    try:
        return port.path.stat().st_mode
    except OSError as error:
        raise _explain(port, error.errno, ()) from None


def _number(error: BaseException | None) -> int | None:
    """The errno of what pyserial raised, or of what made it do so."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else error.args[0] if error.args else None
        if isinstance(number, int):
            return number
        error = error.__context__
    return None


def _explain(port: Port, number: int | None, usb: Sequence[str], said: str = "") -> DeviceError:
    """What an errno of opening a port means for whoever wants to use it."""
    path = port.path
    if number in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return DeviceNotFoundError(f"there is no port {path}", shown_ports(list_ports()))
    if number in {errno.EACCES, errno.EPERM}:
        return DeviceNotFoundError(f"{path} lets this user not in: permission denied", _permission(path, usb))
    if number in {errno.EAGAIN, errno.EBUSY}:
        who = _users(path)
        return DeviceError(
            f"{path} is in use{f' by {who}' if who else ''}", "one program at a time: end the other one first"
        )
    if number in {errno.ENOTTY, errno.EISDIR, errno.EINVAL}:
        return DeviceNotFoundError(f"{path} is no serial port", shown_ports(list_ports()))
    return DeviceError(f"{path} cannot be opened as a serial port: {said}", shown_ports(list_ports()))


def _permission(path: Path, usb: Sequence[str]) -> str:
    """The udev line for the target's own adapter, and the way without one."""
    known = list(usb) or [one.usb for one in list_ports() if one.path == str(path) and one.usb]
    lines = [
        f'SUBSYSTEM=="tty", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", TAG+="uaccess"'
        for vendor, _, product in (one.partition(":") for one in known)
    ]
    group = "or join the port's group: sudo usermod -aG dialout $USER, and log in again"
    if not lines:
        return group.removeprefix("or ")
    where = "into /etc/udev/rules.d/70-edgeslm.rules, then sudo udevadm control --reload && sudo udevadm trigger:"
    return "\n".join([where, *lines, group])


def _users(path: Path) -> str:
    """Programs that have the port open, as far as this user may see: "picocom (1234)"."""
    wanted, found = path.resolve(), []
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if any(os.readlink(link) == str(wanted) for link in (folder / "fd").iterdir()):
                found.append(f"{(folder / 'comm').read_text().strip()} ({folder.name})")
    return ", ".join(found)
