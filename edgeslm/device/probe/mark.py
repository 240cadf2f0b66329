"""Where an emulator's plugin writes its count down."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator


def mark() -> None:
    """A system call that nothing here makes by itself: the emulator's plugin sees it and writes its count down."""
    os.getppid()


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Without the garbage collector: when it comes depends on all that was allocated before."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
