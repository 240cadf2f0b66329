"""What a backend makes of a layer whose weight is rounded, so that it can be computed without the backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.quantize.choices import Choice

RoundValues = Callable[[NDArray[np.float32], Choice, "NDArray[Any] | None"], NDArray[np.float32]]
"""Weights [out, in], choice, second moments [in, in] of the inputs or None -> what a backend computes with."""


@dataclass(frozen=True)
class Rounding:
    """`row`: activations that share a scale where a layer's are rounded to int8 as they come, 0 for a whole row; None
    where they stay float. `smooths`: outlying columns of them are moved into the weights first (smoothing.py), where
    all layers that read them are rounded."""

    values: RoundValues
    row: int | None = None
    smooths: bool = False
