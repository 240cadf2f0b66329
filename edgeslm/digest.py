"""SHA-256 of files, folders and JSON values: how every noun is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


def file_digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def files_digest(root: Path, names: Iterable[str]) -> str:
    """Digest over (relative name, contents) of the named files, in order of name."""
    return json_digest([(name, file_digest(root / name)) for name in sorted(names)])


def json_digest(value: object) -> str:
    """Digest of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
