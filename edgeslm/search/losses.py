"""What each choice loses, from a few that are measured: a tensor's errors grow evenly with its blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgeslm.quantize.choices import Choice
from edgeslm.quantize.sensitivity import Sensitivity

INT8: Choice = ("int8", None)
FP16: Choice = ("fp16", None)
WIDE = 128
"""Blocks that are measured beside the smallest ones; between and beyond them losses are interpolated."""
LEAST = 1e-12
"""What is lost is no less: shares of it are taken."""


def measured_choices(allowed: Sequence[Choice]) -> tuple[Choice, ...]:
    """Those of `allowed` that are measured: float32, int8, int4 in the smallest blocks and in wide ones."""
    groups = [group for precision, group in allowed if precision == "int4" and group is not None]
    kept = {min(groups), max(group for group in groups if group <= max(WIDE, min(groups)))} if groups else set()
    return tuple(one for one in allowed if one[0] in ("fp32", "int8") or one[1] in kept)


def measured_whole(allowed: Mapping[str, Sequence[Choice]], *, language: bool) -> dict[Choice, list[str]]:
    """Choices that are measured for all tensors at once, and which tensors those are: of an encoder, which is held to
    its worst text, each choice that is measured; halves always."""
    found: dict[Choice, list[str]] = {}
    for name, choices in allowed.items():
        measured = () if language else measured_choices(choices)
        for choice in choices:
            if choice == FP16 or (choice in measured and choice[0] != "fp32"):
                found.setdefault(choice, []).append(name)
    return found


def together(found: Sensitivity, *, worst: bool) -> dict[str, dict[Choice, float]]:
    """Losses of single tensors, scaled so that all those of a choice add up to what the model loses with it: of the
    text that it hurts most (`worst`: what an encoder is held to), or on the mean. Which tensor is the more sensitive is
    said by the mean over texts. Halves lose too little to be measured tensor by tensor: they share their loss as int8.
    """
    times: dict[Choice, float] = {}
    sums: dict[Choice, float] = {}
    for losses in found.losses.values():
        for choice, loss in losses.items():
            sums[choice] = sums.get(choice, 0.0) + loss
    for one in found.whole:
        lost, choice = max(one.worst if worst else one.mean, LEAST), (one.precision, one.group)
        alike = INT8 if one.precision == "fp16" else choice
        if sums.get(alike, 0.0) > 0:
            times[choice] = lost / sums[alike]
    return {
        name: {choice: times.get(choice, 1.0) * loss for choice, loss in losses.items()}
        | ({FP16: times[FP16] * losses[INT8]} if FP16 in times and INT8 in losses else {})
        for name, losses in found.losses.items()
    }


def complete(measured: Mapping[Choice, float], allowed: Sequence[Choice]) -> dict[Choice, float]:
    """A loss for every choice of `allowed`: as measured, or from those that were."""
    found = {choice: measured[choice] for choice in allowed if choice in measured}
    blocks = sorted((group, loss) for (precision, group), loss in measured.items() if precision == "int4" and group)
    for choice in allowed:
        precision, group = choice
        if choice not in found and precision == "int4" and group is not None and len(blocks) > 1:
            found[choice] = _between(blocks[0], blocks[-1], group)
    return found


def _between(low: tuple[int, float], high: tuple[int, float], group: int) -> float:
    """On the line through both, by the logarithms of block and loss; no less than the smaller blocks' beyond them."""
    if low[1] <= 0 or high[1] <= 0:
        return max(low[1], high[1])
    slope = max(0.0, math.log(high[1] / low[1]) / math.log(high[0] / low[0]))
    return low[1] * math.pow(group / low[0], slope)
