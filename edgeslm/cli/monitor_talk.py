"""The two ways to talk to a board as a person does: key by key at a terminal, or line by line from a pipe."""

from __future__ import annotations

import os
import select
import time
from typing import IO, Protocol

import click

from edgeslm.cli.raw_terminal import raw_keys
from edgeslm.errors import ConfigError, ProbeTimeoutError
from edgeslm.firmware.board import INTERRUPT, START_S, Line
from edgeslm.firmware.screen import Screen
from edgeslm.firmware.wire import MOST_REQUEST

CTRL_C, CTRL_BRACKET = 0x03, 0x1D
TWICE_S = 1.0
"""Between the two Ctrl-C that end."""
SETTLE_S = 0.5
"""Bytes that may become a frame are shown after so long: they did not."""
PROMPT = b"\r\n> "
"""The board asks for a line."""
QUIET_S = 0.3
"""Nothing comes behind a prompt: one that an answer has in its text goes on."""
SILENCE_S = 60.0
"""Between two pieces of an answer."""


class TalkingLine(Line, Protocol):
    def fileno(self) -> int:
        """To wait for it beside the keyboard."""


def talk(line: TalkingLine, terminal: int, screen: Screen) -> None:
    """Until Ctrl-], Ctrl-C twice, or the terminal's end. Raises ConnectionLostError where the board is gone."""
    before = float("-inf")
    with raw_keys(terminal):
        while True:
            ready, _, _ = select.select([terminal, line.fileno()], [], [], SETTLE_S)
            if line.fileno() in ready:
                _show(screen.show(line.read(0.0)))
            if not ready:
                _show(screen.settle())
            if terminal not in ready:
                continue
            for key in _keys(terminal) or bytes([CTRL_BRACKET]):
                now = time.monotonic()
                if key == CTRL_BRACKET or (key == CTRL_C and now - before < TWICE_S):
                    return
                before = now if key == CTRL_C else float("-inf")
                line.write(bytes([key]))


def _keys(terminal: int) -> bytes:
    """Those pressed; b"" where nobody presses any more."""
    try:
        return os.read(terminal, 1024)
    except OSError:  # hung up
        return b""


def send_lines(line: Line, lines: IO[bytes], screen: Screen, name: str, *, starts: bool) -> None:
    """Each line when the board asks for one: it listens to nobody while it answers. `starts`: it is about to greet.

    Raises ProbeTimeoutError where it stays silent, ConfigError for a line that it has no room for.
    """
    if not starts:
        line.write(INTERRUPT)
    _await_prompt(line, screen, name, START_S)
    for number, content in enumerate(lines, 1):
        text = content.rstrip(b"\r\n")
        if len(text) > MOST_REQUEST:
            raise ConfigError(f"line {number} has {len(text):,} bytes; a board takes {MOST_REQUEST:,}", "shorter lines")
        line.write(text + b"\r")
        _await_prompt(line, screen, name, SILENCE_S)
    click.echo()


def _await_prompt(line: Line, screen: Screen, name: str, limit_s: float) -> None:
    said, ends = b"", time.monotonic() + limit_s
    while True:
        asked = said.endswith(PROMPT)
        content = line.read(QUIET_S if asked else ends - time.monotonic())
        if content:
            said = (said + content)[-len(PROMPT) :]
            _show(screen.show(content).replace("\r", ""))
            ends = time.monotonic() + limit_s
        elif asked:
            return
        elif time.monotonic() >= ends:
            raise ProbeTimeoutError(
                f"{name} stays silent: it did not ask for a line in {limit_s:.0f} s",
                "is it edgeslm's firmware, and the right baud rate (115200)? A reset begins anew",
            )


def _show(text: str) -> None:
    if text:
        click.echo(text, nl=False)
