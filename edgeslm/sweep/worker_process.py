"""A job in a process of its own: torch keeps its memory, and runtimes in C++ do not meet those of a cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from edgeslm.cache import cache_folder
from edgeslm.errors import InternalError, ToolchainError
from edgeslm.sweep.job import Job, JobError, JobResult

ATTEMPTS = 3
"""A worker that is lost (out of memory, killed) may have been unlucky."""
NO_MEMORY = 12
"""The status of a worker that could not have the memory it asked for; ENOMEM."""
GRACE_S = 10.0
"""A worker that is interrupted takes so long, at most, to tidy up."""


class WorkerLostError(Exception):
    """It was killed, or had no memory left: how."""


class Workers:
    """Those that run at this moment: they do not outlive an interrupted sweep, and leave nothing half done."""

    def __init__(self) -> None:
        self.stopped = False
        self._running: set[subprocess.Popen[str]] = set()
        self._changing = threading.Lock()

    def run(self, job: Job, folder: Path) -> JobResult:
        """As run_worker, which see."""
        return run_worker(job, folder, self)

    def started(self, process: subprocess.Popen[str]) -> None:
        with self._changing:
            self._running.add(process)
            if self.stopped:
                _signal(process, signal.SIGINT)

    def ended(self, process: subprocess.Popen[str]) -> None:
        with self._changing:
            self._running.discard(process)

    def stop(self) -> None:
        """Interrupt them all, and wait until they are gone."""
        with self._changing:
            self.stopped = True
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGINT)
        ends = time.monotonic() + GRACE_S
        for process in running:
            try:
                process.wait(max(0.1, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)


def run_worker(job: Job, folder: Path, workers: Workers | None = None) -> JobResult:
    """Build into `folder` and wait for the end. Raises WorkerLostError where the process is killed."""
    command = [sys.executable, "-m", "edgeslm.sweep.worker", str(folder)]
    ended = carried_out(command, job.model_dump_json(), workers)
    if ended.returncode == 0:
        return JobResult.model_validate_json(ended.stdout.splitlines()[-1])
    if ended.returncode == NO_MEMORY:
        raise WorkerLostError("had no memory left")
    if ended.returncode == -signal.SIGKILL:
        raise WorkerLostError("was killed, as one is that has no memory left")
    if ended.returncode < 0:
        raise WorkerLostError(f"was ended by {signal.Signals(-ended.returncode).name}")
    log = cache_folder() / "logs" / f"sweep-{job.key[:16]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(ended.stderr, encoding="utf-8")
    failed = InternalError(f"the worker ended with status {ended.returncode}", f"what it said is in {log}")
    return JobResult(job=job, error=worker_error(failed))


def carried_out(command: list[str], given: str, workers: Workers | None) -> subprocess.CompletedProcess[str]:
    """In a session of its own: Ctrl-C in the terminal is the sweep's, which passes it on."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        if workers is not None:
            workers.started(process)
        try:
            stdout, stderr = process.communicate(given)
        finally:
            if workers is not None:
                workers.ended(process)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """To it and to what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def worker_error(error: ToolchainError | InternalError) -> JobError:
    return JobError(kind="WorkerError", message=error.message, hint=error.hint, exit_code=error.exit_code)
