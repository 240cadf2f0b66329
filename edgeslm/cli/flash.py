"""`edgeslm flash`: a firmware bundle into a board's flash, and proof that it runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import announce_stage, note, print_json, print_table, warn

if TYPE_CHECKING:
    from edgeslm.flash.run import Flashed, OpenLine

WAYS = ("pyocd", "openocd", "uf2", "qemu")


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--via", type=click.Choice(WAYS), help="How to get into flash. Default: the target's flasher.")
@click.option("--debug-probe", metavar="ID", help="pyocd, openocd: the debug probe's serial number, or its beginning.")
@click.option(
    "--volume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="uf2: where the board's drive is mounted. Default: looked for.",
)
@click.option(
    "--serial",
    metavar="PORT",
    help="The board's UART, to hear the image start: /dev/ttyACM0[:BAUD]. Default: the only port with its USB id.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def flash(
    bundle: Path,
    via: str | None,
    debug_probe: str | None,
    volume: Path | None,
    serial: str | None,
    as_json: bool,
) -> None:
    """Write BUNDLE's firmware into its board, read it back, and wait until it says its digest.

    --via qemu does it with an emulated board, which forgets when the command ends. Exit status 6 where a board failed.
    """
    from edgeslm.flash.image import read_image
    from edgeslm.flash.run import WAYS as KNOWN
    from edgeslm.flash.run import flash as flash_image

    image = read_image(bundle)
    way = next(one for one in KNOWN if one == (via or image.facts.flasher))
    note(f"  image {image.told} of {image.name}, {len(image.content):,} bytes, for {image.target.title}")
    try:
        flashed = flash_image(
            bundle,
            image,
            way,
            _announce,
            debug_probe=debug_probe,
            volume=volume,
            open_line=None if way == "qemu" and serial is None else _opener(serial, image.facts.usb),
        )
    except KeyboardInterrupt:
        left = "nothing is left of the emulated board" if way == "qemu" else "the board may hold half an image"
        raise KeyboardInterrupt(f"{left}: the same command begins anew") from None
    if as_json:
        print_json(flashed)
    else:
        _print(flashed)


def _announce(title: str) -> contextlib.AbstractContextManager[None]:
    return announce_stage(title, False)


def _print(flashed: Flashed) -> None:
    checked = "every byte read back and right" if flashed.read_back else "cannot be read back through this bootloader"
    print_table(
        None,
        [
            ["board", flashed.device + (f", probe {flashed.debug_probe}" if flashed.debug_probe else "")],
            ["written", f"{flashed.bytes:,} bytes from {flashed.address:#010x}; {checked}"],
            ["image", flashed.image_digest],
            ["banner", flashed.banner or "not waited for: --serial PORT listens to the board's UART"],
        ],
    )
    if flashed.emulated:
        note("\nthe emulated board is gone, and what it held: edgeslm run --via qemu runs the bundle on a new one")
    elif not flashed.read_back and flashed.banner is None:
        warn("nothing proves yet that the image runs: --serial PORT hears its digest")


def _opener(asked: str | None, usb: tuple[str, ...]) -> OpenLine | None:
    """The port that was asked for; without one, the only port of the target's USB ids, if it can be opened."""
    from edgeslm.errors import DeviceError
    from edgeslm.firmware.ports import list_ports
    from edgeslm.firmware.serial_line import opened_port, parse_port

    if asked is not None:
        parsed = parse_port(asked)
        return lambda: opened_port(parsed, usb)
    likely = [port for port in list_ports() if port.usb in usb]
    if len(likely) != 1:
        return None
    found = parse_port(likely[0].path)
    try:
        with opened_port(found, usb):
            note(f"  the board's UART is {likely[0]}")
    except DeviceError as error:  # nobody asked for it: the board can be flashed without
        warn(f"{error.message}: the image will not be heard")
        return None
    return lambda: opened_port(found, usb)
