"""A bundle's firmware on its emulated board."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgeslm.bundle.manifest import Manifest
from edgeslm.errors import UnsupportedError
from edgeslm.firmware.board import Board
from edgeslm.firmware.qemu import emulated
from edgeslm.formats.archive import open_archive

MAX_ELF = 64 << 20


@contextlib.contextmanager
def emulated_board(bundle: Path, manifest: Manifest) -> Iterator[Board]:
    """The board of this firmware bundle, started and greeted; it is gone after the block.

    Raises UnsupportedError for a bundle that is none, MissingToolError without QEMU, ProbeTimeoutError where the board
    stays silent.
    """
    if manifest.firmware is None:
        raise UnsupportedError(
            f"--via qemu runs firmware on an emulated board; this bundle was built for {manifest.target.title}",
            "leave out --via: it runs on this machine",
        )
    with tempfile.TemporaryDirectory(prefix="edgeslm-board-") as folder, open_archive(bundle) as archive:
        elf = Path(folder) / "firmware.elf"
        elf.write_bytes(archive.read(manifest.firmware.elf, MAX_ELF))
        with emulated(manifest.target, elf, Path(folder) / "qemu.log") as line:
            yield Board(line, f"the emulated {manifest.target.name}", starts=True)
