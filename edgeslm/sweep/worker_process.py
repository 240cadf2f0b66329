"""A job in a process of its own: torch keeps its memory, and runtimes in C++ do not meet those of a cluster."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from edgeslm.cache import cache_folder
from edgeslm.errors import InternalError, ToolchainError
from edgeslm.sweep.job import Job, JobError, JobResult

ATTEMPTS = 3
"""A worker that is lost (out of memory, killed) may have been unlucky."""


class WorkerLostError(Exception):
    """It was killed: by its signal's number."""


def run_worker(job: Job, folder: Path) -> JobResult:
    """Build into `folder` and wait for the end. Raises WorkerLostError where the process is killed."""
    ended = subprocess.run(
        [sys.executable, "-m", "edgeslm.sweep.worker", str(folder)],
        input=job.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode == 0:
        return JobResult.model_validate_json(ended.stdout.splitlines()[-1])
    if ended.returncode < 0 and ended.returncode != -signal.SIGINT:
        raise WorkerLostError(-ended.returncode)
    log = cache_folder() / "logs" / f"sweep-{job.key[:16]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(ended.stderr, encoding="utf-8")
    failed = InternalError(f"the worker ended with status {ended.returncode}", f"what it said is in {log}")
    return JobResult(job=job, error=worker_error(failed))


def worker_error(error: ToolchainError | InternalError) -> JobError:
    return JobError(kind="WorkerError", message=error.message, hint=error.hint, exit_code=error.exit_code)
