"""What flows into linear layers and tables while a model runs in float."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeslm.export.finite_layers import finite_layers
from edgeslm.export.text_batches import MADE, Batch
from edgeslm.export.weight_places import is_linear
from edgeslm.quantize.layer_inputs import EXAMPLES_EACH, MOST_EXAMPLES, LayerInputs

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass
class _Gathered:
    """`moments` and `rows` by the part of the texts."""

    moments: dict[int, torch.Tensor] = field(default_factory=dict)
    low: torch.Tensor | None = None
    high: torch.Tensor | None = None
    examples: list[torch.Tensor] = field(default_factory=list)
    rows: dict[int, float] = field(default_factory=dict)


class WatchedLayers:
    """`batch` is what runs now; `ids` are a table's rows that were looked up, by the module's name."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.batch: Batch | None = None
        self.ids: dict[str, torch.Tensor] = {}
        self._gathered: dict[str, _Gathered] = {}
        self._same: dict[str, str] = {}
        self._inputs: dict[tuple[str, ...], LayerInputs] = {}

    def sources(self, names: Iterable[str]) -> tuple[str, ...]:
        """The first layers that read what these linear layers read: queries, keys and values read the same."""
        found = (self._same.get(name, name) for name in names)
        return tuple(dict.fromkeys(source for source in found if source in self._gathered))

    def inputs(self, names: Iterable[str], unseen: int | None = None) -> LayerInputs | None:
        """Of the linear layers of those names together, the same object each time; None where none is linear. Moments
        are read-only. `unseen`: without those of this half of the written texts; the others count twice."""
        sources = self.sources(names)
        if not sources:
            return None
        key = (*sources, str(unseen))
        if key not in self._inputs:
            self._inputs[key] = functools.reduce(LayerInputs.joined, (self._of(one, unseen) for one in sources))
            self._inputs[key].moments.flags.writeable = False
        return self._inputs[key]

    def _of(self, source: str, unseen: int | None) -> LayerInputs:
        one = self._gathered[source]
        assert one.low is not None
        assert one.high is not None
        written = sum(rows for part, rows in one.rows.items() if part != MADE)
        left = sum(rows for part, rows in one.rows.items() if part not in (MADE, unseen))
        import torch

        shares = {part: 1.0 if part == MADE else written / left for part in one.rows if part != unseen or not left}
        moments = sum(((shares[part] * one.moments[part]) for part in shares), torch.zeros(()))
        examples = np.concatenate([rows.numpy() for rows in one.examples])
        rows = sum(shares[part] * one.rows[part] for part in shares)
        return LayerInputs(moments.numpy(), one.low.numpy(), one.high.numpy(), examples, rows)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Raises CheckpointError where a layer gives NaN."""
        import torch

        last: list[tuple[str, torch.Tensor]] = []
        hooks = []

        def linear(name: str) -> Any:
            def hook(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
                x = given[0]
                if last and last[0][1] is x:  # queries, keys and values
                    self._same[name] = last[0][0]
                    return
                last[:] = [(name, x)]
                self._gather(self._gathered.setdefault(name, _Gathered()), x)

            return hook

        def table(name: str) -> Any:
            def hook(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
                if self.batch is not None and self.batch.part != MADE:
                    ids = torch.unique(given[0].long())
                    self.ids[name] = ids if name not in self.ids else torch.unique(torch.cat([self.ids[name], ids]))

            return hook

        for name, module in self._model.named_modules():
            if isinstance(module, torch.nn.Embedding):
                hooks.append(module.register_forward_pre_hook(table(name)))
            elif is_linear(module):
                hooks.append(module.register_forward_pre_hook(linear(name)))
        try:
            with finite_layers(self._model, "calibration text"):
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def _gather(self, into: _Gathered, x: torch.Tensor) -> None:
        """Rows of padding are left out."""
        import torch

        batch = self.batch
        assert batch is not None
        texts = [x] if len(batch.lengths) == 1 or x.shape[0] != len(batch.lengths) else list(x.unsqueeze(1))
        longest = max(batch.lengths)
        parts, counts = [], []
        for text, length, weight in zip(texts, batch.lengths, batch.weights, strict=False):
            rows = text.reshape(-1, text.shape[-1]).float()
            if len(texts) > 1 and len(rows) == longest:
                rows = rows[:length]
            parts.append(rows)
            counts.append(torch.full((len(rows), 1), weight))
        rows, counted = torch.cat(parts), torch.cat(counts)
        weighted = rows * counted.sqrt()
        into.moments[batch.part] = into.moments.get(batch.part, torch.zeros(())) + weighted.T @ weighted
        into.rows[batch.part] = into.rows.get(batch.part, 0.0) + float(counted.sum())
        if batch.part == MADE:
            return
        low, high = rows.amin(0), rows.amax(0)
        into.low = low if into.low is None else torch.minimum(into.low, low)
        into.high = high if into.high is None else torch.maximum(into.high, high)
        if sum(map(len, into.examples)) < MOST_EXAMPLES:
            into.examples += [part[:EXAMPLES_EACH].clone() for part in parts]
