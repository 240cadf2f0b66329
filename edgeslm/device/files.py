"""Where a bundle's files lie: in a folder, or in a stored zip whose members can be mapped in place.

Every file is checked against the manifest's SHA-256 when it is opened, before anything reads it.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .cache import find, keep
from .digest import digest_of, read_chunks
from .errors import BundleError

KEY_DIGITS = 32
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_SIGNATURE = b"PK\x03\x04"

# What zipfile raises on damaged bytes besides BadZipFile: it reads offsets, lengths and names from them.
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, LookupError, OSError)


@dataclass(frozen=True)
class Expected:
    """What the manifest says about a file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class _Extent:
    """A file's content: `length` bytes from `start` in `holder`."""

    holder: Path
    start: int
    length: int


class Files:
    """Files by name. With `expected` None nothing is checked: a folder that belongs to the caller."""

    def __init__(self, root: Path, expected: Mapping[str, Expected] | None) -> None:
        self.root = root
        self._expected = expected

    def read(self, name: str) -> bytes:
        """A file's content."""
        extent = self._checked(name)
        return b"".join(_chunks(extent))

    def view(self, name: str) -> memoryview:
        """A file's content, mapped: nothing is copied until somebody writes, and then only for this process."""
        extent = self._checked(name)
        with extent.holder.open("rb") as source:
            # ACCESS_COPY and not ACCESS_READ: OpenVINO takes writeable memory only.
            mapped = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_COPY)
        return memoryview(mapped)[extent.start : extent.start + extent.length]

    def path(self, name: str) -> Path:
        """A file on disk with this content, for a runtime that opens nothing else."""
        raise NotImplementedError

    def _locate(self, name: str) -> _Extent:
        raise NotImplementedError

    def _checked(self, name: str) -> _Extent:
        extent = self._locate(name)
        if self._expected is not None:
            expected = self._expected.get(name)
            if expected is None:
                raise damaged(self.root, f"its manifest does not list {name}")
            if extent.length != expected.bytes or digest_of(_chunks(extent)) != expected.sha256:
                raise damaged(self.root, f"{name} is not the file that the manifest describes")
        return extent


class FolderFiles(Files):
    """An unpacked bundle, or the folder a model was compiled into."""

    def path(self, name: str) -> Path:
        return self._checked(name).holder

    def _locate(self, name: str) -> _Extent:
        path = self.root / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise damaged(self.root, f"{name} lies outside of it")
        try:
            if path.is_symlink() or not path.is_file():
                raise damaged(self.root, f"{name} is missing or no regular file")
            return _Extent(path, 0, path.stat().st_size)
        except OSError as error:
            raise damaged(self.root, f"{name} cannot be read ({error.strerror})") from None


class ZipFiles(Files):
    """A bundle's file. What a runtime cannot take from memory is copied to the cache folder once."""

    def path(self, name: str) -> Path:
        extent = self._checked(name)
        key = digest_of(_chunks(extent))[:KEY_DIGITS]
        suffix = Path(name).suffix
        return find(key, suffix) or keep(key, suffix, lambda path: _write(path, extent))[0]

    def _locate(self, name: str) -> _Extent:
        with contextlib.ExitStack() as stack:
            try:
                archive = stack.enter_context(zipfile.ZipFile(self.root))
                member = archive.getinfo(name)
                source = stack.enter_context(self.root.open("rb"))
                start = _content_start(source, member)
                whole = source.seek(0, 2)
            except KeyError:
                raise damaged(self.root, f"{name} is missing") from None
            except BROKEN_ZIP as error:
                raise damaged(self.root, f"{name} cannot be read ({error})") from None
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 0x1:
            raise damaged(self.root, f"{name} is compressed or encrypted; a bundle's members are stored")
        if start + member.file_size > whole:
            raise damaged(self.root, f"{name} is cut short")
        return _Extent(self.root, start, member.file_size)


def damaged(where: Path, problem: str) -> BundleError:
    return BundleError(f"{where}: {problem}", "it is damaged or was tampered with: copy or build it again")


def _content_start(source: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind its local header, whose extra field pads to 64 bytes."""
    source.seek(member.header_offset)
    fields = _LOCAL_HEADER.unpack(source.read(_LOCAL_HEADER.size))
    if fields[0] != _SIGNATURE:
        raise zipfile.BadZipFile("no local header where the directory says")
    return int(member.header_offset + _LOCAL_HEADER.size + fields[-2] + fields[-1])


def _chunks(extent: _Extent) -> Iterator[bytes]:
    return read_chunks(extent.holder, extent.start, extent.length)


def _write(path: Path, extent: _Extent) -> None:
    with path.open("wb") as sink:
        for chunk in _chunks(extent):
            sink.write(chunk)
