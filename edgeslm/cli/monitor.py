"""`edgeslm monitor`: a small terminal for the board."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import note

if TYPE_CHECKING:
    from edgeslm.bundle.manifest import Manifest
    from edgeslm.cli.monitor_talk import TalkingLine


@click.command()
@click.argument("places", nargs=-1, metavar="[PORT] [BUNDLE]")
@click.option("--via", type=click.Choice(["serial", "qemu"]), default="serial", show_default=True,
              help="serial (a port), or qemu (the emulated board of BUNDLE).")  # fmt: skip
@click.option("--baud", type=int, default=115200, show_default=True, metavar="N", help="The port's speed.")
def monitor(places: tuple[str, ...], via: str, baud: int) -> None:
    """Talk to a board at a terminal: keys go to it, its text comes to the screen. Ctrl-] ends, or Ctrl-C twice; a
    single one ends the board's answer.

    PORT is found where a single board is on USB. With BUNDLE the board has to run it. Without a terminal, each line of
    stdin is sent when the board asks for one: echo text | edgeslm monitor
    """
    from edgeslm.cli.monitor_talk import send_lines, talk
    from edgeslm.errors import ConfigError
    from edgeslm.firmware.screen import Screen

    port, bundle = _places(places)
    manifest = _manifest(bundle) if bundle is not None else None
    if via == "qemu" and (manifest is None or port is not None):
        raise ConfigError("--via qemu takes a bundle, and no port", "edgeslm monitor --via qemu BUNDLE")
    stdin = sys.stdin
    if stdin is None or stdin.closed:
        raise ConfigError("there is nobody to talk to: stdin is closed", "echo text | edgeslm monitor")
    with _opened(port, bundle, manifest, baud) if via == "serial" else _emulated(bundle, manifest) as (line, name):
        screen = Screen("the board")
        try:
            if stdin.isatty():
                note(f"{name}: Ctrl-] ends")
                talk(line, stdin.fileno(), screen)
                note("")
            else:
                send_lines(line, stdin.buffer, screen, name, starts=via == "qemu")
        except KeyboardInterrupt:
            raise KeyboardInterrupt("a board at a port goes on: Ctrl-C in its terminal ends its answer") from None


def _places(places: tuple[str, ...]) -> tuple[str | None, Path | None]:
    """A port and a bundle, each if it is given. Raises ConfigError for more of one kind."""
    from edgeslm.errors import ConfigError

    bundles = [place for place in places if Path(place).is_dir() or place.endswith(".edgeslm")]
    ports = [place for place in places if place not in bundles]
    if len(bundles) > 1 or len(ports) > 1:
        raise ConfigError("monitor talks to one board", "edgeslm monitor [PORT] [BUNDLE]")
    return (ports[0] if ports else None), (Path(bundles[0]) if bundles else None)


def _manifest(bundle: Path) -> Manifest:
    from edgeslm.bundle.inspect import inspect_bundle
    from edgeslm.errors import UnsupportedError

    manifest = inspect_bundle(bundle).manifest
    if manifest.firmware is None:
        raise UnsupportedError(f"this bundle was built for {manifest.target.title}: it has no board to talk to")
    return manifest


@contextlib.contextmanager
def _opened(
    given: str | None, bundle: Path | None, manifest: Manifest | None, baud: int
) -> Iterator[tuple[TalkingLine, str]]:
    """The port's line; with a bundle, its board has said that it runs it."""
    from edgeslm.firmware.board import INTERRUPT, Board
    from edgeslm.firmware.open_board import require_bundles_board, usb_of
    from edgeslm.firmware.ports import choose_port, list_ports
    from edgeslm.firmware.serial_line import Port, opened_port, require_baud

    usb = usb_of(manifest) if manifest is not None else ()
    path = given.removeprefix("serial:") if given else choose_port(list_ports(), usb).path
    port = Port(Path(path), require_baud(baud))
    with opened_port(port, usb) as line:
        if manifest is not None:
            name = f"the board on {path}"
            line.write(INTERRUPT)
            require_bundles_board(Board(line, name).hello, manifest, name)
        yield line, f"{path} at {baud} baud"


@contextlib.contextmanager
def _emulated(bundle: Path | None, manifest: Manifest | None) -> Iterator[tuple[TalkingLine, str]]:
    from edgeslm.firmware.open_board import emulated_line

    assert bundle is not None  # what is not there was refused
    assert manifest is not None
    with emulated_line(bundle, manifest) as line:
        yield line, f"the emulated {manifest.target.name}"
