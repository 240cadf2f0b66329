"""The device's cache folder: files that a runtime needs on disk.

EDGESLM_DEVICE_CACHE, or XDG_CACHE_HOME/edgeslm-device, or ~/.cache/edgeslm-device. A file is named by its key (what it
was made from) and its own SHA-256, which is checked before it is used: memory cards rot, and a damaged file of packed
weights gives wrong results without a word. A file appears under its name when it is complete and on disk, so that a
killed or unplugged device never reads half of one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .digest import digest_of, read_chunks
from .errors import StorageError

T = TypeVar("T")

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


def find(key: str, suffix: str) -> Path | None:
    """The file kept for `key`, checked, or None."""
    for path in cache_folder().glob(f"{key}-*{suffix}"):
        with contextlib.suppress(OSError):  # another program may prune at the same time
            if path.name == _name(key, path, suffix):
                with contextlib.suppress(OSError):  # a cache that may be read only
                    os.utime(path)
                return path
            path.unlink()
    return None


def keep(key: str, suffix: str, make: Callable[[Path], T]) -> tuple[Path, T]:
    """Keep the file that `make(path)` writes; its path, and what `make` returned.

    `make` need not write one. Raises StorageError on a full disk; nothing is left behind when it or `make` fails.
    """
    folder = cache_folder()
    partial = folder / f".{secrets.token_hex(4)}-{key}{suffix}"
    kept = partial
    try:
        made = make(partial)
        if partial.exists():
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            kept = partial.replace(folder / _name(key, partial, suffix))
    except OSError as error:
        raise _unwritable(f"{folder}: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    _prune(folder, kept)
    return kept, made


def _name(key: str, path: Path, suffix: str) -> str:
    return f"{key}-{digest_of(read_chunks(path))}{suffix}"


def _prune(folder: Path, kept: Path) -> None:
    files = []
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):  # another program may prune at the same time
            used = entry.stat().st_mtime
            if not entry.name.startswith("."):
                files.append((used, entry))
            elif time.time() - used > ABANDONED_S:
                entry.unlink()
    for _, entry in sorted(files)[:-MAX_FILES]:
        if entry != kept:
            with contextlib.suppress(OSError):
                entry.unlink()


def _unwritable(problem: str) -> StorageError:
    return StorageError(
        f"the device's cache cannot be written: {problem}",
        "EDGESLM_DEVICE_CACHE=DIR puts it elsewhere; an unpacked bundle needs no copy of its model",
    )
