"""What PyTorch says of texts, token by token: the probabilities and logits that a built language model is held to, and
what flows into its layers.

A text runs whole, as transformers has it, so that steps over a cache are compared with something that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Checkpoint, Samples
from edgeslm.digest import file_digest
from edgeslm.export.finite_layers import finite_layers
from edgeslm.export.load import load_transformer
from edgeslm.formats.moments import write_moments
from edgeslm.formats.samples import read_samples, write_samples
from edgeslm.quantize.ranges import BIN_SHIFT, BINS

if TYPE_CHECKING:
    import torch
    from torch import nn

MOST_LOGITS = 8_000_000
"""Numbers of logits that are kept for comparison, 32 MB: all tokens' of a long text would be gigabytes."""
WRITTEN_COUNT, WRITTEN_LENGTH, WRITTEN_LEAST = 16, 200, 32
WRITTEN = 8e9
"""Texts that the model writes itself, and their tokens: as many as make WRITTEN with its parameters, within limits."""
LARGE = 400_000_000
"""Parameters from which on only the running layer's are float32."""

SMALL = 4_000_000
"""Parameters up to which one thread is enough: more of them mostly wait for each other, on a busy machine for long."""


def language_reference(checkpoint: Checkpoint, texts: Samples, out: Path) -> Samples:
    """For each text: `nll` [T - 1], the negative log-likelihood of each next token in nats, and `logits` [places, V] at
    the `places` that are spread evenly over all texts."""
    import torch

    samples = read_samples(texts.path)
    counts = [sample["tokens"].size - 1 for sample in samples]
    assert checkpoint.decoder is not None
    chosen = _spread(sum(counts), max(1, MOST_LOGITS // checkpoint.decoder.vocabulary))
    answers, start = [], 0
    with _loaded(checkpoint) as model:
        for sample, count in zip(samples, counts, strict=True):
            tokens = torch.from_numpy(sample["tokens"].astype(np.int64))
            logits = model(tokens[None, :-1], use_cache=False).logits[0].float()
            nll = torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="none")
            places = chosen[(chosen >= start) & (chosen < start + count)] - start
            answers.append(
                {
                    "nll": nll.numpy(),
                    "places": places.astype(np.int32),
                    "logits": logits[torch.from_numpy(places)].numpy(),
                }
            )
            start += count
    path = out / "reference.npz"
    write_samples(path, answers)
    return Samples(out, file_digest(path), "PyTorch", len(answers), arrays=path.name)


def input_moments(checkpoint: Checkpoint, texts: Samples | None, out: Path) -> Samples:
    """The second moments xᵀx / count [in, in] of what each linear layer is given, by its weight's name.

    Without texts the model writes some itself, from its first token on: nobody knows better what it is used to see
    (Liu et al. 2023, LLM-QAT, arXiv:2305.17888).
    """
    return _measure(checkpoint, texts, lambda x: x.T @ x, None, out / "moments.npz")


def input_magnitudes(checkpoint: Checkpoint, texts: Samples | None, out: Path) -> Samples:
    """How often numbers of each magnitude flow into each linear layer, the output layer among them whatever table it
    shares: counts [quantize.ranges.BINS] by its weight's name. Texts as for `input_moments`."""
    assert checkpoint.decoder is not None
    head = checkpoint.decoder.head.parts[0].parameter
    return _measure(checkpoint, texts, _magnitudes, head, out / "magnitudes.npz")


def _magnitudes(x: torch.Tensor) -> torch.Tensor:
    import torch

    bins = x.abs().contiguous().view(torch.int32) >> BIN_SHIFT
    return torch.bincount(bins.reshape(-1), minlength=BINS)


def _measure(
    checkpoint: Checkpoint,
    texts: Samples | None,
    measure: Callable[[torch.Tensor], torch.Tensor],
    head: str | None,
    path: Path,
) -> Samples:
    """The mean over tokens of what `measure` says of [tokens, in], for each linear layer; `head` is the output layer's
    weight where it counts as one."""
    import torch

    weights = {parameter.name for parameter in checkpoint.parameters if parameter.role == "linear"}
    with _loaded(checkpoint) as model:
        if texts is None:
            sequences = _written(model, checkpoint)
        else:
            sequences = [torch.from_numpy(s["tokens"].astype(np.int64)) for s in read_samples(texts.path)]
        found, same = _watched(model, weights, head, sequences, measure)
    write_moments(path, {name: value.numpy() for name, value in found.items()}, same)
    described = texts.described if texts else f"{sum(map(len, sequences)):,} tokens that the model wrote"
    return Samples(path.parent, file_digest(path), described, len(sequences), arrays=path.name)


def _watched(
    model: Any,
    weights: set[str],
    head: str | None,
    sequences: Sequence[torch.Tensor],
    measure: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The measure by weight; and for weights that are given what another is given, which one."""
    import torch

    prefix = _prefix(weights, {name for name, _ in model.named_parameters()})
    found: dict[str, torch.Tensor] = {}
    same: dict[str, str] = {}
    last: list[tuple[str, torch.Tensor]] = []

    def watch(weight: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            x = inputs[0].detach()
            # Queries, keys and values are given one tensor: one product for all of them.
            if last and last[0][1] is x:
                same[weight] = last[0][0]
                return
            last[:] = [(weight, x)]
            found[weight] = found.get(weight, torch.zeros(())) + measure(x.reshape(-1, x.shape[-1]).float())

        return hook

    last_layer = model.get_output_embeddings()
    for name, module in model.named_modules():
        weight = f"{name}.weight".removeprefix(prefix)
        if module is last_layer and head is not None:
            module.register_forward_pre_hook(watch(head))
        elif weight in weights:
            module.register_forward_pre_hook(watch(weight))
    for tokens in sequences:
        model(tokens[None], use_cache=False)
        last.clear()
    total = sum(map(len, sequences))
    return {weight: value / total for weight, value in found.items()}, same


def written_texts(checkpoint: Checkpoint) -> list[dict[str, NDArray[np.int32]]]:
    """`tokens` int32 [T] of the texts that the model writes itself."""
    with _loaded(checkpoint) as model:
        return [{"tokens": text.numpy().astype(np.int32)} for text in _written(model, checkpoint)]


def _written(model: Any, checkpoint: Checkpoint) -> list[torch.Tensor]:
    """Texts sampled from the model, seeded; from its first token, or from random ones where it has none."""
    import torch

    assert checkpoint.decoder is not None
    assert checkpoint.generation is not None
    length = min(WRITTEN_LENGTH, checkpoint.decoder.positions, max(WRITTEN_LEAST, round(WRITTEN / checkpoint.elements)))
    generator = torch.Generator().manual_seed(0)
    bos = checkpoint.generation.bos
    tokens = (
        torch.randint(checkpoint.decoder.vocabulary, (WRITTEN_COUNT, 1), generator=generator)
        if bos is None
        else torch.full((WRITTEN_COUNT, 1), bos)
    )
    newest, cache = tokens, None
    for _ in range(length - 1):
        answer = model(newest, past_key_values=cache, use_cache=True)
        cache = answer.past_key_values
        newest = torch.multinomial(answer.logits[:, -1].float().softmax(-1), 1, generator=generator)
        tokens = torch.cat([tokens, newest], dim=1)
    return list(tokens)


def _prefix(wanted: set[str], found: set[str]) -> str:
    """What transformers puts before the names of a checkpoint that was saved without its head."""
    return "" if wanted & found else "transformer." if {f"transformer.{name}" for name in wanted} & found else "model."


def _spread(total: int, most: int) -> NDArray[np.int64]:
    """At most `most` of the numbers below `total`, evenly spread, the last one among them."""
    count = min(total, most)
    return np.unique(np.linspace(total - 1, 0, count).round().astype(np.int64))


@contextmanager
def _loaded(checkpoint: Checkpoint) -> Iterator[Any]:
    """The model as transformers has it, computing in float32. While it is used, a layer that gives NaN raises
    CheckpointError."""
    import torch

    large = checkpoint.elements > LARGE
    model = load_transformer(checkpoint, as_stored=large)
    if large:
        _widen_as_it_runs(model)
    threads = torch.get_num_threads()
    if checkpoint.elements < SMALL:
        torch.set_num_threads(1)
    try:
        with torch.inference_mode(), finite_layers(model, "a text"):
            yield model
    finally:
        torch.set_num_threads(threads)


def _widen_as_it_runs(model: nn.Module) -> None:
    """A layer's parameters are float32 while it runs, and what they were before and after."""
    kept: dict[nn.Module, list[tuple[nn.Parameter, torch.Tensor]]] = {}

    def before(module: nn.Module, *_: object) -> None:
        kept[module] = [(parameter, parameter.data) for parameter in module.parameters(recurse=False)]
        for parameter, data in kept[module]:
            parameter.data = data.float()

    def after(module: nn.Module, *_: object) -> None:
        for parameter, data in kept.pop(module):
            parameter.data = data

    for module in model.modules():
        if next(module.parameters(recurse=False), None) is not None:
            module.register_forward_pre_hook(before)
            module.register_forward_hook(after)
