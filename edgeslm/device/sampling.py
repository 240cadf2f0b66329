"""Which token comes next: the likeliest, or one drawn from those that the settings leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import DeviceError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choose = Callable[["NDArray[np.float32]"], int]
"""Logits, shape (vocabulary,), to a token."""

FIRST_NUCLEUS = 256
"""So many of the likeliest tokens nearly always hold the mass of a nucleus; sorting a whole vocabulary takes 1 ms."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. Temperature 0 takes the likeliest one; everything else draws, the same for the same seed.

    The settings work in the order they stand in transformers: repetition penalty (Keskar et al. 2019, CTRL), over the
    tokens of prompt and answer; temperature; top-k (0: all); top-p (Holtzman et al. 2020, nucleus sampling); min-p
    (Nguyen et al. 2024). Raises UsageError for a value out of its range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        _require("temperature", self.temperature, 0 <= self.temperature < math.inf, "a number from 0")
        _require("top_k", self.top_k, _whole(self.top_k), "a whole number from 0 (0: all tokens)")
        _require("top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1")
        _require("min_p", self.min_p, 0 <= self.min_p <= 1, "from 0 to 1")
        penalty = self.repetition_penalty
        _require("repetition_penalty", penalty, 0 < penalty < math.inf, "a number above 0 (1: no penalty)")
        _require("seed", self.seed, _whole(self.seed), "a whole number from 0")

    def chooser(self, prompt: Iterable[int]) -> Choose:
        """A fresh chooser for an answer to `prompt`; equal ones make equal choices."""
        if self.temperature == 0 and self.repetition_penalty == 1:
            return likeliest
        return Sampler(self, prompt).choose


def likeliest(logits: NDArray[np.float32]) -> int:
    """The token with the greatest logit; the first of several. What is not finite does not count."""
    token = int(logits.argmax())
    # argmax gives the first NaN where there is one, so this look at a single number is enough.
    if math.isfinite(logits[token]):
        return token
    return int(_numbers(logits).argmax())


class Sampler:
    """Draws the tokens of one answer, and remembers them for the repetition penalty."""

    def __init__(self, sampling: Sampling, prompt: Iterable[int] = ()) -> None:
        self._sampling = sampling
        self._random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._seen = dict.fromkeys(prompt)

    def choose(self, logits: NDArray[np.float32]) -> int:
        """The next token for logits of shape (vocabulary,), which are left as they are.

        Raises DeviceError where the model gave no number.
        """
        if self._sampling.temperature == 0:
            token = int(self._penalized(logits).argmax())
        else:
            tokens, weights = self._weighted(logits)
            mass = weights.cumsum(dtype=np.float64)
            drawn = int(mass.searchsorted(self._random.random() * mass[-1], side="right"))
            # Where the product is rounded up to the whole mass: the last token that has any.
            token = int(tokens[min(drawn, int(mass.searchsorted(mass[-1])))])
        if self._sampling.repetition_penalty != 1:
            self._seen[token] = None
        return token

    def kept(self, logits: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The tokens that may be drawn and their probabilities, both of shape (kept,); at least one is kept."""
        tokens, weights = self._weighted(logits)
        return tokens, weights / weights.sum(dtype=np.float64)

    def _weighted(self, logits: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """The tokens that may be drawn, and how likely they are beside the likeliest one."""
        sampling = self._sampling
        scores = self._penalized(logits)
        least = _LEAST
        if 0 < sampling.top_k < len(scores):
            # Like transformers, all that are as likely as the k-th.
            least = max(np.partition(scores, -sampling.top_k)[-sampling.top_k], _LEAST)
        tokens: NDArray[np.intp] = np.arange(len(scores)) if scores.min() >= least else np.flatnonzero(scores >= least)
        with np.errstate(over="ignore"):  # to -inf: a tiny temperature leaves the likeliest alone
            scaled = np.divide(scores[tokens] - scores.max(), sampling.temperature, dtype=np.float64)
            weights: NDArray[np.float32] = np.exp(scaled.astype(np.float32))
        if sampling.top_p < 1:
            inside = _nucleus(weights, sampling.top_p)
            tokens, weights = tokens[inside], weights[inside]
        if sampling.min_p > 0:
            likely = weights >= sampling.min_p * weights.max()
            tokens, weights = tokens[likely], weights[likely]
        return tokens, weights

    def _penalized(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits with the penalty, which may be the caller's own where there is none; what is no number is -inf."""
        scores = _numbers(logits)
        if self._sampling.repetition_penalty == 1 or not self._seen:
            return scores
        seen = np.fromiter(self._seen, np.intp, len(self._seen))
        seen = seen[seen < len(scores)]  # a tokenizer may know more tokens than the model gives
        penalty = np.float32(self._sampling.repetition_penalty)
        said = scores[seen]
        penalized = scores.copy()
        # Above the range of float32 stays -inf or the largest: such a token is out of the question, or sure.
        with np.errstate(over="ignore"):
            penalized[seen] = np.minimum(np.where(said < 0, said * penalty, said / penalty), -_LEAST)
        return scores if penalized.max() == -np.inf else penalized


_LEAST = np.finfo(np.float32).min


def _numbers(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logits, -inf for what is no number; the caller's own where all are numbers, as they are nearly always."""
    if math.isfinite(logits.min()) and math.isfinite(logits.max()):
        return logits
    finite = np.isfinite(logits)
    if not finite.any():
        raise DeviceError(
            "the model gave no number: all its logits are infinite or not a number",
            "build it with another scheme (fp16 may overflow where fp32 or int8 does not)",
        )
    return np.where(finite, logits, np.float32(-np.inf))


def _nucleus(weights: NDArray[np.float32], share: float) -> NDArray[np.intp]:
    """Indices of the fewest weights that hold `share` of the mass, the greatest first; of equals, the first."""
    wanted = share * weights.sum(dtype=np.float64)
    count = FIRST_NUCLEUS
    while True:
        if count < len(weights):
            greatest = np.flatnonzero(weights >= np.partition(weights, -count)[-count])
        else:
            greatest = np.arange(len(weights))
        order = greatest[np.argsort(-weights[greatest], kind="stable")]
        mass = weights[order].cumsum(dtype=np.float64)
        if mass[-1] >= wanted or len(order) == len(weights):
            return order[: int(mass.searchsorted(wanted)) + 1]
        count *= 8


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 0)


def _require(name: str, value: object, fits: bool, wanted: str) -> None:
    if not fits:
        raise UsageError(f"{name} is {value!r}; it must be {wanted}")
