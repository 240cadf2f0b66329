"""Milliseconds of a board, foretold from instructions and bytes: only from measurements, and with their error.

    ms = a · instructions + b · bytes

`a` holds what the core does in a second, `b` what its memory carries; both come from bundles that were measured on
the board and counted on the emulated core. Neither is below zero. The fit minimizes relative errors, and its own error
is what it makes on measurements that were left out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import ConfigError
from edgeslm.probe.report import EstimatedLength, EstimatePart, ProbeReport

LEAST_POINTS = 3
WANTED = (
    "a calibration holds, for one bundle at least, its report from the board (--via ssh or local there) and its report "
    "of --via qemu, with three lengths or more"
)


@dataclass(frozen=True)
class Point:
    """One length of one bundle, measured and counted."""

    bundle: str  # digest
    instructions: float
    bytes: int
    ms: float


@dataclass(frozen=True)
class Calibration:
    """What a board's milliseconds rest on."""

    core: str
    board: str
    points: tuple[Point, ...]
    basis: tuple[str, ...]  # the board's reports


def calibrate(core: str, reports: Sequence[ProbeReport]) -> Calibration:
    """The measurements of a board in these reports.

    Raises ConfigError where they are not enough, of another core, or of several boards.
    """
    real = [report for report in reports if not report.emulated and report.device.core == core]
    counted = [report for report in reports if report.emulated and report.device.core == core]
    boards = sorted({(report.device.board or "unnamed board", report.runtime.threads) for report in real})
    if len(boards) > 1:
        named = "; ".join(f"{board}, {threads} threads" for board, threads in boards)
        raise ConfigError(f"the calibration is of several boards or numbers of threads: {named}", "give one's reports")
    points = pair(real, counted)
    if len(points) < LEAST_POINTS:
        raise ConfigError(f"the calibration has {len(points)} measured and counted lengths of {core}", WANTED)
    return Calibration(
        core=core,
        board=boards[0][0],
        points=tuple(points),
        basis=tuple(
            f"{report.bundle.name} {report.bundle.scheme} ({report.bundle.digest[:12]}, "
            f"{report.runtime.threads} threads, {report.started_at[:10]})"
            for report in real
            if any(point.bundle == report.bundle.digest for point in points)
        ),
    )


def estimate(report: ProbeReport, calibration: Calibration) -> EstimatePart:
    """What the board would take for this emulated report's lengths."""
    a, b = fit(calibration.points)
    error = left_out_error(calibration.points)
    lengths = []
    for part in report.lengths:
        if part.instructions is not None:
            ms = a * part.instructions.per_inference + b * report.bundle.model_bytes
            lengths.append(EstimatedLength(tokens=part.tokens, ms=ms, error_ms=ms * error))
    return EstimatePart(
        core=calibration.core,
        board=calibration.board,
        lengths=tuple(lengths),
        ns_per_instruction=a * 1e6,
        ns_per_byte=b * 1e6,
        points=len(calibration.points),
        error=error,
        basis=calibration.basis,
    )


def pair(real: Sequence[ProbeReport], counted: Sequence[ProbeReport]) -> list[Point]:
    """The lengths that were both measured and counted, of the same bundles."""
    instructions = {
        (report.bundle.digest, part.tokens): part.instructions.per_inference
        for report in counted
        for part in report.lengths
        if part.instructions is not None
    }
    return [
        Point(report.bundle.digest, instructions[key], report.bundle.model_bytes, part.latency_ms.p50)
        for report in real
        for part in report.lengths
        for key in ((report.bundle.digest, part.tokens),)
        if part.latency_ms is not None and key in instructions
    ]


def fit(points: Sequence[Point]) -> tuple[float, float]:
    """(a, b) in ms per instruction and ms per byte, neither below zero."""
    rows = np.array([[point.instructions / point.ms, point.bytes / point.ms] for point in points])
    both = _solve(rows)
    if both.min() >= 0 and np.linalg.matrix_rank(rows) == 2:
        return float(both[0]), float(both[1])
    # On the boundary: the better one of the two alone.
    alone = [(float(_solve(rows[:, [column]])[0]), column) for column in (0, 1)]
    value, column = min(alone, key=lambda one: float(np.square(rows[:, one[1]] * one[0] - 1).sum()))
    return (value, 0.0) if column == 0 else (0.0, value)


def left_out_error(points: Sequence[Point]) -> float:
    """The largest relative error when each bundle (of a single one, each length) is foretold from the others."""
    bundles = sorted({point.bundle for point in points})
    if len(bundles) > 1:
        groups = [[point for point in points if point.bundle == bundle] for bundle in bundles]
    else:
        groups = [[point] for point in points]
    errors = []
    for group in groups:
        a, b = fit([point for point in points if point not in group])
        errors += [abs(a * point.instructions + b * point.bytes - point.ms) / point.ms for point in group]
    return max(errors)


def _solve(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    # Columns differ by orders of magnitude: scaled to one for the solver, and back.
    scale = np.abs(rows).max(axis=0)
    solution: NDArray[np.float64] = np.linalg.lstsq(rows / scale, np.ones(len(rows)), rcond=None)[0] / scale
    return solution
