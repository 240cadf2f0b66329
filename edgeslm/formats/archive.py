"""The container of a bundle: a stored zip whose members start at multiples of 64 bytes, or a folder of the same files.

Nothing is compressed and everything is aligned, so that a runtime can map a member where it lies. The same members
give the same bytes: their order, date and mode are fixed. What is read is bounded and trusted in nothing: a name that
leaves the folder, a link, a member twice or a file cut short is a BundleError that names the member.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgeslm.errors import BundleError
from edgeslm.formats.stored_zip import CHUNK, write_stored

ALIGNMENT = 64
"""Bytes; a cache line, and what runtimes ask of a buffer they are to read in place."""
MAX_MEMBERS = 4096
MAX_NAME = 200

_NAME = re.compile(r"[A-Za-z0-9_+!.-]+(/[A-Za-z0-9_+!.-]+)*")

# What zipfile raises on damaged bytes besides BadZipFile: it reads offsets, lengths and names from them.
BROKEN_ZIP = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # NotImplementedError is one
    LookupError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Archive:
    """An opened container. `sizes` maps each member's name to its bytes, in order of name."""

    path: Path
    sizes: Mapping[str, int]
    _open: Callable[[str], IO[bytes]]

    def chunks(self, name: str) -> Iterator[bytes]:
        """A member's content, at most CHUNK bytes at a time. Raises BundleError where it cannot be read whole."""
        if name not in self.sizes:
            raise BundleError(f"{self.path} has no member {name}", "it is damaged or no bundle: build it again")
        left = self.sizes[name]
        try:
            with self._open(name) as source:
                while chunk := source.read(CHUNK):
                    left -= len(chunk)
                    yield chunk
        except BROKEN_ZIP as error:
            raise _damaged(self.path, f"member {name} cannot be read ({error})") from None
        if left:
            raise _damaged(self.path, f"member {name} is not as long as it should be")

    def read(self, name: str, limit: int) -> bytes:
        """A member's content at once; BundleError where it is longer than `limit` bytes."""
        if self.sizes.get(name, 0) > limit:
            raise _damaged(self.path, f"member {name} has {self.sizes[name]:,} bytes, more than the {limit:,} it may")
        return b"".join(self.chunks(name))


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """A bundle's file or folder, checked as a container: names, links, duplicates, bounds. Raises BundleError."""
    if path.is_dir():
        yield Archive(path, dict(sorted(_folder_members(path).items())), lambda name: (path / name).open("rb"))
        return
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(zipfile.ZipFile(path))
        except FileNotFoundError:
            raise BundleError(f"there is no bundle {path}", "edgeslm build makes one") from None
        except BROKEN_ZIP as error:
            raise _damaged(path, f"it is no zip file, or one that is cut short ({error})") from None
        sizes = _zip_members(path, opened.infolist())
        yield Archive(path, dict(sorted(sizes.items())), opened.open)


def check_name(name: str) -> str | None:
    """None for a name a member may have, else what is wrong with it."""
    if len(name) > MAX_NAME:
        return f"has a name of {len(name)} characters"
    if not _NAME.fullmatch(name):
        return "has a name that is no plain relative path"
    if {".", ".."} & set(name.split("/")):
        return "has a name that leaves its folder"
    return None


def _folder_members(root: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for folder, folders, files in os.walk(root, onerror=_unreadable):
        # What Python leaves when it runs the device package from here; no content of the bundle.
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for name in [*folders, *files]:
            path = Path(folder, name)
            member = path.relative_to(root).as_posix()
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                raise _damaged(root, f"{member} is a symbolic link")
            if stat.S_ISDIR(found.st_mode):
                continue
            if not stat.S_ISREG(found.st_mode):
                raise _damaged(root, f"{member} is no regular file")
            _require_name(root, member)
            sizes[member] = found.st_size
            _require_count(root, len(sizes))
    return sizes


def _unreadable(error: OSError) -> None:
    raise BundleError(f"{error.filename} cannot be read: {error.strerror}")


def _zip_members(path: Path, members: list[zipfile.ZipInfo]) -> dict[str, int]:
    _require_count(path, len(members))
    whole = path.stat().st_size
    sizes: dict[str, int] = {}
    for member in members:
        # ZipInfo.filename ends at a NUL byte; the name as it is stored tells what else was there.
        _require_name(path, member.orig_filename)
        if member.filename in sizes:
            raise _damaged(path, f"member {member.filename} is there twice")
        if member.flag_bits & 0x1:
            raise _damaged(path, f"member {member.filename} is encrypted")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise _damaged(path, f"member {member.filename} is compressed; a bundle's members are stored")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _damaged(path, f"member {member.filename} is a symbolic link")
        sizes[member.filename] = member.file_size
    if sum(sizes.values()) > whole:
        raise _damaged(path, "its members claim more bytes than the file has")
    return sizes


def _require_name(path: Path, name: str) -> None:
    problem = check_name(name)
    if problem:
        raise _damaged(path, f"member {name[:MAX_NAME]!r} {problem}")


def _require_count(path: Path, count: int) -> None:
    if count > MAX_MEMBERS:
        raise _damaged(path, f"it has more than {MAX_MEMBERS} members")


def _damaged(path: Path, problem: str) -> BundleError:
    return BundleError(f"{path}: {problem}", "it is damaged or was tampered with: copy or build it again")


def write_archive(path: Path, members: Mapping[str, bytes | Path], first: str = "manifest.json") -> None:
    """Write the members (contents, or the files that hold them) into a new zip file.

    `first`, if it is there, comes first; the others follow in order of name.
    """
    for name in members:
        problem = check_name(name)
        if problem:
            raise BundleError(f"{name!r} {problem}: it cannot be put into {path.name}")
    write_stored(path, members, sorted(members, key=lambda name: (name != first, name)), lambda name: ALIGNMENT)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new path beside `path` to write to; renamed to `path` at the end, on disk before that.

    When the block ends with an exception (Ctrl-C included), or has removed the new file, `path` stays as it was
    and nothing lies beside it.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield partial
        if partial.exists():
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
