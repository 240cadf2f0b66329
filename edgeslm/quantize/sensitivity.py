"""What each choice for each tensor costs in quality: what a search for the best plan adds up.

Losses are measured one tensor at a time, all others in float, and are taken to add: errors of different layers are as
good as independent while they are small. What all tensors lose together is measured, too, a run for each choice. How
far that holds is in docs/measurements.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgeslm.artifacts import Precision, TensorChoice
from edgeslm.errors import TextsError

Choice = tuple[Precision, int | None]
"""Precision, and weights to a scale; None is one scale to a row."""
FLOATS: Choice = ("fp32", None)
Unit = Literal["1 - cosine", "KL"]
"""Of an embedding, against PyTorch's; of next tokens' or labels' probabilities, in nats."""
FEWEST_TEXTS, FEWEST_TOKENS = 8, 64


@dataclass(frozen=True)
class Loss:
    """Of one choice for one tensor."""

    precision: Precision
    group: int | None
    mean: float  # over texts, or tokens of a language model
    worst: float  # of the text that it hurts most


@dataclass(frozen=True)
class TensorLosses:
    """Of every choice that was measured for one parameter."""

    parameter: str
    losses: tuple[Loss, ...]


@dataclass(frozen=True)
class Sensitivity:
    """Of a model: one entry for each parameter that was measured, in the checkpoint's order."""

    unit: Unit
    texts: str  # what it was measured on
    samples: int
    tokens: int
    tensors: tuple[TensorLosses, ...]
    whole: tuple[Loss, ...] = ()  # of the model where all that can be stored so are

    @property
    def losses(self) -> dict[str, dict[Choice, float]]:
        """Parameter -> choice -> mean loss; 0 for fp32."""
        return {
            one.parameter: {FLOATS: 0.0} | {(loss.precision, loss.group): loss.mean for loss in one.losses}
            for one in self.tensors
        }

    def expected(self, choices: Mapping[str, TensorChoice]) -> float:
        """The mean loss of a whole plan. Raises KeyError for a choice that was not measured."""
        known = self.losses
        return sum(known[name][choice.precision, choice.group] for name, choice in choices.items() if name in known)


def require_enough(where: str, texts: int, tokens: int) -> None:
    """Raises TextsError where so little says nothing of a tensor."""
    if texts >= FEWEST_TEXTS and tokens >= FEWEST_TOKENS:
        return
    raise TextsError(
        f"{where}: {texts} text{'s' if texts != 1 else ''} of {tokens} tokens {'are' if texts != 1 else 'is'} too "
        "little to tell what matters",
        f"at least {FEWEST_TEXTS} texts and {FEWEST_TOKENS} tokens are needed, a few hundred varied texts are enough; "
        "without --calibration the built-in texts are taken",
    )
