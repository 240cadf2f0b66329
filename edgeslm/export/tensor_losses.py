"""What rounding one tensor does to a model's answers, all other tensors in float.

Answers and the output of every block are kept from one run in float; for a tensor of block 5 only blocks 5 and later
run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Checkpoint
from edgeslm.errors import CheckpointError, InternalError
from edgeslm.export.load import load_module, load_transformer
from edgeslm.export.reference import flatten
from edgeslm.quantize.sensitivity import Choice, Loss, RoundValues, Unit, require_enough

if TYPE_CHECKING:
    import torch
    from torch import nn

BUDGET, FEWEST, MOST = 2e10, 256, 2048
"""As many tokens are read as make BUDGET with the model's parameters, within limits."""
AT_ONCE = 8  # texts of about the same length
KEPT_LOGITS = 8_000_000  # numbers of a language model's answers that are compared
SMALL = 4_000_000
"""Parameters up to which one thread is enough: more of them mostly wait for each other."""


class LossMeter:
    """Holds the model, and what it computes in float for the samples.

    Samples are as `tokenize_texts` or `tokenize_language` write them. Raises TextsError where they are too few, and
    CheckpointError where a layer gives NaN.
    """

    def __init__(self, checkpoint: Checkpoint, samples: Sequence[Mapping[str, NDArray[Any]]], where: str) -> None:
        import torch

        self.checkpoint = checkpoint
        self.unit: Unit = "1 - cosine" if checkpoint.task in ("embedding", "tensors") else "KL"
        self._batches, self.samples, self.tokens = _batched(checkpoint, samples)
        if checkpoint.task != "tensors":
            require_enough(where, self.samples, self.tokens)
        self._model: Any = _loaded(checkpoint)
        self._threads = 1 if checkpoint.elements < SMALL else torch.get_num_threads()
        self._places = _places(self._model, checkpoint)
        self._blocks = _Blocks(self._model)
        self._seen = _Seen(self._model)
        with self._running(), self._seen.watch():
            self._blocks.keep = True
            self._answers = list(self._run())
            self._blocks.keep = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those that can be measured: the weights of linear layers and tables, by checkpoint name."""
        return tuple(self._places)

    def measure(self, parameter: str, choices: Sequence[Choice], rounded: RoundValues, row: int | None) -> list[Loss]:
        """The loss of each choice; see `measure_plan`."""
        return [Loss(*choice, *self.measure_plan({parameter: choice}, rounded, row)) for choice in choices]

    def measure_plan(self, choices: Mapping[str, Choice], rounded: RoundValues, row: int | None) -> tuple[float, float]:
        """Mean loss and that of the worst text where all of these tensors are rounded.

        `row`: activations that share a scale where a layer's are rounded to int8 as they come, 0 for a whole row; None
        where they stay float.
        """
        changed = {name: choice for name, choice in choices.items() if choice[0] != "fp32"}
        if not changed:
            return 0.0, 0.0
        with self._running(), ExitStack() as replaced:
            for name, choice in changed.items():
                replaced.enter_context(self._replaced(name, choice, rounded, row))
            self._blocks.skip = min(self._blocks.place_of(use) for name in changed for use, _ in self._places[name])
            replaced.callback(setattr, self._blocks, "skip", 0)
            losses = [
                loss for kept, got in zip(self._answers, self._run(), strict=True) for loss in self._compare(kept, got)
            ]
        means, weights = np.array(losses, np.float64).T
        return float(means @ weights / weights.sum()), float(means.max())

    def _run(self) -> Iterator[list[torch.Tensor]]:
        """The answers to each batch, a tensor for each text."""
        for number, (feed, lengths) in enumerate(self._batches):
            self._blocks.batch = number
            if self.checkpoint.decoder is not None:
                logits = self._model(feed["tokens"], use_cache=False).logits[0].float()
                every = -(-self.tokens * logits.shape[-1] // KEPT_LOGITS)
                yield [logits[:: max(1, every)].log_softmax(-1)]
                continue
            outputs = flatten(self._model(**feed))
            yield [
                _joined([self._answer(one[place : place + 1] if len(lengths) > 1 else one, length) for one in outputs])
                for place, length in enumerate(lengths)
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

    @contextmanager
    def _replaced(self, parameter: str, choice: Choice, rounded: RoundValues, row: int | None) -> Iterator[None]:
        """The parameter holds rounded values, and the layers that multiply with it round what they are given."""
        import torch

        uses = self._places[parameter]
        weight = uses[0][1].weight
        transposed = type(uses[0][1]).__name__ == "Conv1D"
        tables = [self._seen.ids.get(name) for name, module in uses if isinstance(module, torch.nn.Embedding)]
        rows = None
        if len(tables) == len(uses) and all(ids is not None for ids in tables):
            rows = torch.unique(torch.cat([ids for ids in tables if ids is not None]))
        moments = self._seen.moments(name for name, _ in uses)
        before = weight.data
        values = before if rows is None else before[rows]
        values = (values.T if transposed else values).float().numpy()
        known = moments if choice[0] == "int4" else None
        new = torch.from_numpy(np.ascontiguousarray(rounded(np.ascontiguousarray(values), choice, known)))
        new = (new.T if transposed else new).to(before.dtype)
        if rows is None:
            weight.data = new
        else:
            weight.data = before.clone()
            weight.data[rows] = new
        hooks = []
        if row is not None and choice[0] in ("int8", "int4"):
            hooks = [
                module.register_forward_pre_hook(lambda _, given: (_rounded_rows(given[0], row), *given[1:]))
                for _, module in uses
                if not isinstance(module, torch.nn.Embedding)
            ]
        try:
            yield
        finally:
            weight.data = before
            for hook in hooks:
                hook.remove()


class _Blocks:
    """The longest list of a model's modules that follow each other, each of which can be skipped."""

    def __init__(self, model: nn.Module) -> None:
        import torch

        lists = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)]
        name, blocks = max(lists, key=lambda one: len(one[1]), default=("", torch.nn.ModuleList()))
        self.name: str = name
        self.keep, self.skip, self.batch = False, 0, 0
        self._kept: list[list[Any]] = [[] for _ in blocks]
        if len({id(block) for block in blocks}) != len(blocks):
            self.name, blocks = "", torch.nn.ModuleList()  # ALBERT's layers are one
        for place, block in enumerate(blocks):
            block.forward = self._wrapped(place, block.forward)

    def place_of(self, module: str) -> int:
        """How many blocks have run before it; 0 where that is not known."""
        inside = module.removeprefix(f"{self.name}.")
        return int(inside.split(".")[0]) if self.name and inside != module else 0

    def _wrapped(self, place: int, forward: Any) -> Any:
        def run(*args: Any, **named: Any) -> Any:
            if place < self.skip:
                return self._kept[place][self.batch]
            result = forward(*args, **named)
            if self.keep:
                self._kept[place].append(result)
            return result

        return run


