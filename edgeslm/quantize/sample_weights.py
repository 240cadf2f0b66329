"""How much each calibration sample's rows count in the moments that rounding goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from edgeslm.artifacts import OnnxModel, Samples

MADE = 0.5
"""What the samples that were made count, all together, beside all that were written."""


def sample_weights(
    samples: Sequence[Mapping[str, NDArray[Any]]], calibration: Samples, model: OnnxModel
) -> list[float]:
    """One number for each sample; those of the written ones are 1 on the average over their rows.

    An embedding is the mean over a text's tokens, so the error of one token counts by one over their number, squared:
    otherwise short texts, whose few tokens matter most, would have no say.
    """
    lengths = [max((array.shape[1] for array in one.values() if array.ndim > 1), default=1) for one in samples]
    weights = [1.0 / length**2 if model.task == "embedding" and model.lengths else 1.0 for length in lengths]
    count = calibration.count
    written = sum(weight * length for weight, length in zip(weights[:count], lengths[:count], strict=True))
    made = sum(weight * length for weight, length in zip(weights[count:], lengths[count:], strict=True))
    total = sum(lengths[:count])
    return [
        weight * (total / written if number < count else MADE * total / made) for number, weight in enumerate(weights)
    ]
