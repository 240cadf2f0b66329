"""The target's own wheels, for a device without network."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from edgeslm.bundle.requirements import PYTHONS, pip_platform_flags
from edgeslm.cache import cache_folder
from edgeslm.digest import file_digest
from edgeslm.errors import ToolchainError
from edgeslm.toolchain import run_tool

_HASH = re.compile(rb"--hash=sha256:([0-9a-f]{64})")


def fetch_wheels(requirements: bytes, name: str, arch: str) -> list[Path]:
    """Every wheel that the requirements pin, in order of name; from the cache, or by `pip download`.

    `name` is the member of the bundle that holds them. Raises ToolFailedError with pip's last lines (its log is kept in
    the cache), ToolchainError where a wheel is not the one that is pinned.
    """
    pinned = set(_HASH.findall(requirements))
    place = cache_folder() / f"wheels-{hashlib.sha256(requirements).hexdigest()[:32]}"
    if not _complete(place, pinned):
        _download(requirements, name, arch, pinned, place)
    os.utime(place)  # what the cache's pruning calls last used
    return sorted(place.glob("*.whl"))


def _download(requirements: bytes, name: str, arch: str, pinned: set[bytes], place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".wheels-", dir=place.parent))
    try:
        listed = work / name
        listed.write_bytes(requirements)
        for python in PYTHONS:
            log = cache_folder() / "logs" / f"wheels-{Path(name).stem}-{arch}-{python}.log"
            command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
            command += ["--require-hashes", "-r", str(listed), "-d", str(work), *pip_platform_flags(arch, python)]
            run_tool(command, log, hint=f"--vendor-wheels needs pip and the network; the whole log is in {log}")
        listed.unlink()
        if not _complete(work, pinned):
            raise ToolchainError(
                f"pip did not download all wheels that {name} pins for {arch}",
                f"its logs are in {cache_folder() / 'logs'}",
            )
        shutil.rmtree(place, ignore_errors=True)
        work.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _complete(folder: Path, pinned: set[bytes]) -> bool:
    return {file_digest(wheel).encode() for wheel in folder.glob("*.whl")} == pinned
