"""A FAKE UART: a pseudo terminal whose other end a fake board writes to. The serial port's code is the real one."""

from __future__ import annotations

import contextlib
import os
import tty
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class FakeUart:
    port: str
    _board: int

    def say(self, content: bytes) -> None:
        os.write(self._board, content)


@contextlib.contextmanager
def fake_uart() -> Iterator[FakeUart]:
    board, host = os.openpty()
    try:
        tty.setraw(host)
        yield FakeUart(os.ttyname(host), board)
    finally:
        os.close(board)
        os.close(host)
