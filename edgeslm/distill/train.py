"""A training loop that is seeded, can be interrupted at any step, and goes on where it was."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

B = TypeVar("B")
LOGGED = 20
"""Steps whose mean loss is one point of the curve."""


@dataclass(frozen=True)
class Recipe:
    """AdamW (Loshchilov, Hutter 2019) with a linear warm-up and a cosine down to a twentieth of the learning rate."""

    epochs: int
    learning_rate: float
    warmup: int = 100  # steps
    weight_decay: float = 0.05
    largest_gradient: float = 1.0  # its norm is clipped to this
    saved_every: int = 100  # steps


class Training(Generic[B]):
    """Modules that learn side by side, each from its own `loss` of the same batches: several students hear one teacher,
    which is asked once. `batches(epoch)` must give the same list each time it is asked: that is what makes a run that
    was interrupted end like one that was not.

    `loss` gives a value for each module, [modules]. `folder` keeps state.pt (all that is needed to go on) and
    curve.json: for each module [[step, mean loss], …].
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        loss: Callable[[B], Tensor],
        batches: Callable[[int], list[B]],
        recipe: Recipe,
        folder: Path,
    ) -> None:
        self._modules = nn.ModuleList(modules)
        self._loss = loss
        self._batches = batches
        self._recipe = recipe
        self._folder = folder
        learning = [parameter for parameter in self._modules.parameters() if parameter.requires_grad]
        decayed = [parameter for parameter in learning if parameter.dim() > 1]
        others = [parameter for parameter in learning if parameter.dim() <= 1]
        self._optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
            betas=(0.9, 0.98),
        )
        self._step = 0
        self._curves: list[list[tuple[int, float]]] = [[] for _ in modules]
        self._since = torch.zeros(len(modules))  # sums of the losses since the curves' last points

    def run(self) -> Iterator[tuple[int, int, Tensor]]:
        """Train to the end; (step, steps in all, losses) after each. Raises FloatingPointError where the loss is no
        number: what was saved stays as it was before."""
        self._restore()
        first = self._batches(0)
        each = len(first)
        steps = each * self._recipe.epochs
        while self._step < steps:
            epoch, place = divmod(self._step, each)
            for batch in (first if epoch == 0 else self._batches(epoch))[place:]:
                yield self._step + 1, steps, self._advance(batch, steps)
        self._save()

    def _advance(self, batch: B, steps: int) -> Tensor:
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * self._rate(steps)
        losses = self._loss(batch)
        values = losses.detach()
        if not bool(values.isfinite().all()):
            raise FloatingPointError(f"the loss is {values.tolist()} at step {self._step}")
        self._optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        for module in self._modules:
            nn.utils.clip_grad_norm_(module.parameters(), self._recipe.largest_gradient)
        self._optimizer.step()
        self._step += 1
        self._since += values
        if self._step % LOGGED == 0:
            for curve, total in zip(self._curves, self._since.tolist(), strict=True):
                curve.append((self._step, total / LOGGED))
            self._since = torch.zeros_like(self._since)
        if self._step % self._recipe.saved_every == 0:
            self._save()
        return values

    def _rate(self, steps: int) -> float:
        if self._step < self._recipe.warmup:
            return (self._step + 1) / self._recipe.warmup
        done = (self._step - self._recipe.warmup) / max(1, steps - self._recipe.warmup)
        return 0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2

    def _save(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        state = {
            "modules": self._modules.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self._step,
            "curves": self._curves,
            "since": self._since,
        }
        partial = self._folder / "state.partial"
        torch.save(state, partial)
        partial.replace(self._folder / "state.pt")
        (self._folder / "curve.json").write_text(json.dumps(self._curves), encoding="utf-8")

    def _restore(self) -> None:
        path = self._folder / "state.pt"
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        self._modules.load_state_dict(state["modules"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._step, self._since = state["step"], state["since"]
        self._curves = state["curves"]
