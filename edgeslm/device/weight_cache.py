"""XNNPACK's packed weights, kept in a file of the device's cache and mapped from there."""

from __future__ import annotations

import hashlib
import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .cache import cache_folder, find, keep
from .errors import StorageError

T = TypeVar("T")

PACKED = ".xnnpack"
SPARE_BYTES = 16 << 20
"""What is left free on the disk that holds the weight cache."""


def with_weight_cache(
    path: Path, digest: str, create: Callable[[Path | None], T], refused: tuple[type[Exception], ...]
) -> T:
    """`create(file)` with the weight cache of the model at `path`, made now if there is none; `create(None)` where
    there is no room for one, or where `create` raises one of `refused` about it.

    LiteRT accepts a cache of another model with the same shapes and then gives wrong results without a word; so its
    name holds all that its content depends on.
    """
    version = getattr(importlib.import_module("ai_edge_litert"), "__version__", "")
    size = path.stat().st_size
    key = hashlib.sha256(f"{digest} {version} {size}".encode()).hexdigest()[:32]
    try:
        packed = find(key, PACKED)
        if packed is not None:
            return create(packed)
        # XNNPACK ends the program when the disk is full. Half-precision weights double as it packs them.
        if shutil.disk_usage(cache_folder()).free >= 2 * size + SPARE_BYTES:
            return keep(key, PACKED, create)[1]
    except StorageError:
        pass
    except refused:  # about the cache, or about the model: then the next one says so
        pass
    return create(None)  # more memory, same results
