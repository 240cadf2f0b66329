"""How what flows into a layer is quantized to 8 bits: with one scale for all texts, or with one for each row.

Columns that reach far are divided, and the weights multiplied instead (SmoothQuant; Xiao et al. 2022,
arXiv:2211.10438), as far as the errors of both say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.moments import Seen
from edgeslm.backends.openvino.pairs import row_scales

Floats = NDArray[np.float32]
STRENGTHS = tuple(step / 10 for step in range(11))  # how much of an outlier moves into the weights, as an exponent
COHERENCE, COHERENCE_BY_ROW = 3.0, 1.0
"""How much a weight's squared error counts beside one of the activations, error feedback taken into account: it is
the same in all tokens, where the others cancel each other. MiniLM, least cosine with all layers static: 0.25 0.987,
1 0.987, 3 0.992, 10 0.993 (mean .9978, .9979, .9980, .9974)."""
LOWEST = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.03)
"""Least value of a row as a share of its largest, tried: what GELU makes hardly falls below 0."""
LEVELS = 255
TINY = 1e-6


@dataclass(frozen=True)
class Flow:
    """`shares` [in]: what flows in is multiplied by these, then quantized from `low` to `high`. Those are in shares of
    the row's own size where it is `by_row`: the larger of its largest value and its least one divided by `low`."""

    shares: Floats
    low: float
    high: float
    by_row: bool


def static_flow(weights: Sequence[Floats], seen: Seen) -> Flow:
    """`weights` [out, in]: of all layers that read it."""
    joined = np.concatenate(list(weights))

    def measure(shares: Floats) -> tuple[float, Flow]:
        low, high = float((seen.low * shares).min()), float((seen.high * shares).max())
        flow = Flow(shares, *_with_zero(low, high), by_row=False)
        return (flow.high - flow.low) ** 2, flow

    return _best(joined, seen, COHERENCE, measure)


def row_flow(weights: Sequence[Floats], seen: Seen) -> Flow:
    joined = np.concatenate(list(weights))

    def measure(shares: Floats) -> tuple[float, Flow]:
        rows = seen.examples * shares
        top, bottom = rows.max(axis=1), -rows.min(axis=1)
        found = []
        for lowest in LOWEST:
            sizes = np.maximum(top, bottom / lowest)
            found.append((float(np.average(np.square(sizes * (1 + lowest)), weights=seen.counts)), lowest))
        width, lowest = min(found)
        return width, Flow(shares, *_with_zero(-lowest, 1.0), by_row=True)

    return _best(joined, seen, COHERENCE_BY_ROW, measure)


def _best(weights: Floats, seen: Seen, coherence: float, measure: Callable[[Floats], tuple[float, Flow]]) -> Flow:
    """`measure`: shares -> mean squared width of what is quantized, and how."""
    peaks = np.maximum(np.maximum(-seen.low, seen.high), np.float32(TINY))
    sizes = np.diagonal(seen.moments) / max(seen.rows, TINY)
    found = []
    for strength in STRENGTHS:
        factor = np.maximum(peaks, peaks.max() * 1e-4) ** strength
        shares = (np.exp(np.log(factor).mean()) / factor).astype(np.float32)
        divided = weights / shares
        squared_width, flow = measure(shares)
        activations = squared_width / LEVELS**2 * float(np.square(divided).sum())
        rounding = float(np.square(row_scales(divided)).sum()) * float((sizes * shares**2).sum())
        found.append((activations + coherence * rounding, flow))
    return min(found, key=lambda one: one[0])[1]


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """The range, moved so that 0 is one of its steps."""
    low, high = min(low, 0.0), max(high, 0.0, min(low, 0.0) + TINY)
    step = (high - low) / LEVELS
    zero = round(-low / step)
    return -zero * step, (LEVELS - zero) * step
