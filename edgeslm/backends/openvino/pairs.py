"""int8 weights that two products of 8 bits have room for in 16.

Without VNNI, x86-64 adds a0·w0 + a1·w1 in 16 bits and cuts off what is beyond (Intel 64 and IA-32 Architectures
Software Developer's Manual, VPMADDUBSW); a is from 0 to 255, and a pair is columns 2k and 2k + 1. One product always
fits, and so do two of opposite signs: only w0 + w1 of one sign must stay within ±128. A row's scale grows by a fifth
for that, where codes up to 64 would double it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.quantize import feedback

Floats = NDArray[np.float32]
LARGEST = 127
ROOM = 32767 // 255
"""What the codes of a pair may add up to."""
DAMPING = 0.1


def row_scales(weights: Floats) -> Floats:
    """[out, 1]: the finest with which no code and no pair of codes [out, in] is cut off."""
    even = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))
    single = np.abs(weights).max(axis=1, keepdims=True) / np.float32(LARGEST)
    pairs = np.abs(even[:, 0::2] + even[:, 1::2]).max(axis=1, keepdims=True) / np.float32(ROOM)
    scales: Floats = np.maximum(np.maximum(single, pairs), np.float32(1e-12))
    return scales


def round_pairs(weights: Floats, moments: NDArray[Any]) -> tuple[NDArray[np.int8], Floats]:
    """Codes [out, in] and scales [out, 1] for `weights` [out, in], with error feedback by the inputs' moments."""
    scales = row_scales(weights)
    factor = feedback.feedback_factor(moments.astype(np.float32), DAMPING)
    codes = feedback.round_with_feedback(weights, factor, _PairGrid(scales[:, 0]), None)
    return codes.astype(np.int8), scales


@dataclass
class _PairGrid:
    """Columns come in their order; what the feedback adds to the second of a pair must not be too much for both."""

    step: Floats
    first: NDArray[Any] | None = None  # codes of the column before, where this one is the second of a pair

    def enter(self, block: Floats, start: int) -> None:
        """Scales are given."""

    def round(self, column: Floats) -> tuple[NDArray[Any], Floats]:
        codes = np.clip(np.rint(column / self.step), -LARGEST, LARGEST)
        if self.first is None:
            self.first = codes
        else:
            least = np.where(self.first < 0, -ROOM - self.first, -LARGEST)
            most = np.where(self.first > 0, ROOM - self.first, LARGEST)
            codes = np.clip(codes, least, most)
            self.first = None
        return codes, codes * self.step
