"""What OpenVINO computes with for a choice, without a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.feedback import round_with_feedback
from edgeslm.backends.openvino.rounding import Floats, pad_columns, round_blocks, round_rows
from edgeslm.quantize.sensitivity import Choice


def round_values(weights: Floats, choice: Choice, moments: NDArray[Any] | None) -> Floats:
    """[out, in] as computed with once it is stored as chosen; `moments` [in, in] feed errors of int4 back."""
    precision, group = choice
    if precision == "fp32":
        return weights
    if precision == "fp16":
        return weights.astype(np.float16).astype(np.float32)
    if precision == "int8" or group is None:
        return round_rows(weights).floats()
    full = pad_columns(weights, group)
    if moments is None:
        return round_blocks(full, group).floats()[:, : weights.shape[1]]
    missing = full.shape[1] - weights.shape[1]
    known = np.pad(moments, (0, missing)) if missing else moments
    return round_with_feedback(full, known, group).floats()[:, : weights.shape[1]]
