"""How fast this device's memory is read, so that a share of it means something: a sum over more than caches hold."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

MIB = 1 << 20
READ_MIB = 128
"""All threads together. A server's last cache may hold it; those of boards have a few MiB."""
ROUNDS = 5
LEAST_SPARE = 4
"""Times READ_MIB that must be free: a test must not push the model out of memory."""


def read_bandwidth(threads: int, available_mib: float | None) -> dict[str, Any]:
    """MiB/s of the fastest of ROUNDS, read by `threads` threads at once, or why it was not measured."""
    if available_mib is not None and available_mib < LEAST_SPARE * READ_MIB:
        return {"read_mib_s": None, "why_not": f"{available_mib:.0f} MiB of free memory are too few for a read test"}
    # Ones: an untouched page of zeros is the same small page everywhere.
    arrays = [np.ones(READ_MIB * MIB // 8 // threads, np.uint64) for _ in range(threads)]
    fastest = min(_read(arrays) for _ in range(ROUNDS))
    if fastest <= 0:
        return {"read_mib_s": None, "why_not": "the device's clock says the read test took no time"}
    return {"read_mib_s": sum(array.nbytes for array in arrays) / MIB / fastest, "why_not": None}


def _read(arrays: list[Any]) -> float:
    readers = [threading.Thread(target=array.sum, daemon=True) for array in arrays]  # numpy sums without Python's lock
    started = time.perf_counter()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return time.perf_counter() - started
