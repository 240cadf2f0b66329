"""What rounding some tensors does to a model's answers, all others in float.

Answers and the output of every block are kept from one run in float; for a tensor of block 5 only blocks 5 and later
run again. Layers are rounded as the backend does it: weights with error feedback by what flows into them, activations
to int8 with a scale a row or a group, after outlying columns were moved into the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeslm.artifacts import Checkpoint
from edgeslm.export.load import load_module, load_transformer
from edgeslm.export.model_blocks import ModelBlocks
from edgeslm.export.reference import flatten
from edgeslm.export.rounded_rows import rounded_rows
from edgeslm.export.text_batches import HALVES, MADE, Batch, Sample, batched, length_of, within_budget
from edgeslm.export.watched_layers import WatchedLayers
from edgeslm.export.weight_places import find_places, is_never_looked_up, is_transposed
from edgeslm.quantize.layer_inputs import Floats, LayerInputs
from edgeslm.quantize.plan import BITS
from edgeslm.quantize.rounding import Rounding
from edgeslm.quantize.sample_weights import text_weights
from edgeslm.quantize.sensitivity import Choice, Loss, Unit, require_enough
from edgeslm.quantize.smoothing import best_factors

if TYPE_CHECKING:
    import torch
    from torch import nn

BUDGET, FEWEST, MOST = 2e10, 256, 2048
"""As many tokens are read as make BUDGET with the model's parameters, within limits."""
WATCHED = 8192
"""Tokens, at most, of written texts by which weights are rounded; beside them run all that were made."""
KEPT_LOGITS = 8_000_000  # numbers of a language model's answers that are compared
SMALL = 4_000_000
"""Parameters up to which one thread is enough: more of them mostly wait for each other."""
ROUNDED = ("int8", "int4")
"""Precisions with which a layer's activations are rounded, too."""


