"""Moving outlying activations into the weights (SmoothQuant, Xiao et al. 2022, arXiv:2211.10438).

Where a few columns of a layer's input are far larger than the rest, one scale for the row leaves the rest few steps.
x Wᵀ = (x / s)(W s)ᵀ for any s: columns are divided ahead of the layers that read them, and the weights multiplied once
and for all. Only where that lessens the error by much: dividing costs time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeslm.quantize.layer_inputs import LayerInputs
from edgeslm.quantize.symmetric import Floats, rounding_error

STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # how much of an outlier moves into the weights, as an exponent
WORTH = 0.7  # smooth where the error falls below this share of what it was
Kept = tuple[int, int | None]
"""Bits and block length of a weight."""


def best_factors(
    weights: Sequence[Floats], inputs: Sequence[LayerInputs], kept: Sequence[Kept], *, static: bool = False
) -> Floats | None:
    """s [in] for layers that read the same columns, each [out, in] with what flows into it and how it is rounded; None
    where it is not worth a division. `static`: one scale for the activations of all texts, not one for each row."""
    peaks = np.max([one.peaks for one in inputs], axis=0)
    columns = np.max([np.abs(values).max(axis=0) for values in weights], axis=0)
    if float(peaks.max()) == 0.0:
        return None
    before = best = _total_error(weights, inputs, kept, np.ones_like(peaks), static)
    chosen: Floats | None = None
    for strength in STRENGTHS:
        factor = np.maximum(peaks, peaks.max() * 1e-4) ** strength
        factor /= np.maximum(columns, columns.max() * 1e-4) ** (1 - strength)
        factor = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
        error = _total_error(weights, inputs, kept, factor, static)
        if error < min(best, WORTH * before):
            best, chosen = error, factor
    return chosen


def _total_error(
    weights: Sequence[Floats], inputs: Sequence[LayerInputs], kept: Sequence[Kept], factor: Floats, static: bool
) -> float:
    """Rounding errors of weights and of activations in what the layers make, summed and squared."""
    total = 0.0
    divided = {id(one): one.divided(factor) for one in inputs}  # layers share theirs
    for values, seen, (bits, group) in zip(weights, inputs, kept, strict=True):
        now = divided[id(seen)]
        scaled = values * factor
        total += rounding_error(scaled, np.diagonal(now.moments), bits, group)
        # A row's 255 steps span its range, or that of all rows; each entry is off by a twelfth of a step, squared.
        spread = now.width**2 * now.rows if static else now.spread
        total += spread / 255**2 / 12 * float(np.square(scaled).sum())
    return total
