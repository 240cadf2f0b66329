"""The story of flashing: connect, write, read back, reset, wait for the banner."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edgeslm.errors import ConfigError, VerifyError
from edgeslm.firmware.board import Line
from edgeslm.flash.banner import await_banner, drop_old_words
from edgeslm.flash.image import FlashImage
from edgeslm.flash.way import Asked, Connected

Way = Literal["pyocd", "openocd", "uf2", "qemu"]
WAYS: tuple[Way, ...] = ("pyocd", "openocd", "uf2", "qemu")
Announce = Callable[[str], AbstractContextManager[None]]
OpenLine = Callable[[], AbstractContextManager[Line]]


class Flashed(BaseModel):
    """`edgeslm flash --json`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str
    name: str
    bundle_digest: str
    image_digest: str
    target: str
    via: Way
    device: str  # what was found, in words
    debug_probe: str | None
    address: int
    bytes: int
    read_back: bool  # whether every byte was read back and was right
    banner: str | None  # what the image said when it started; None where no line was there to hear it
    emulated: bool


def flash(
    bundle: Path,
    image: FlashImage,
    via: Way,
    announce: Announce,
    *,
    debug_probe: str | None = None,
    volume: Path | None = None,
    open_line: OpenLine | None = None,
) -> Flashed:
    """Flash `image` of `bundle`. `open_line`: the board's UART, where the way itself does not bring it.

    Raises DeviceNotFoundError, UnfitDeviceError, VerifyError, DeviceError, ProbeTimeoutError, and what the way's tools
    raise. Whatever was started is gone afterwards.
    """
    if volume is not None and via != "uf2":
        raise ConfigError(f"--volume is a board's drive; --via {via} has none", "--via uf2")
    if debug_probe is not None and via in ("uf2", "qemu"):
        raise ConfigError(f"--via {via} needs no debug probe", "leave out --debug-probe")
    if open_line is not None and via == "qemu":
        raise ConfigError("--via qemu brings the emulated board's UART itself", "leave out --serial")
    connect = _connect_of(via)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="edgeslm-flash-")))
        line = opened.enter_context(open_line()) if open_line else None
        with announce("find the board"):
            board = opened.enter_context(connect(image, Asked(folder, debug_probe, volume)))
        line = board.line or line
        with announce(f"write {len(image.content):,} bytes"):
            if line is not None:
                drop_old_words(line)
            board.write()
        with announce("read back"):
            found = board.read_back()
            if found is not None:
                require_same(image, found)
        banner = None
        with announce("reset"):
            if line is not None and found is not None:  # else the image has begun by itself, and may speak already
                drop_old_words(line)
            board.reset()
        if line is not None:
            with announce("wait for its banner"):
                banner = await_banner(line, image)
        return Flashed(
            bundle=str(bundle),
            name=image.name,
            bundle_digest=image.bundle_digest,
            image_digest=image.digest,
            target=image.target.name,
            via=via,
            device=board.device,
            debug_probe=board.debug_probe,
            address=image.address,
            bytes=len(image.content),
            read_back=found is not None,
            banner=banner,
            emulated=via == "qemu",
        )


def require_same(image: FlashImage, found: bytes) -> None:
    """Raises VerifyError that names the first byte of flash that is not the image's."""
    if found == image.content:
        return
    if len(found) != len(image.content):
        raise VerifyError(
            f"{len(found):,} bytes were read back of {len(image.content):,}", "flash it again, with a shorter cable"
        )
    wrong = [place for place, pair in enumerate(zip(found, image.content, strict=True)) if pair[0] != pair[1]]
    first = wrong[0]
    raise VerifyError(
        f"{len(wrong):,} of {len(found):,} bytes read back are not what was written: at {image.address + first:#010x} "
        f"there is {found[first]:#04x} instead of {image.content[first]:#04x}",
        "flash it again; a write-protected or worn-out sector, or an unsteady supply, shows like this",
    )


def _connect_of(via: Way) -> Callable[[FlashImage, Asked], AbstractContextManager[Connected]]:
    """Each way is imported when it is taken: their libraries are heavy, or not there."""
    if via == "qemu":
        from edgeslm.flash import qemu

        return qemu.connect
    if via == "openocd":
        from edgeslm.flash import openocd

        return openocd.connect
    if via == "pyocd":
        from edgeslm.flash import pyocd

        return pyocd.connect
    from edgeslm.flash import uf2

    return uf2.connect
