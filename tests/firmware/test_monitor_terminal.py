"""`edgeslm monitor` at a terminal, key by key. Terminal and port are pseudo terminals, their other ends the test's."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeslm.firmware.wire import Frame, request
from tests.firmware.bad_wire import PtyPort

ROOT = Path(__file__).resolve().parents[2]
LOCAL = 3
"""Of what termios tells: the flags for echo, lines and signals."""


class Typist:
    """A person at a terminal whose settings are looked at before and after."""

    def __init__(self, *arguments: str) -> None:
        self._keyboard, self._terminal = os.openpty()
        self.before = termios.tcgetattr(self._terminal)
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgeslm", "monitor", *arguments],
            stdin=self._terminal,
            stdout=self._terminal,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )

    def press(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def see_until(self, wanted: bytes) -> bytes:
        """What came to the screen, up to this."""
        seen = b""
        while wanted not in seen:
            ready, _, _ = select.select([self._keyboard], [], [], 60)
            assert ready, f"{wanted!r} never came to the screen; {seen!r} did"
            seen += os.read(self._keyboard, 65536)
        return seen

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._terminal)

    def end(self) -> tuple[int, str]:
        """Exit status and what was said on stderr."""
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said.decode()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._keyboard)
        os.close(self._terminal)


@pytest.fixture
def port() -> Iterator[PtyPort]:
    made = PtyPort()
    yield made
    made.unplug()


@pytest.fixture
def typist(port: PtyPort) -> Iterator[Typist]:
    """With a monitor that has shown what the board said, so that the terminal is raw by now."""
    made = Typist(port.path)
    made.press(b"?")  # before anything is set: it comes all the same
    port.hear_until(b"?")
    port.say(b"stub, fp32\r\n> ")
    made.see_until(b"> ")
    yield made
    made.close()


def test_keys_go_to_the_board_and_its_text_to_the_screen(port: PtyPort, typist: Typist) -> None:
    assert not int(typist.settings()[LOCAL]) & (termios.ECHO | termios.ICANON | termios.ISIG)  # type: ignore[call-overload]
    typist.press("né\r\x1a".encode())
    assert port.hear_until(b"\x1a") == "né\r\x1a".encode()  # not even Ctrl-Z is the terminal's
    typist.press(b"\x03")  # ends the board's answer, and nothing here
    assert port.hear_until(b"\x03") == b"\x03"
    fault = request("e", 19, 0x8200, 0x8000123)
    port.say(b"one" + Frame("t", b"\0" * 8 + b"hidden", 3).encode() + b" two\x1b[2J\xc3")
    port.say(b"\xa9" + fault.encode() + b"end")
    seen = typist.see_until(b"end").decode()
    assert seen.startswith("one two\ufffd[2Jé\r\n[")
    assert "[the board faulted at 0x08000123 (fault status 0x8200)]\r\nend" in seen
    assert "hidden" not in seen
    port.say(b"\xfdt is no frame")
    assert typist.see_until(b"no frame").decode() == "\ufffdt is no frame"
    typist.press(b"\x1d")
    status, said = typist.end()
    assert (status, "Ctrl-] ends" in said) == (0, True)
    assert typist.settings() == typist.before


@pytest.mark.parametrize(
    ("ending", "status"), [("ctrl-c twice", 0), ("SIGTERM", 143), ("SIGINT", 130), ("unplugged", 6), ("hung up", 0)]
)
def test_the_terminal_is_what_it_was_however_it_ends(ending: str, status: int, port: PtyPort, typist: Typist) -> None:
    if ending == "ctrl-c twice":
        typist.press(b"\x03\x03")
    elif ending == "unplugged":
        port.unplug()
    elif ending == "hung up":
        typist.press(b"x")
        port.hear_until(b"x")
        typist.process.send_signal(signal.SIGHUP)
        status = 129
    else:
        typist.process.send_signal(signal.Signals[ending])
    found, said = typist.end()
    assert found == status, said
    assert typist.settings() == typist.before
    assert "Traceback" not in said
    assert ("was unplugged in the middle" in said) == (ending == "unplugged")


def test_a_second_monitor_is_told_who_has_the_port(port: PtyPort, typist: Typist) -> None:
    other = Typist(port.path)
    status, said = other.end()
    assert (status, f"({typist.process.pid})" in said and "is in use by " in said) == (6, True), said
    assert other.settings() == other.before
    other.close()
