"""A terminal that hands over every key as it is pressed, and is what it was afterwards, however the command ends."""

from __future__ import annotations

import contextlib
import signal
import termios
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def raw_keys(terminal: int) -> Iterator[None]:
    """Keys come one by one, unechoed, Ctrl-C and Ctrl-Z among them; what is written goes to the screen as it is.

    A signal that asks the program to end does so by SystemExit, as a shell counts it: whatever holds something lets go.
    """
    before = termios.tcgetattr(terminal)
    raw = termios.tcgetattr(terminal)
    raw[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON)
    raw[1] &= ~termios.OPOST
    raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    handlers = {number: signal.signal(number, _end) for number in ENDING}
    try:
        termios.tcsetattr(terminal, termios.TCSADRAIN, raw)
        yield
    finally:
        with contextlib.suppress(termios.error):  # it was hung up
            termios.tcsetattr(terminal, termios.TCSANOW, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
