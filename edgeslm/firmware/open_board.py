"""A bundle's board: the one on a serial port, or the one that QEMU emulates."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgeslm.bundle.kernels import is_of_kernels
from edgeslm.bundle.manifest import Manifest
from edgeslm.errors import UnfitDeviceError, UnsupportedError
from edgeslm.firmware.board import INTERRUPT, Board
from edgeslm.firmware.qemu import EmulatedLine, emulated
from edgeslm.firmware.serial_line import SERIAL, opened_port, parse_port
from edgeslm.firmware.told import Hello
from edgeslm.formats.archive import open_archive

MAX_ELF = 64 << 20


def is_way_to_a_board(via: str) -> bool:
    """Whether --via names a board: qemu, or serial:PORT[:BAUD]."""
    return via == "qemu" or via.startswith(SERIAL)


@contextlib.contextmanager
def open_board(bundle: Path, manifest: Manifest, via: str, *, of_kernels: bool = False) -> Iterator[Board]:
    """The board of this firmware bundle, greeted and found to run it. `via`: "qemu", or "serial:PORT[:BAUD]".

    An emulated board is gone after the block; one on a port goes on, with nothing left to answer. `of_kernels`: who
    asks speaks with the firmware that measures kernels, which is no model's.

    Raises UnsupportedError for a bundle that is no firmware, or holds kernels where a model is asked for,
    MissingToolError without QEMU, UnfitDeviceError where the board runs something else, ProbeTimeoutError where it
    stays silent, and what `opened_port` raises.
    """
    if manifest.firmware is None:
        raise UnsupportedError(
            f"--via {via} is for firmware; this bundle was built for {manifest.target.title}",
            "leave out --via: it runs on this machine",
        )
    if is_of_kernels(manifest) and not of_kernels:
        raise UnsupportedError(
            f"{bundle} holds single kernels to be measured, and no model",
            f"edgeslm profile-target --target {manifest.target.name} --via {via} measures them",
        )
    if via == "qemu":
        name = f"the emulated {manifest.target.name}"
        with emulated_line(bundle, manifest) as line:
            board = Board(line, name, starts=True)
            require_bundles_board(board.hello, manifest, name)
            yield board
        return
    port = parse_port(via)
    name = f"the board on {port.path}"
    with opened_port(port, usb_of(manifest)) as line:
        line.write(INTERRUPT)  # somebody who is gone may have left it answering
        board = Board(line, name)
        require_bundles_board(board.hello, manifest, name)
        try:
            yield board
        finally:
            board.leave()


@contextlib.contextmanager
def emulated_line(bundle: Path, manifest: Manifest) -> Iterator[EmulatedLine]:
    """The UART of the bundle's emulated board, which starts now."""
    assert manifest.firmware is not None  # who asks has looked
    with tempfile.TemporaryDirectory(prefix="edgeslm-board-") as folder, open_archive(bundle) as archive:
        elf = Path(folder) / "firmware.elf"
        elf.write_bytes(archive.read(manifest.firmware.elf, MAX_ELF))
        with emulated(manifest.target, elf, Path(folder) / "qemu.log") as line:
            yield line


def usb_of(manifest: Manifest) -> tuple[str, ...]:
    """USB ids ("0483:374b") of the port that the bundle's target has, if its facts name one."""
    return () if manifest.target.firmware is None else manifest.target.firmware.usb


def require_bundles_board(hello: Hello, manifest: Manifest, name: str) -> None:
    """Raises UnfitDeviceError where a board runs another model than the bundle's."""
    wanted: dict[str, str | int] = {"model": manifest.name}
    language, lengths = manifest.model.language, manifest.model.lengths
    if language is not None:
        wanted |= {"vocabulary": language.vocabulary, "context": language.context, "layers": language.layers}
    elif lengths:
        wanted |= {"context": max(lengths)}
    if manifest.firmware is not None and manifest.firmware.digest is not None:
        wanted |= {"image": manifest.firmware.digest[: len(hello.image)]}
    found = {
        "model": hello.name,
        "vocabulary": hello.vocabulary,
        "context": hello.context,
        "layers": hello.layers,
        "image": hello.image,
    }
    others = [f"{what} {found[what]} instead of {is_}" for what, is_ in wanted.items() if found[what] != is_]
    if others:
        raise UnfitDeviceError(
            f"{name} runs another image than this bundle's: {', '.join(others)}", "flash the bundle's firmware to it"
        )
