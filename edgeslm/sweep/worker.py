"""A process for one job: read from stdin, its result the last line on stdout. It ends with the process that started it,
whose node a cluster may have lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from edgeslm.sweep.job import Job, run_job
from edgeslm.sweep.worker_process import GRACE_S, NO_MEMORY

LOOKING_S = 1.0


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the sweep may have it ignored
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        result = run_job(Job.model_validate_json(sys.stdin.read()), Path(sys.argv[1]))
    except MemoryError:
        sys.exit(NO_MEMORY)
    sys.stdout.write(f"\n{result.model_dump_json()}\n")


def _end_with_parent(parent: int) -> None:
    """As Ctrl-C does, so that it tidies up; at once where it does not listen."""
    while os.getppid() == parent:
        time.sleep(LOOKING_S)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