class _Seen:
    """What flows into linear layers and tables while the model runs in float."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.ids: dict[str, torch.Tensor] = {}
        self._moments: dict[str, torch.Tensor] = {}
        self._same: dict[str, str] = {}
        self._sums: dict[tuple[str, ...], NDArray[np.float32]] = {}

    def moments(self, names: Iterator[str]) -> NDArray[np.float32] | None:
        """The sum over the layers of those names, read-only, the same array each time; None where none is linear."""
        sources = tuple(self._same.get(name, name) for name in names)
        sources = tuple(source for source in sources if source in self._moments)
        if not sources:
            return None
        if sources not in self._sums:
            first, *others = (self._moments[source] for source in sources)
            self._sums[sources] = sum(others, first).numpy()
            self._sums[sources].flags.writeable = False
        return self._sums[sources]

    @contextmanager
    def watch(self) -> Iterator[None]:
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
                rows = x.reshape(-1, x.shape[-1]).float()
                self._moments[name] = self._moments.get(name, torch.zeros(())) + rows.T @ rows

            return hook

        def table(name: str) -> Any:
            def hook(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
                ids = torch.unique(given[0].long())
                self.ids[name] = ids if name not in self.ids else torch.unique(torch.cat([self.ids[name], ids]))

            return hook

        def finite(name: str) -> Any:
            def hook(_: nn.Module, given: Any, result: Any) -> None:
                if isinstance(result, torch.Tensor) and not bool(torch.isfinite(result).all()):
                    raise CheckpointError(
                        f"layer {name} gives NaN or infinite values for calibration text",
                        "its weights are finite: a norm of a constant, a division by zero or an overflow; look at the "
                        "layers before it",
                    )

            return hook

        for name, module in self._model.named_modules():
            if isinstance(module, torch.nn.Embedding):
                hooks.append(module.register_forward_pre_hook(table(name)))
            elif _is_linear(module):
                hooks.append(module.register_forward_pre_hook(linear(name)))
            if not list(module.children()):
                hooks.append(module.register_forward_hook(finite(name)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _is_linear(module: nn.Module) -> bool:
    import torch

    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"


def _loaded(checkpoint: Checkpoint) -> nn.Module:
    from edgeslm.export.text_model import TextModel

    if checkpoint.decoder is not None:
        return load_transformer(checkpoint)
    module = load_module(checkpoint)
    if isinstance(module, TextModel):
        module.mask_form = "tokens"
    return module


def _places(model: nn.Module, checkpoint: Checkpoint) -> dict[str, list[tuple[str, Any]]]:
    """Checkpoint parameter -> (name, module) of those that have it as their weight."""
    import torch

    shapes = {parameter.name: parameter.shape for parameter in checkpoint.parameters if len(parameter.shape) == 2}
    found: dict[int, tuple[str, list[tuple[str, Any]]]] = {}
    modules = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding) or _is_linear(module)
    ]
    for name, module in modules:
        weight = f"{name}.weight"
        ends = [
            known for known in shapes if weight == known or weight.endswith(f".{known}") or known.endswith(f".{weight}")
        ]
        best = max(ends, key=len, default=None)
        if id(module.weight) in found:
            found[id(module.weight)][1].append((name, module))
        elif best is not None and shapes[best] == tuple(module.weight.shape):
            found[id(module.weight)] = (best, [(name, module)])
    return dict(sorted(found.values(), key=lambda one: list(shapes).index(one[0])))


def _batched(
    checkpoint: Checkpoint, samples: Sequence[Mapping[str, NDArray[Any]]]
) -> tuple[list[tuple[dict[str, torch.Tensor], list[int]]], int, int]:
    """Batches of about the same length with the texts' lengths, how many texts they hold, and how many tokens."""
    import torch

    budget = round(min(max(BUDGET / checkpoint.elements, FEWEST), MOST))
    chosen: list[dict[str, NDArray[Any]]] = []
    tokens = 0
    for sample in samples:
        length = _length(sample)
        if checkpoint.decoder is not None and chosen and tokens + length > budget:
            sample = {name: array[: budget - tokens] for name, array in sample.items()}
            length = budget - tokens
            if length < 2:
                break
        elif tokens + length > budget and len(chosen) >= AT_ONCE:
            break
        chosen.append(dict(sample))
        tokens += length
    if not chosen:
        raise InternalError("no samples to measure on")
    if checkpoint.decoder is not None:
        feeds = [({"tokens": torch.from_numpy(one["tokens"].astype(np.int64))[None]}, [_length(one)]) for one in chosen]
        return feeds, len(chosen), tokens
    if "attention_mask" not in chosen[0]:
        whole = [({name: torch.from_numpy(array) for name, array in one.items()}, [_length(one)]) for one in chosen]
        return whole, len(chosen), tokens
    chosen.sort(key=_length)
    batches = []
    for start in range(0, len(chosen), AT_ONCE):
        batch = chosen[start : start + AT_ONCE]
        longest = max(map(_length, batch))
        joined = {
            name: torch.from_numpy(
                np.concatenate([np.pad(one[name], ((0, 0), (0, longest - _length(one)))) for one in batch])
            )
            for name in batch[0]
        }
        batches.append((joined, [_length(one) for one in batch]))
    return batches, len(chosen), tokens


def _length(sample: Mapping[str, NDArray[Any]]) -> int:
    return max(int(array.shape[-1]) for array in sample.values())


def _joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    import torch

    return tensors[0] if len(tensors) == 1 else torch.cat([one.reshape(1, -1) for one in tensors], dim=1)


def _rounded_rows(x: torch.Tensor, row: int) -> torch.Tensor:
    """As runtimes round activations to int8: a scale and a zero point to each row, or each `row` numbers of it."""
    import torch

    parts = x.reshape(*x.shape[:-1], -1, row) if row and x.shape[-1] % row == 0 else x.unsqueeze(-2)
    low, high = parts.amin(-1, keepdim=True).clamp(max=0), parts.amax(-1, keepdim=True).clamp(min=0)
    steps = ((high - low) / 255).clamp(min=1e-12)
    zeros = torch.round(-low / steps)
    return ((torch.clamp(torch.round(parts / steps) + zeros, 0, 255) - zeros) * steps).reshape(x.shape)
