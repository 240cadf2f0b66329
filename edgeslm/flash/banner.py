"""Wait for what an image says when it starts: its greeting ends with the digest that the image tells."""

from __future__ import annotations

import re
import time

from edgeslm.errors import DeviceError, ProbeTimeoutError
from edgeslm.firmware.board import Board, Line
from edgeslm.flash.image import FlashImage

BANNER = re.compile(rb"([^\r\n]*, ([0-9a-f]{16}))\r\n> ")
MOST = 512
"""Bytes that are kept of what a line says; more is the noise of another program."""
MOST_READS = 64
BANNER_S = 20.0
"""From reset to greeting: a board takes milliseconds, an emulated one on a busy machine some seconds."""


def drop_old_words(line: Line) -> None:
    """What came before the reset answers nothing."""
    for _ in range(MOST_READS):
        if not line.read(0.0):
            return


def await_banner(line: Line, image: FlashImage) -> str:
    """The greeting's text. A greeting that came damaged is made up for: the board is asked what it is.

    Raises DeviceError where another image speaks, ProbeTimeoutError where nobody does.
    """
    said, ends = b"", time.monotonic() + BANNER_S
    while (left := ends - time.monotonic()) > 0:
        said = (said + line.read(left))[-MOST:]
        found = BANNER.search(said)
        if found:
            _require_image(found[2].decode(), image)
            return found[1].decode(errors="replace")
        if said.endswith(b"\r\n> "):
            break
    if not said:
        raise ProbeTimeoutError(
            f"{image.target.name} stays silent after its reset: nothing came in {BANNER_S:.0f} s",
            "is its UART's TX on this line, at 115200 baud, with a common ground? docs/flashing.md names the pins",
        )
    hello = Board(line, image.target.name).hello
    _require_image(hello.image, image)
    return f"{hello.name}, {hello.image}"


def _require_image(told: str, image: FlashImage) -> None:
    if told != image.told:
        raise DeviceError(
            f"{image.target.name} runs image {told}, not {image.told} of this bundle",
            "it was not reset, starts from another place (its boot pins), or the line is another board's",
        )
