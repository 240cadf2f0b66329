"""A process for one job: read from stdin, its result the last line on stdout. It ends with the process that started it,
whose node a cluster may have lost."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from edgeslm.sweep.job import Job, run_job

LOOKING_S = 1.0


def main() -> None:
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    result = run_job(Job.model_validate_json(sys.stdin.read()), Path(sys.argv[1]))
    sys.stdout.write(f"\n{result.model_dump_json()}\n")


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKING_S)
    os._exit(1)


if __name__ == "__main__":
    main()
