"""What an encoder's .tflite computes with for a choice, without a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.tflite.seen import BITS, DAMPING
from edgeslm.quantize.choices import Choice
from edgeslm.quantize.feedback import feedback_factor
from edgeslm.quantize.symmetric import Floats, round_values, round_with_feedback, row_scales


def encoder_values(weights: Floats, choice: Choice, moments: NDArray[Any] | None) -> Floats:
    """[out, in] as `Seen.round_again` stores them; `moments` [in, in] of what the layer is given, None of a table."""
    precision, group = choice
    if moments is None or precision not in BITS:
        return round_values(weights, choice)
    missing = -weights.shape[1] % group if group else 0
    padded = np.pad(weights, ((0, 0), (0, missing)))
    known = np.pad(moments, (0, missing)) if missing else moments
    rows = None if group else row_scales(weights, BITS[precision])
    factor = feedback_factor(known, DAMPING)
    rounded = round_with_feedback(padded, np.diagonal(known), factor, BITS[precision], group=group, rows=rows)
    values: Floats = (rounded.codes * np.repeat(rounded.scales, group or 1, axis=1)).astype(np.float32)
    return values[:, : weights.shape[1]]
