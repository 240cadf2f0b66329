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
    """As `text_weights`, by what the model is for."""
    return text_weights(samples, calibration.count, pooled=model.task == "embedding" and bool(model.lengths))


def text_weights(samples: Sequence[Mapping[str, NDArray[Any]]], count: int, *, pooled: bool) -> list[float]:
    """One number for each sample; those of the first `count`, the written ones, are 1 on the average over their rows.

    `pooled`: an embedding is the mean over a text's tokens, so the error of one token counts by one over their number,
    squared: otherwise short texts, whose few tokens matter most, would have no say.
    """
    lengths = [max((array.shape[1] for array in one.values() if array.ndim > 1), default=1) for one in samples]
    weights = [1.0 / length**2 if pooled else 1.0 for length in lengths]
    written = sum(weight * length for weight, length in zip(weights[:count], lengths[:count], strict=True))
    made = sum(weight * length for weight, length in zip(weights[count:], lengths[count:], strict=True))
    total = sum(lengths[:count])
    return [
        weight * (total / written if number < count else MADE * total / made) for number, weight in enumerate(weights)
    ]
