"""Static ranges of activations: the greatest magnitude that int8 stands for, from how often each magnitude was seen.

Magnitudes are counted by the upper bits of their float32: 32 bins for each power of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BIN_SHIFT = 18
"""Bits of a float32 that a bin leaves out."""
BINS = 0x7F800000 >> BIN_SHIFT
"""Of all finite magnitudes."""
LARGEST = 127
LEAST_DECIBELS = 32.0
"""Signal to error. What norms and attention give has 34 to 41 (stories260k); the products of gated feed-forwards, whose
outliers are 20 to 30 times their root mean square, 25 to 29, and they alone cost 0.4 % of its perplexity."""


def greatest_magnitude(counts: NDArray[Any]) -> float:
    """The upper end of the last bin [BINS] that is not empty; 0 where nothing but zeros was seen."""
    seen = np.flatnonzero(counts)
    return float(_ends()[seen[-1]]) if seen.size and seen[-1] > 0 else 0.0


def least_error_magnitude(counts: NDArray[Any]) -> float:
    """The limit of the least mean squared error: rounding within it against saturation beyond it; 0 for zeros alone."""
    return _least_error(counts)[0]


def static_limit(counts: NDArray[Any]) -> float | None:
    """That limit, or None where even it leaves too much of an error: such rows need a range each."""
    limit, ratio = _least_error(counts)
    return limit if ratio >= 10 ** (LEAST_DECIBELS / 10) else None


def _least_error(counts: NDArray[Any]) -> tuple[float, float]:
    """The limit, and mean square of the values by that of their errors.

    Every upper end of a bin is tried, from a thousandth of the greatest magnitude on.
    """
    greatest = greatest_magnitude(counts)
    if greatest == 0.0:
        return 0.0, np.inf
    ends = _ends()
    values = (ends + np.append(0.0, ends[:-1])) / 2
    seen = np.flatnonzero(counts)
    values, weights = values[seen], counts[seen].astype(np.float64)
    limits = ends[(ends >= greatest / 1000) & (ends <= greatest)]
    steps = limits[:, None] / LARGEST
    within = np.minimum(values**2, steps**2 / 12)
    errors = np.where(values > limits[:, None], (values - limits[:, None]) ** 2, within) @ weights
    best = int(errors.argmin())
    return float(limits[best]), float(values**2 @ weights / errors[best])


def _ends() -> NDArray[np.float64]:
    """Upper ends of all bins."""
    bits = np.arange(1, BINS + 1, dtype=np.uint32) << BIN_SHIFT
    bits[-1] = 0x7F7FFFFF
    return bits.view(np.float32).astype(np.float64)
