"""One build of a sweep: what it is asked for, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from edgeslm.errors import EdgeslmError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Job(_Strict):
    """`options` are keyword arguments of edgeslm.build, limits as they are written ("14MB"). `key` is the digest of all
    that the result depends on."""

    key: str
    model: str
    target: str
    options: dict[str, str | float | int | bool]

    @property
    def title(self) -> str:
        words = [f"{name.replace('_', '-')} {value}" for name, value in self.options.items()]
        return f"{self.model} on {self.target}" + (f": {', '.join(words)}" if words else "")


class JobError(_Strict):
    kind: str
    message: str
    hint: str | None
    exit_code: int


class JobResult(_Strict):
    """Of a job that ended: its build's figures, or the error it ended with. `bundle` is a file's name beside it."""

    job: Job
    bundle: str | None = None
    digest: str | None = None
    model_bytes: int | None = None
    fidelity: float | None = None
    error: JobError | None = None

    @property
    def file(self) -> str:
        return f"{self.job.key[:16]}.json"


def run_job(job: Job, out: Path) -> JobResult:
    """Build it into the folder `out`. An EdgeslmError is a result; all else is the worker's own failure."""
    from edgeslm import api

    try:
        report = api.build(job.target, job.model, out=out, force=True, **build_options(job.options))
    except EdgeslmError as error:
        return JobResult(job=job, error=job_error(error))
    perplexity = report.fidelity.perplexity
    return JobResult(
        job=job,
        bundle=report.bundle.path.name,
        digest=report.bundle.digest,
        model_bytes=report.compiled.bytes,
        fidelity=report.fidelity.cosine_min if perplexity is None else perplexity.kept,
    )


def build_options(options: Mapping[str, str | float | int | bool]) -> dict[str, Any]:
    """As edgeslm.build takes them. Raises ConfigError for an amount that is none."""
    from edgeslm.limits import Limits, parse_bytes, parse_count, parse_milliseconds

    found: dict[str, Any] = dict(options)
    size, ram = found.pop("max_size", None), found.pop("max_ram", None)
    latency, instructions = found.pop("max_latency", None), found.pop("max_instructions", None)
    profile = found.pop("target_profile", None)
    found["limits"] = Limits(
        size=None if size is None else parse_bytes(str(size)),
        ram=None if ram is None else parse_bytes(str(ram)),
        latency_ms=None if latency is None else parse_milliseconds(str(latency)),
        instructions=None if instructions is None else parse_count(str(instructions)),
        objective=found.pop("objective", None),
        profile=None if profile is None else Path(profile),
    )
    return found


def job_error(error: EdgeslmError) -> JobError:
    return JobError(kind=error.kind, message=error.message, hint=error.hint, exit_code=error.exit_code)
