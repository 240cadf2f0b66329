"""The device's cache folder: files that a runtime needs on disk, each named by the digest of what it was made from.

EDGESLM_DEVICE_CACHE, or XDG_CACHE_HOME/edgeslm-device, or ~/.cache/edgeslm-device. A file appears under its name
when it is complete and on disk, so that a killed or unplugged device never reads half of one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import StorageError

MAX_FILES = 12
"""A model leaves at most two files here; what has not been used for longest goes first."""
ABANDONED_S = 86_400


def cache_folder() -> Path:
    """The folder, made if need be. Raises StorageError where that is impossible."""
    override = os.environ.get("EDGESLM_DEVICE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = Path(override) if override else Path(base or Path.home() / ".cache") / "edgeslm-device"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError) as error:  # RuntimeError: a service without a home
        raise _unwritable(str(error)) from None
    return folder


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A new path beside `path` to write to; renamed to `path` at the end, where it has been written.

    Raises StorageError on a full disk.
    """
    partial = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        if partial.exists():
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.replace(path)
    except OSError as error:
        raise _unwritable(f"{path}: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    _prune(path.parent, keep=path)


def mark_used(path: Path) -> None:
    with contextlib.suppress(OSError):  # a cache that may be read only
        os.utime(path)


def _prune(folder: Path, keep: Path) -> None:
    files = []
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):  # another program may prune at the same time
            used = entry.stat().st_mtime
            if not entry.name.startswith("."):
                files.append((used, entry))
            elif time.time() - used > ABANDONED_S:
                entry.unlink()
    for _, entry in sorted(files)[:-MAX_FILES]:
        if entry != keep:
            with contextlib.suppress(OSError):
                entry.unlink()


def _unwritable(problem: str) -> StorageError:
    return StorageError(
        f"the device's cache cannot be written: {problem}",
        "EDGESLM_DEVICE_CACHE=DIR puts it elsewhere; an unpacked bundle needs no copy of its model",
    )
