"""A parcel: a folder as one file, for a device that is slow with many. A tar of the same bytes for the same members.

POSIX.1-1988's format (ustar), which the tar of every device unpacks, Android's toybox of 2017 among them.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeslm.digest import file_digest

BLOCK = 4096
"""Bytes of a file on a disk are a multiple of this."""


@dataclass(frozen=True)
class Parcel:
    """`name` says what is in it, `digest` is its SHA-256; `bytes` are the tar's, `unpacked_bytes` what it becomes."""

    path: Path
    name: str
    digest: str
    bytes: int
    unpacked_bytes: int

    @property
    def folder(self) -> str:
        """The name of the folder it is unpacked to: another content has another one."""
        return f"{self.name}-{self.digest[:16]}"


def write_tar(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write members (name -> content, or the file that holds it) in order of name, with fixed dates and owners.

    Programs and libraries may be run: every file has the mode 0755. Raises ValueError for a name that is too long.
    """
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as sink:
        for name, content in sorted(members.items()):
            described = tarfile.TarInfo(name)
            described.mode = 0o755
            if isinstance(content, bytes):
                described.size = len(content)
                sink.addfile(described, io.BytesIO(content))
            else:
                described.size = content.stat().st_size
                with content.open("rb") as source:
                    sink.addfile(described, source)


def open_parcel(path: Path, name: str) -> Parcel:
    """The parcel in a file that write_tar wrote."""
    with tarfile.open(path) as source:
        unpacked = sum(-(-member.size // BLOCK) * BLOCK + BLOCK for member in source)
    return Parcel(path, name, file_digest(path), path.stat().st_size, unpacked)
