"""The stage cache: what a stage made, kept under the digest of everything that went into it.

An entry is a folder `<stage>-<key>` with the stage's files and `artifact.json`, the noun that describes them.
It is written beside its place and renamed into it, so a killed build leaves no half entry and the next one
goes on after the last stage that finished. What a reader finds is checked (sizes and digest) before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
from pydantic import TypeAdapter, ValidationError

from edgeslm.artifacts import StageRecord
from edgeslm.digest import file_digest, json_digest
from edgeslm.errors import StorageError
from edgeslm.peak_memory import peak_memory

T = TypeVar("T")
ARTIFACT = "artifact.json"
MAX_BYTES = 20 * 10**9
"""The cache forgets its longest unused entries beyond this; EDGESLM_CACHE_MAX_BYTES overrides it."""


def cache_folder() -> Path:
    """EDGESLM_CACHE, or the user's cache folder (XDG_CACHE_HOME/edgeslm)."""
    override = os.environ.get("EDGESLM_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("edgeslm"))


def code_digest(*rooms: str) -> str:
    """Digest of edgeslm's own sources in these rooms: a stage whose code changed is done again."""
    package = Path(__file__).parent
    files = [
        path
        for room in rooms
        for path in sorted((package / room).rglob("*") if (package / room).is_dir() else [package / f"{room}.py"])
        if path.suffix in {".py", ".txt"}
    ]
    return json_digest([(str(path.relative_to(package)), file_digest(path)) for path in files])


class StageCache:
    """Runs stages or finds what they made. One per build; keeps the build's stage records."""

    def __init__(self, folder: Path, announce: Callable[[str, bool], contextlib.AbstractContextManager[None]]) -> None:
        self.folder = folder
        self.records: list[StageRecord] = []
        self._announce = announce

    def stage(self, name: str, key: Sequence[object], kind: type[T], make: Callable[[Path], T]) -> T:
        """The artifact of type `kind` for `key`, made by `make(folder)` unless it is here already.

        `key` is JSON data: everything the result depends on. `make` puts its files into the folder it is
        given and returns an artifact whose `root`, if it has one, is that folder.
        """
        place = self.folder / f"{name}-{json_digest([name, list(key)])[:32]}"
        started = time.monotonic()
        found = _read_entry(place, kind)
        if found is not None:
            with self._announce(name, True):
                self.records.append(StageRecord(name, time.monotonic() - started, 0.0, True))
            return found
        with self._announce(name, False), peak_memory() as peak, explain_full_disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.folder))
            try:
                with explain_full_disk(self.folder):  # while what fills the disk is still there
                    artifact = make(work)
                    _write_entry(work, artifact, kind)
                shutil.rmtree(place, ignore_errors=True)  # an entry that failed its check
                try:
                    work.rename(place)
                except OSError as error:  # another build finished the same stage first: its entry is as good
                    if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                        raise
            finally:
                shutil.rmtree(work, ignore_errors=True)
        self.records.append(StageRecord(name, time.monotonic() - started, peak.mib, False))
        made = _read_entry(place, kind)
        if made is None:
            raise StorageError(f"the cache entry {place} cannot be read back", "is the disk full or failing?")
        return made


def prune(folder: Path, max_bytes: int) -> int:
    """Remove the longest unused entries until the cache is no larger than `max_bytes`; returns bytes freed.

    Temporary folders of builds that were killed more than a day ago go first.
    """
    if not folder.is_dir():
        return 0
    entries: list[tuple[float, int, Path]] = []
    freed = 0
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another build may prune at the same time
            size = sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())
            used = (entry / ARTIFACT).stat().st_mtime if (entry / ARTIFACT).exists() else entry.stat().st_mtime
            if entry.name.startswith(".") and time.time() - used > 86_400:
                shutil.rmtree(entry, ignore_errors=True)
                freed += size
            elif not entry.name.startswith("."):
                entries.append((used, size, entry))
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries, key=lambda item: item[0]):
        if total <= max_bytes:
            break
        shutil.rmtree(entry, ignore_errors=True)
        total -= size
        freed += size
    return freed


@contextlib.contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn "no space left", "quota exceeded", "read-only" and "permission denied" into a StorageError.

    Libraries in C++ tell of a full disk in words of their own ("iostream error"): after any error of theirs the file
    system is asked.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_full(folder):
            raise
        raise StorageError(
            f"no space left on the disk of {folder} ({error})",
            f"free some space there; EDGESLM_CACHE=DIR moves the stage cache (now {cache_folder()})",
        ) from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}:
            raise
        where = error.filename or folder
        raise StorageError(
            f"cannot write {where}: {error.strerror}",
            f"free some space there; EDGESLM_CACHE=DIR moves the stage cache (now {cache_folder()})",
        ) from error


def _is_full(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < 1 << 20
    return False


def _write_entry(work: Path, artifact: object, kind: type[Any]) -> None:
    files = sorted(str(path.relative_to(work)) for path in work.rglob("*") if path.is_file())
    document = {
        "files": {name: [(work / name).stat().st_size, file_digest(work / name)] for name in files},
        "artifact": TypeAdapter(kind).dump_python(artifact, mode="json"),
    }
    (work / ARTIFACT).write_bytes(TypeAdapter(dict[str, Any]).dump_json(document))


def _read_entry(place: Path, kind: type[T]) -> T | None:
    """The artifact in this entry, or None where there is none or a file of it was changed."""
    try:
        document = TypeAdapter(dict[str, Any]).validate_json((place / ARTIFACT).read_bytes())
        for name, (size, digest) in document["files"].items():
            if (place / name).stat().st_size != size or file_digest(place / name) != digest:
                return None
        artifact = TypeAdapter(kind).validate_python(_rebased(document["artifact"], place))
        os.utime(place / ARTIFACT)
    except (OSError, ValidationError, KeyError, ValueError):
        return None
    return artifact


def _rebased(artifact: Any, place: Path) -> Any:
    """The stored document with `root` pointing at where the entry lies now."""
    if isinstance(artifact, dict) and "root" in artifact:
        return {**artifact, "root": place}
    return artifact
