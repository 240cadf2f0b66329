"""The choice as arithmetic: for each tensor the ways to store it, and what each adds to size, memory, cost and loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from edgeslm.quantize.choices import Choice

Metric = Literal["size", "ram", "cost", "loss"]
"""What a plan is judged by, all the less the better. `cost` is milliseconds or instructions of one inference, by the
profile; `loss` is what a model loses of its fidelity."""
METRICS: tuple[Metric, ...] = get_args(Metric)


@dataclass(frozen=True)
class Option:
    """One way to store a tensor. `slow`: another way takes more bytes and less time on this core."""

    choice: Choice
    size: float
    ram: float
    cost: float
    loss: float
    slow: bool = False

    def __getitem__(self, metric: Metric) -> float:
        value: float = getattr(self, metric)
        return value


@dataclass(frozen=True)
class Tensor:
    """Checkpoint parameters that share a choice, and their options, of which there is at least one."""

    names: tuple[str, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Problem:
    """`rest`: what the model takes whatever is chosen."""

    tensors: tuple[Tensor, ...]
    rest: Mapping[Metric, float] = field(default_factory=dict)

    def value(self, picked: Sequence[int], metric: Metric) -> float:
        """Of a plan: option number by tensor."""
        parts = (tensor.options[number][metric] for tensor, number in zip(self.tensors, picked, strict=True))
        return math.fsum([self.rest.get(metric, 0.0), *parts])

    def values(self, picked: Sequence[int]) -> dict[Metric, float]:
        return {metric: self.value(picked, metric) for metric in METRICS}

    def least(self, metric: Metric) -> float:
        """The smallest value that any plan has."""
        parts = (min(option[metric] for option in tensor.options) for tensor in self.tensors)
        return math.fsum([self.rest.get(metric, 0.0), *parts])

    def uniform(self, choices: Mapping[str, Choice]) -> tuple[int, ...] | None:
        """The plan that stores each parameter so; None where a tensor has no such option."""
        picked = []
        for tensor in self.tensors:
            wanted = {choices[name] for name in tensor.names}
            found = [number for number, option in enumerate(tensor.options) if {option.choice} == wanted]
            if not found:
                return None
            picked.append(found[0])
        return tuple(picked)
