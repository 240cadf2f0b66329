"""Samples as a module takes them: several of about the same length at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Checkpoint
from edgeslm.errors import InternalError

if TYPE_CHECKING:
    import torch

AT_ONCE = 8  # texts of about the same length
HALVES, MADE = (0, 1), 2
"""Of written texts, every other one is in the same half. Others were made up."""
Sample = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Batch:
    """Padded to the longest. `lengths` and `weights`, how much each row counts, are by text; `part` is the half of the
    written texts that these are in, or MADE."""

    feed: dict[str, torch.Tensor]
    lengths: tuple[int, ...]
    weights: tuple[float, ...]
    part: int = 0


def within_budget(samples: Sequence[Sample], budget: int, *, language: bool) -> list[Sample]:
    """The first samples of `budget` tokens together; a language model's last one is cut, others are whole, and at least
    AT_ONCE."""
    chosen: list[Sample] = []
    tokens = 0
    for sample in samples:
        length = length_of(sample)
        if language and chosen and tokens + length > budget:
            sample = {name: array[: budget - tokens] for name, array in sample.items()}
            length = budget - tokens
            if length < 2:
                break
        elif tokens + length > budget and len(chosen) >= AT_ONCE:
            break
        chosen.append(sample)
        tokens += length
    if not chosen:
        raise InternalError("no samples to measure on")
    return chosen


def batched(checkpoint: Checkpoint, samples: Sequence[Sample], weights: Sequence[float], part: int) -> list[Batch]:
    """Texts by length, AT_ONCE together; a language model's tokens and a plain module's inputs one by one."""
    import torch

    counted = list(zip(samples, weights, strict=True))
    if checkpoint.decoder is not None:
        return [
            Batch(
                {"tokens": torch.from_numpy(one["tokens"].astype(np.int64))[None]}, (length_of(one),), (weight,), part
            )
            for one, weight in counted
        ]
    if samples and "attention_mask" not in samples[0]:
        return [
            Batch({name: torch.from_numpy(array) for name, array in one.items()}, (length_of(one),), (weight,), part)
            for one, weight in counted
        ]
    counted.sort(key=lambda one: length_of(one[0]))
    batches = []
    for start in range(0, len(counted), AT_ONCE):
        batch = counted[start : start + AT_ONCE]
        lengths = tuple(length_of(one) for one, _ in batch)
        joined = {
            name: torch.from_numpy(
                np.concatenate([np.pad(one[name], ((0, 0), (0, max(lengths) - length_of(one)))) for one, _ in batch])
            )
            for name in batch[0][0]
        }
        batches.append(Batch(joined, lengths, tuple(weight for _, weight in batch), part))
    return batches


def length_of(sample: Sample) -> int:
    return max(int(array.shape[-1]) for array in sample.values())
