"""Where edgeslm keeps what it installs for itself, and how one process at a time puts it there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """EDGESLM_DATA, or the user's data folder (XDG_DATA_HOME/edgeslm)."""
    override = os.environ.get("EDGESLM_DATA")
    return Path(override) if override else Path(platformdirs.user_data_dir("edgeslm"))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one process at a time installs into this folder; the others wait for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
