"""A power meter that speaks lines: an INA219 on a microcontroller, a USB meter behind a small program.

Edgeslm's line protocol, version 1. ASCII, a line ends in LF or CR LF and has at most 80 bytes; the meter only speaks:

    # anything                a remark
    W 3.271                   watts now
    VA 5.08 0.644             volts and amperes now

Twenty lines a second are good, five are needed. Lines of another form are passed over. A meter is named as
/dev/ttyUSB0 (a serial port: 115200 baud, 8N1; /dev/ttyUSB0@9600 for another speed) or tcp://HOST:PORT.
"""

from __future__ import annotations

import contextlib
import os
import socket
import termios
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from ..errors import NoEnergyError

MAX_LINE = 80
STALE_S = 1.0
"""A reading older than this is none."""
FIRST_S = 3.0
CHUNK = 4096


class Meter:
    """Reads in a thread of its own; `watts` is the latest reading. Raises NoEnergyError where nothing answers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._latest: tuple[float, float] | None = None
        self._passed_over = 0
        try:
            read = _open(name)
        except (OSError, ValueError, termios.error) as error:
            raise NoEnergyError(f"the meter {name} cannot be opened: {error}") from None
        threading.Thread(target=self._listen, args=(read,), name="meter", daemon=True).start()
        until = time.monotonic() + FIRST_S
        while self._latest is None:
            if time.monotonic() > until:
                raise NoEnergyError(
                    f"the meter {name} said nothing of power in {FIRST_S:.0f} s"
                    + (f" ({self._passed_over} lines of another form)" if self._passed_over else "")
                )
            time.sleep(0.02)

    def watts(self) -> float:
        """The latest reading. Raises NoEnergyError where it is older than STALE_S."""
        when, value = self._latest or (0.0, 0.0)
        if time.monotonic() - when > STALE_S:
            raise NoEnergyError(f"no line for {STALE_S:g} s")
        return value

    def _listen(self, read: Callable[[], bytes]) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while chunk := read():
                *lines, rest = (rest + chunk).split(b"\n")
                rest = rest[-MAX_LINE - 1 :]  # a meter that never ends its line does not fill the memory
                for line in lines:
                    watts = parse_line(line)
                    if watts is not None:
                        self._latest = time.monotonic(), watts
                    elif line.strip() and not line.startswith(b"#"):
                        self._passed_over += 1


def parse_line(line: bytes) -> float | None:
    """Watts in one line, or None for a remark and for a line of another form."""
    if len(line) > MAX_LINE:
        return None
    try:
        word, *values = line.decode("ascii").split()
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    watts = None
    if word == "W" and len(numbers) == 1:
        watts = numbers[0]
    elif word == "VA" and len(numbers) == 2:
        watts = numbers[0] * numbers[1]
    # A meter wired the other way round counts below zero; nothing here takes a kilowatt.
    return watts if watts is not None and -1000 < watts < 1000 else None


def _open(name: str) -> Callable[[], bytes]:
    if name.startswith("tcp://"):
        address = urlsplit(name)
        if not address.hostname or not address.port:
            raise ValueError("it is no tcp://HOST:PORT")
        connection = socket.create_connection((address.hostname, address.port), timeout=FIRST_S)
        connection.settimeout(None)
        return lambda: connection.recv(CHUNK)
    path, _, speed = name.partition("@")
    port = os.open(path, os.O_RDONLY | os.O_NOCTTY)
    if os.isatty(port):
        _set_raw(port, int(speed or 115200))
    return lambda: os.read(port, CHUNK)


def _set_raw(port: int, baud: int) -> None:
    constant = getattr(termios, f"B{baud}", None)
    if constant is None:
        raise ValueError(f"this system has no serial speed of {baud} baud")
    control = list(termios.tcgetattr(port)[6])
    control[termios.VMIN], control[termios.VTIME] = 1, 0
    modes = termios.CS8 | termios.CREAD | termios.CLOCAL
    termios.tcsetattr(port, termios.TCSANOW, [termios.IGNBRK, 0, modes, 0, constant, constant, control])
