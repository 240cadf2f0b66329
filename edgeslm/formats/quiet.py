"""Keeping what libraries print off the terminal: Python's and C++'s output alike goes to a log that is kept."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet_output(log: Path) -> Iterator[None]:
    """File descriptors 1 and 2 point at `log` inside; Python warnings and logging are muted."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    muted = logging.root.manager.disable
    try:
        with log.open("wb") as sink, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # what C libraries hold back would come out later, where it has no business
        sys.stdout.flush()
        sys.stderr.flush()
        logging.disable(muted)
        for number, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
