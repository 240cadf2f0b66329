"""The profile by operator and layer: the device's times, or the emulator's counts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from edgeslm.probe.clock_reads import instructions_by_operator
from edgeslm.probe.language_report import DepthPart
from edgeslm.probe.layers import assign_layers, sum_layers
from edgeslm.probe.report import LengthPart, OperatorPart, ProfilePart
from edgeslm.probe.settings import Event


def profile_part(
    event: Event,
    take_counts: Callable[[int], list[list[int]]],
    reference: LengthPart | DepthPart | None,
    layers: bytes | None,
) -> ProfilePart | None:
    """The profile of the reference length, or None where the runtime gives none.

    `take_counts(runs)` gives the next runs' instructions, split at clock reads; nothing where nothing was counted.
    """
    operators, runs = event["operators"], event["runs"]
    counted = take_counts(runs)
    if not operators:
        return None
    instructions = _median_counts(
        [instructions_by_operator(run, operators, event.get("concatenated", 1)) for run in counted]
    )
    if reference is not None and reference.latency_ms is None:  # an emulator's times are none of the device's
        operators = [{**operator, "microseconds": []} for operator in operators]
        if instructions is None:
            return None
    parts = assign_layers(operators, layers, event["signature"], instructions)
    return ProfilePart(
        tokens=event["tokens"], runs=runs, operators=parts, layers=sum_layers(parts), covered=_covered(parts, reference)
    )


def _median_counts(runs: Sequence[Sequence[float] | None]) -> list[float] | None:
    """Each operator's count, the median of the runs; None where a run's clock reads do not fit the operators."""
    fitting = [run for run in runs if run is not None]
    if not fitting or len(fitting) < len(runs):
        return None
    return [float(statistics.median(counts)) for counts in zip(*fitting, strict=True)]


def _covered(parts: Sequence[OperatorPart], reference: LengthPart | DepthPart | None) -> float | None:
    """What the operators add up to, as a share of the inference measured without profiling."""
    if reference is None:
        return None
    if reference.latency_ms is not None:
        return sum(part.ms or 0 for part in parts) / reference.latency_ms.p50
    if reference.instructions is not None:
        return sum(part.instructions or 0 for part in parts) / reference.instructions.per_inference
    return None
