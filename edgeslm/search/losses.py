"""What each choice loses, from a few that are measured: a tensor's errors grow evenly with its blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgeslm.quantize.choices import Choice

WIDE = 128
"""Blocks that are measured beside the smallest ones; between and beyond them losses are interpolated."""
HALF_SHARE = 2.0**-8
"""Of int8's loss, that of halves: their steps are a sixteenth of int8's at a row's largest weight; errors square."""


def measured_choices(allowed: Sequence[Choice]) -> tuple[Choice, ...]:
    """Those of `allowed` that are measured: float32, int8, int4 in the smallest blocks and in wide ones."""
    groups = [group for precision, group in allowed if precision == "int4" and group is not None]
    kept = {min(groups), max(group for group in groups if group <= max(WIDE, min(groups)))} if groups else set()
    return tuple(one for one in allowed if one[0] in ("fp32", "int8") or one[1] in kept)


def complete(measured: Mapping[Choice, float], allowed: Sequence[Choice]) -> dict[Choice, float]:
    """A loss for every choice of `allowed`: as measured, or from those that were."""
    found = {choice: measured[choice] for choice in allowed if choice in measured}
    blocks = sorted((group, loss) for (precision, group), loss in measured.items() if precision == "int4" and group)
    for choice in allowed:
        precision, group = choice
        if choice in found:
            continue
        if precision == "fp16" and ("int8", None) in measured:
            found[choice] = HALF_SHARE * measured["int8", None]
        elif precision == "int4" and group is not None and len(blocks) > 1:
            found[choice] = _between(blocks[0], blocks[-1], group)
    return found


def _between(low: tuple[int, float], high: tuple[int, float], group: int) -> float:
    """On the line through both, by the logarithms of block and loss; no less than the smaller blocks' beyond them."""
    if low[1] <= 0 or high[1] <= 0:
        return max(low[1], high[1])
    slope = max(0.0, math.log(high[1] / low[1]) / math.log(high[0] / low[0]))
    return low[1] * math.pow(group / low[0], slope)