class LossMeter:
    """Holds the model, and what it computes in float for the samples.

    Samples are as `tokenize_texts` or `tokenize_language` write them; `made` are those beside them that only show the
    layers more of what may come. Raises TextsError where they are too few, and CheckpointError where a layer gives NaN.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        samples: Sequence[Sample],
        where: str,
        rounding: Rounding,
        made: Sequence[Sample] = (),
    ) -> None:
        import torch

        self.checkpoint = checkpoint
        self.rounding = rounding
        self.unit: Unit = "1 - cosine" if checkpoint.task in ("embedding", "tensors") else "KL"
        language = checkpoint.decoder is not None
        budget = round(min(max(BUDGET / checkpoint.elements, FEWEST), MOST))
        chosen = within_budget(samples, budget, language=language)
        self.samples, self.tokens = len(chosen), sum(map(length_of, chosen))
        if checkpoint.task != "tensors":
            require_enough(where, self.samples, self.tokens)
        self._model: Any = _loaded(checkpoint)
        self._threads = 1 if checkpoint.elements < SMALL else torch.get_num_threads()
        self._places = find_places(self._model, checkpoint)
        self._blocks = ModelBlocks(self._model)
        self._seen = WatchedLayers(self._model)
        seen = chosen if language else [*chosen, *within_budget(samples, WATCHED, language=False)[len(chosen) :]]
        weights = text_weights([*seen, *made], len(seen), pooled=checkpoint.task == "embedding")
        read = [batched(checkpoint, chosen[half::2], weights[: len(chosen)][half::2], half) for half in HALVES]
        self._batches = [batch for half in read for batch in half]
        rest, their = seen[len(chosen) :], weights[len(chosen) : len(seen)]
        others = [batch for half in HALVES for batch in batched(checkpoint, rest[half::2], their[half::2], half)]
        others += batched(checkpoint, made, weights[len(seen) :], MADE)
        with self._running(), self._seen.watch():
            self._blocks.keep = True
            self._answers = [self._answers_to(number, batch) for number, batch in enumerate(self._batches)]
            self._blocks.keep = False
            for number, batch in enumerate(others):
                self._answers_to(number, batch)
        self._together = self._find_together()
        self._divided: dict[tuple[str, ...], tuple[LayerInputs, Floats, LayerInputs]] = {}

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those that can be measured: the weights of linear layers and tables, by checkpoint name."""
        return tuple(self._places)

    def measure(self, parameter: str, choices: Sequence[Choice]) -> list[Loss]:
        """The loss of each choice, as if the layers beside it that read the same were rounded like it."""
        together = self._together[parameter]
        return [
            Loss(*choice, *self._measure({parameter: choice}, dict.fromkeys(together, choice))) for choice in choices
        ]

    def measure_plan(self, choices: Mapping[str, Choice], *, unseen: bool = False) -> tuple[float, float]:
        """Mean loss and that of the worst text where all of these tensors are rounded. `unseen`: weights are rounded by
        the other half of the texts than those whose losses count, as it is with texts that come later."""
        return self._measure(choices, choices, HALVES if unseen and self.samples > 1 else (None,))

    def _measure(
        self, choices: Mapping[str, Choice], known: Mapping[str, Choice], halves: Sequence[int | None] = (None,)
    ) -> tuple[float, float]:
        """`known`: by which layers are smoothed; `halves`: of the texts, measured one after the other."""
        changed = {name: choice for name, choice in choices.items() if choice[0] != "fp32" and name in self._places}
        if not changed:
            return 0.0, 0.0
        losses: list[tuple[float, float]] = []
        for half in halves:
            factors = {name: self._factor(name, known) for name in changed}  # of weights that are as they were
            with self._running(), ExitStack() as replaced:
                for name, choice in changed.items():
                    replaced.enter_context(self._replaced(name, choice, factors[name], half))
                self._blocks.skip = min(self._blocks.place_of(use) for name in changed for use, _ in self._places[name])
                replaced.callback(setattr, self._blocks, "skip", 0)
                for number, batch in enumerate(self._batches):
                    if half is None or batch.part == half:
                        losses += self._compare(self._answers[number], self._answers_to(number, batch))
        means, weights = np.array(losses, np.float64).T
        return float(means @ weights / weights.sum()), float(means.max())

    def _answers_to(self, number: int, batch: Batch) -> list[torch.Tensor]:
        """A tensor for each text."""
        self._blocks.batch, self._seen.batch = number, batch
        if self.checkpoint.decoder is not None:
            logits = self._model(batch.feed["tokens"], use_cache=False).logits[0].float()
            every = -(-self.tokens * logits.shape[-1] // KEPT_LOGITS)
            return [logits[:: max(1, every)].log_softmax(-1)]
        outputs = flatten(self._model(**batch.feed))
        several = len(batch.lengths) > 1
        return [
            _joined([self._answer(one[place : place + 1] if several else one, length) for one in outputs])
            for place, length in enumerate(batch.lengths)
        ]

    def _answer(self, output: torch.Tensor, length: int) -> torch.Tensor:
        """One text's, without padding; log-probabilities where they are what counts: [rows, labels]."""
        if self.unit == "1 - cosine":
            return output.reshape(1, -1).float()
        rows = output[0, :length] if output.ndim == 3 else output
        if self.checkpoint.multi_label:
            import torch

            both = torch.stack([rows, torch.zeros_like(rows)], -1)
            return both.reshape(-1, 2).float().log_softmax(-1)
        return rows.float().log_softmax(-1)

    def _compare(self, kept: list[torch.Tensor], got: list[torch.Tensor]) -> list[tuple[float, float]]:
        """Loss and weight of each text."""
        import torch

        losses = []
        for one, other in zip(kept, got, strict=True):
            if self.unit == "KL":
                value = float((one.exp() * (one - other)).sum(-1).mean())
                losses.append((max(value, 0.0), float(len(one)) if self.checkpoint.decoder else 1.0))
            else:
                cosine = torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=-1)
                losses.append((max(1 - float(cosine), 0.0), 1.0))
        return losses

    @contextmanager
    def _running(self) -> Iterator[None]:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(threads)

    def _find_together(self) -> dict[str, tuple[str, ...]]:
        """Parameter -> all whose layers read what its own read, in chains; itself among them."""
        sources = {name: set(self._seen.sources(use for use, _ in uses)) for name, uses in self._places.items()}
        found: dict[str, tuple[str, ...]] = {}
        for name in self._places:
            joined, reached = {name}, sources[name]
            while more := {other for other, own in sources.items() if own & reached} - joined:
                joined |= more
                reached = reached.union(*(sources[other] for other in more))
            found[name] = tuple(sorted(joined))
        return found

    def _factor(self, parameter: str, choices: Mapping[str, Choice]) -> Floats | None:
        """What the columns of its layers' inputs are divided by, where the backend does so."""
        together = self._together[parameter]
        linear = all(is_never_looked_up(self._places[name]) for name in together)
        kept = [(BITS[choices[name][0]], choices[name][1]) for name in together if _is_rounded(choices.get(name))]
        if not self.rounding.smooths or not linear or len(kept) < len(together):
            return None
        inputs = [self._inputs(name) for name in together]
        known = [one for one in inputs if one is not None]
        return best_factors([self._weight(name) for name in together], known, kept) if len(known) == len(kept) else None

    def _inputs(self, parameter: str, unseen: int | None = None) -> LayerInputs | None:
        return self._seen.inputs((use for use, _ in self._places[parameter]), unseen)

    def _weight(self, parameter: str) -> Floats:
        """[out, in], whatever the module has."""
        module = self._places[parameter][0][1]
        values: Floats = (module.weight.data.T if is_transposed(module) else module.weight.data).float().numpy()
        return np.ascontiguousarray(values)

    def _divided_by(self, parameter: str, inputs: LayerInputs, factor: Floats) -> LayerInputs:
        """Kept while the factor stays the same, so that rounding need not look at its moments anew."""
        key = self._together[parameter]
        known = self._divided.get(key)
        if known is None or known[0] is not inputs or not np.array_equal(known[1], factor):
            known = inputs, factor, inputs.divided(factor)
            known[2].moments.flags.writeable = False
            self._divided[key] = known
        return known[2]

    @contextmanager
    def _replaced(self, parameter: str, choice: Choice, factor: Floats | None, unseen: int | None) -> Iterator[None]:
        """The parameter holds rounded values, and the layers that multiply with it round what they are given."""
        import torch

        uses = self._places[parameter]
        weight = uses[0][1].weight
        before = weight.data
        tables = [self._seen.ids.get(name) for name, module in uses if isinstance(module, torch.nn.Embedding)]
        rows = None
        if len(tables) == len(uses) and all(ids is not None for ids in tables):
            rows = torch.unique(torch.cat([ids for ids in tables if ids is not None]))
        values = self._weight(parameter) if rows is None else before[rows].float().numpy()
        # What an encoder looks up, too, is rounded as a table, which knows of no inputs.
        alone = self.checkpoint.decoder is not None or is_never_looked_up(uses)
        inputs = self._inputs(parameter, unseen) if alone else None
        if factor is not None and inputs is not None:
            values, inputs = values * factor, self._divided_by(parameter, inputs, factor)
        new = torch.from_numpy(
            np.ascontiguousarray(self.rounding.values(values, choice, inputs.moments if inputs else None))
        )
        new = (new.T if is_transposed(uses[0][1]) else new).to(before.dtype)
        if rows is None:
            weight.data = new
        else:
            weight.data = before.clone()
            weight.data[rows] = new
        share = None if factor is None else torch.from_numpy(np.float32(1) / factor)
        row = self.rounding.row if choice[0] in ROUNDED else None

        def given(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            x = inputs[0] if share is None else inputs[0] * share
            return (x if row is None else rounded_rows(x, row), *inputs[1:])

        hooks = [
            module.register_forward_pre_hook(given) for _, module in uses if not isinstance(module, torch.nn.Embedding)
        ]
        try:
            yield
        finally:
            weight.data = before
            for hook in hooks:
                hook.remove()


def _is_rounded(choice: Choice | None) -> bool:
    return choice is not None and choice[0] in ROUNDED


def _loaded(checkpoint: Checkpoint) -> nn.Module:
    from edgeslm.export.text_model import TextModel

    if checkpoint.decoder is not None:
        return load_transformer(checkpoint)
    module = load_module(checkpoint)
    if isinstance(module, TextModel):
        module.mask_form = "tokens"
    return module


def _joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    import torch

    return tensors[0] if len(tensors) == 1 else torch.cat([one.reshape(1, -1) for one in tensors], dim=1)
