"""The story of a sweep: what has a result is kept, what has none is run, and every job has one result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeslm.cache import explain_full_disk
from edgeslm.formats.archive import replacing
from edgeslm.sweep.job import Job, JobResult

RESULTS = "results"


class SweepReport(BaseModel):
    """`edgeslm sweep --json`: a result for each job of the file, in its order. `kept`: keys of those that were there
    already."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    results: tuple[JobResult, ...]
    kept: tuple[str, ...]


def sweep(
    jobs: Sequence[Job],
    out: Path,
    run: Callable[[Sequence[Job]], Iterator[JobResult]],
    tell: Callable[[JobResult], None],
) -> SweepReport:
    """Run what is missing by `run`, tell each result when it is there, and leave it in `out`/results.

    Errors of a job are a result; a job that ended so is run again the next time.
    """
    found = {job.key: result for job in jobs if (result := _kept(job, out)) is not None}
    kept = tuple(found)
    with explain_full_disk(out):
        for result in run([job for job in jobs if job.key not in found]):
            if result.job.key in found:  # a worker that was given up came back
                continue
            found[result.job.key] = result
            (out / RESULTS).mkdir(parents=True, exist_ok=True)
            with replacing(out / RESULTS / result.file) as partial:
                partial.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
            tell(result)
    return SweepReport(results=tuple(found[job.key] for job in jobs), kept=kept)


def _kept(job: Job, out: Path) -> JobResult | None:
    """The result of an earlier run, if its bundle is still there and it was no error."""
    path = out / RESULTS / f"{job.key[:16]}.json"
    try:
        result = JobResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    if result.job.key != job.key or result.bundle is None or not (out / job.key[:16] / result.bundle).is_file():
        return None
    return result
