"""Flash by copying: a board in its bootloader is a drive that takes UF2 files, and runs what it was given.

Nothing can be read back: the drive shows a file system that the bootloader makes up. That the image runs is known when
it says its digest. https://github.com/microsoft/uf2, "Files exposed by bootloaders".
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeslm.errors import ConnectionLostError, DeviceError, DeviceNotFoundError, UnfitDeviceError, UnsupportedError
from edgeslm.flash.image import FlashImage
from edgeslm.flash.way import Asked

INFO = "INFO_UF2.TXT"
MOST_INFO = 4096
MOUNTS = ("/media/*", "/media/*/*", "/run/media/*/*", "/mnt", "/mnt/*", "/Volumes/*")
"""Where desktops mount drives, and people do."""
FILE = "firmware.uf2"
PIECE = 1 << 16
HINT = (
    "hold the board's BOOTSEL button down while you plug it in, and mount the drive that appears; --volume DIR names it"
)


@dataclass(frozen=True)
class Volume:
    """A bootloader's drive, and what it says of its board."""

    folder: Path
    board: str
    model: str

    def __str__(self) -> str:
        return f"{self.folder} (Board-ID {self.board or 'unknown'}, {self.model or 'no model'})"


class Uf2Board:
    """See way.Connected. The bootloader starts the image when it has the last block."""

    line = None
    debug_probe = None

    def __init__(self, volume: Volume, content: bytes) -> None:
        self.device = f"{volume.model or volume.board}, at {volume.folder}"
        self._path = volume.folder / FILE
        self._content = content

    def write(self) -> None:
        given = 0
        try:
            with self._path.open("wb", buffering=0) as drive:
                while given < len(self._content):
                    given += drive.write(self._content[given : given + PIECE])
                os.fsync(drive)
        except OSError as error:
            # The drive goes away when the last block is there; what the host had still to say to it is of no use.
            if given < len(self._content):
                raise _failed(error, self._path) from None

    def read_back(self) -> None:
        return None

    def reset(self) -> None:
        """The bootloader has done it."""


@contextlib.contextmanager
def connect(image: FlashImage, asked: Asked) -> Iterator[Uf2Board]:
    """The drive of a board in its bootloader; see way.Connected.

    Raises UnsupportedError for a target without UF2, DeviceNotFoundError, UnfitDeviceError for another board's drive or
    one without room.
    """
    if image.uf2 is None:
        raise UnsupportedError(
            f"{image.target.name} has no bootloader for UF2: its target file lacks firmware.uf2_family",
            f"--via {image.facts.flasher}",
        )
    volume = _named(asked.volume, image) if asked.volume else _found(image)
    free = shutil.disk_usage(volume.folder).free
    if free < len(image.uf2):
        raise UnfitDeviceError(
            f"{volume} has {free:,} bytes free, and the file has {len(image.uf2):,}",
            "remove what was copied to it, or plug the board in again",
        )
    yield Uf2Board(volume, image.uf2)


def _named(folder: Path, image: FlashImage) -> Volume:
    volume = read_volume(folder)
    if volume is None:
        raise DeviceNotFoundError(f"{folder} is no drive of a UF2 bootloader: it has no {INFO}", HINT)
    if not _is_ours(volume, image):
        raise UnfitDeviceError(
            f"{volume} is another board's: the image is for {image.facts.uf2_volume}",
            "nothing was written; edgeslm build --target with that board",
        )
    return volume


def _found(image: FlashImage) -> Volume:
    seen = [volume for folder in mounted() if (volume := read_volume(folder))]
    ours = [volume for volume in seen if _is_ours(volume, image)]
    if len(ours) == 1:
        return ours[0]
    lines = "".join(f"\n         {volume}" for volume in ours or seen)
    if ours:
        raise DeviceNotFoundError(f"{len(ours)} such boards are there:{lines}", f"--volume {ours[0].folder}")
    wanted = image.facts.uf2_volume or "of a UF2 bootloader"
    raise DeviceNotFoundError(
        f"no drive {wanted} is mounted under {', '.join(MOUNTS)}" + (f"; there are others:{lines}" if seen else ""),
        HINT,
    )


def mounted() -> list[Path]:
    """Folders where a drive may be."""
    return sorted({folder for pattern in MOUNTS for folder in Path("/").glob(pattern.lstrip("/"))})


def read_volume(folder: Path) -> Volume | None:
    """What INFO_UF2.TXT says; None where there is none to read."""
    try:
        with (folder / INFO).open("rb") as source:
            text = source.read(MOST_INFO).decode(errors="replace")
    except OSError:
        return None
    facts = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        facts[name.strip().lower()] = "".join(letter for letter in value.strip() if letter.isprintable())
    return Volume(folder, facts.get("board-id", ""), facts.get("model", ""))


def _is_ours(volume: Volume, image: FlashImage) -> bool:
    """By the Board-ID where it says one, or by the drive's label, which it is mounted by."""
    wanted = image.facts.uf2_volume
    return wanted is None or wanted.lower() in (volume.board.lower(), volume.folder.name.lower())


def _failed(error: OSError, path: Path) -> DeviceError:
    if error.errno == errno.ENOSPC:
        return UnfitDeviceError(f"{path} has no more room", "remove what was copied to it, or plug the board in again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DeviceError(
            f"{path} may not be written: {error.strerror}", "mount the drive as this user: udisksctl mount -b /dev/sdX1"
        )
    return ConnectionLostError(f"{path} went away while it was written: {error.strerror}", "plug it in again")
