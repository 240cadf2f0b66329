"""A zip file of stored members at aligned offsets: what a bundle is, and the libraries and APKs of Android.

Nothing is compressed, so that a member can be mapped where it lies; order, date and mode are fixed, so that the same
members give the same bytes. Names are the caller's to check.
"""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

CHUNK = 1 << 20

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold
_MODE = stat.S_IFREG | 0o644
_UNIX = 3
_PADDING = 0xD935  # the extra field that Android's zipalign and apksigner pad with: alignment, then zeros
_LOCAL_HEADER = 30  # bytes, without name and extra fields
_ZIP64_FIELD = 20  # bytes of the extra field that zipfile adds to a local header where sizes need 64 bits
_FIELD_HEADER = 6  # id, size, alignment


def write_stored(
    path: Path, members: Mapping[str, bytes | Path], order: Iterable[str], alignment: Callable[[str], int]
) -> None:
    """Write `members` (contents, or the files that hold them) into a new file, in `order`.

    `alignment(name)`: a power of two, at most 32,768; the member's first byte lies at a multiple of it.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name in order:
            _write_member(archive, name, members[name], alignment(name))


def _write_member(archive: zipfile.ZipFile, name: str, content: bytes | Path, alignment: int) -> None:
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    large = size >= zipfile.ZIP64_LIMIT
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = _UNIX
    member.external_attr = _MODE << 16
    start = archive.start_dir + _LOCAL_HEADER + len(name.encode()) + (_ZIP64_FIELD if large else 0)
    member.extra = _padding_field(start, alignment)
    with archive.open(member, "w", force_zip64=large) as sink:
        if isinstance(content, bytes):
            sink.write(content)
        else:
            with content.open("rb") as source:
                shutil.copyfileobj(source, sink, CHUNK)


def _padding_field(start: int, alignment: int) -> bytes:
    """The extra field after which the next byte lies at a multiple of `alignment`; it begins at byte `start`."""
    zeros = -(start + _FIELD_HEADER) % alignment
    return struct.pack("<HHH", _PADDING, 2 + zeros, alignment) + bytes(zeros)
