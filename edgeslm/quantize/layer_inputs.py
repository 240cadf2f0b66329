"""What flows into a linear layer: all that rounding and smoothing want to know of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
EXAMPLES_EACH, MOST_EXAMPLES = 16, 512  # rows kept of a sample, and of all of them


@dataclass(frozen=True)
class LayerInputs:
    """The rows x that a weight [out, in] is multiplied with."""

    moments: Floats  # xᵀx summed by the samples' weights, [in, in]
    low: Floats  # least and largest x of each column, [in]
    high: Floats
    examples: Floats  # a few of the rows, [n, in]
    rows: float  # how many there were, by the same weights

    @property
    def peaks(self) -> Floats:
        """Largest |x| of each column, [in]."""
        largest: Floats = np.maximum(np.abs(self.low), np.abs(self.high))
        return largest

    @property
    def width(self) -> float:
        """max x - min x over all rows, zero among them: what one scale for all of them has to span."""
        return max(float(self.high.max()), 0.0) - min(float(self.low.min()), 0.0)

    @property
    def spread(self) -> float:
        """(max x - min x)² summed over rows, estimated from the examples: what a scale to a row has to span."""
        width = np.maximum(self.examples.max(axis=1), 0) - np.minimum(self.examples.min(axis=1), 0)
        return float(np.square(width).mean()) * self.rows

    def joined(self, other: LayerInputs) -> LayerInputs:
        examples = np.concatenate([self.examples, other.examples])[:MOST_EXAMPLES]
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return LayerInputs(self.moments + other.moments, low, high, examples, self.rows + other.rows)

    def divided(self, factor: Floats) -> LayerInputs:
        """What the layer sees once its columns are divided by `factor` [in]."""
        share = np.float32(1) / factor
        moments = self.moments * share[:, None] * share[None, :]
        return LayerInputs(moments, self.low * share, self.high * share, self.examples * share, self.rows)
