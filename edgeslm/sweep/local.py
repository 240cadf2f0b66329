"""Jobs on this machine, several at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from edgeslm.errors import ToolchainError
from edgeslm.sweep.job import Job, JobResult
from edgeslm.sweep.worker_process import ATTEMPTS, WorkerLostError, run_worker, worker_error


def run_here(jobs: Sequence[Job], out: Path, workers: int) -> Iterator[JobResult]:
    """Results as they come. Bundles lie in a folder for each job below `out`."""
    with ThreadPoolExecutor(workers) as pool:
        running: set[Future[JobResult]] = {pool.submit(_run, job, out) for job in jobs}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    yield one.result()
        finally:
            for one in running:
                one.cancel()


def _run(job: Job, out: Path) -> JobResult:
    number = ""
    for _ in range(ATTEMPTS):
        try:
            return run_worker(job, out / job.key[:16])
        except WorkerLostError as error:
            number = str(error)
    lost = ToolchainError(
        f"the worker was killed {ATTEMPTS} times, the last time by signal {number}",
        "out of memory? --jobs 1 builds one at a time",
    )
    return JobResult(job=job, error=worker_error(lost))
