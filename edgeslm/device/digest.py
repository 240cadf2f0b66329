"""SHA-256 of files and of parts of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 20


def read_chunks(path: Path, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """Bytes of a file, to its end or `length` of them; fewer where it is shorter.

    Read, not mapped: pages that were only hashed would count as this process's memory.
    """
    left = path.stat().st_size - start if length is None else length
    with path.open("rb") as source:
        source.seek(start)
        while left > 0:
            chunk = source.read(min(CHUNK, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk


def digest_of(chunks: Iterator[bytes]) -> str:
    """Lower-case hexadecimal SHA-256."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
