"""What every kind of report is made of: latencies and counts, from samples."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LatencyPart(Part):
    """Milliseconds of one inference, batch 1, on the device's monotonic clock."""

    p50: float
    p90: float
    p99: float
    mean: float
    min: float
    max: float
    runs: int
    discarded: int  # readings that cannot be: the device's clock went backwards


class InstructionsPart(Part):
    """Guest instructions of one inference in one thread, counted by the emulator. They are no times."""

    per_inference: float  # the median of the runs; a language model's inference is a step, or the answer to a prompt
    per_token: float | None  # by the text's tokens; None for a plain module
    runs: int
    spread: float  # (most - least) / median: how far the count is deterministic


def latency_part(samples_ms: Sequence[float], discarded: int = 0) -> LatencyPart | None:
    """Percentiles by linear interpolation between the two nearest samples (numpy's default); None without samples."""
    if not samples_ms:
        return None
    p50, p90, p99 = (float(value) for value in np.percentile(samples_ms, (50, 90, 99)))
    return LatencyPart(
        p50=p50,
        p90=p90,
        p99=p99,
        mean=statistics.fmean(samples_ms),
        min=min(samples_ms),
        max=max(samples_ms),
        runs=len(samples_ms),
        discarded=discarded,
    )


def instructions_part(counts: Sequence[float], tokens: int | None) -> InstructionsPart | None:
    """The median of some runs of the same work; None without runs."""
    if not counts:
        return None
    median = float(statistics.median(counts))
    return InstructionsPart(
        per_inference=median,
        per_token=median / tokens if tokens else None,
        runs=len(counts),
        spread=(max(counts) - min(counts)) / median if median else 0.0,
    )
