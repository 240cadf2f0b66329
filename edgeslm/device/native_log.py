"""What a runtime's native code writes to stderr: kept quiet, and shown when it fails."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

TAIL_LINES = 6


@contextlib.contextmanager
def captured() -> Iterator[IO[bytes]]:
    """File descriptor 2 goes into the file given, for this whole process, while inside.

    LiteRT tells a dozen lines at every start and has no setting for that.
    """
    with tempfile.TemporaryFile() as log:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def mute() -> None:
    """Nothing more on file descriptor 2. For a command line to call as it exits.

    LiteRT tells of its end from a static destructor, after everything of Python's.
    """
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def errors_in(log: IO[bytes]) -> str:
    """The last lines of a captured log that tell of an error, each after a space."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    telling = [line for line in lines if line and not line.startswith(("INFO:", "WARNING:"))]
    return "".join(f" {line}" for line in telling[-TAIL_LINES:])
