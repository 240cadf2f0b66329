"""Jobs on this machine, several at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from edgeslm.errors import ToolchainError
from edgeslm.sweep.job import Job, JobResult
from edgeslm.sweep.worker_process import ATTEMPTS, WorkerLostError, Workers, worker_error


def run_here(jobs: Sequence[Job], out: Path, workers: int) -> Iterator[JobResult]:
    """Results as they come. Bundles lie in a folder for each job below `out`."""
    processes = Workers()
    with ThreadPoolExecutor(workers) as pool:
        running: set[Future[JobResult]] = {pool.submit(_run, job, out, processes, workers) for job in jobs}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    yield one.result()
        finally:
            for one in running:
                one.cancel()
            processes.stop()


def _run(job: Job, out: Path, processes: Workers, workers: int) -> JobResult:
    how = ""
    for _ in range(ATTEMPTS):
        try:
            return processes.run(job, out / job.key[:16])
        except WorkerLostError as error:
            how = str(error)
        if processes.stopped:
            break
    fewer = "--jobs 1 builds one at a time" if workers > 1 else "close what else runs, or build on a machine with more"
    lost = ToolchainError(f"the worker {how}, {ATTEMPTS} times", f"out of memory? {fewer}")
    return JobResult(job=job, error=worker_error(lost))
