"""Scores to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Probabilities that sum to 1 along the last axis, in float64."""
    exponents: NDArray[Any] = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[Any] = exponents / exponents.sum(axis=-1, keepdims=True)
    return probabilities


def sigmoid(logits: NDArray[Any]) -> NDArray[Any]:
    """A probability for each score by itself, in float64."""
    # Through tanh, which does not overflow.
    halves: NDArray[Any] = np.tanh(0.5 * logits.astype(np.float64))
    return 0.5 * (1 + halves)
