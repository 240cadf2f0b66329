"""What each choice for each tensor costs: measured on texts that calibrate, kept tensor by tensor."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeslm.artifacts import Checkpoint, Samples, TensorChoice
from edgeslm.backends import round_values
from edgeslm.cache import StageCache
from edgeslm.digest import file_digest
from edgeslm.errors import CheckpointError, TextsError
from edgeslm.export import tensor_losses
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.tensor_losses import LossMeter
from edgeslm.formats.samples import read_samples, write_samples
from edgeslm.quantize.sensitivity import Choice, Sensitivity
from edgeslm.stages.sensitivity import sensitivity_stage
from tests.decoders import make_decoder

CHOICES: tuple[Choice, ...] = (("fp32", None), ("int8", None), ("int4", 32))


@pytest.fixture(scope="module")
def bert(checkpoint_of: Callable[..., Path]) -> Checkpoint:
    return open_checkpoint(str(checkpoint_of("bert")))


@pytest.fixture(scope="module")
def samples(bert: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Samples:
    folder = tmp_path_factory.mktemp("samples")
    return written(folder, texts(bert, 12))


def texts(checkpoint: Checkpoint, count: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    assert checkpoint.tokenizer is not None
    made = []
    for length in random.integers(6, 14, count):
        ids = random.integers(5, checkpoint.tokenizer.vocab_size, (1, length)).astype(np.int32)
        made.append({"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)})
    return made


def written(folder: Path, made: list[dict[str, np.ndarray]]) -> Samples:
    path = folder / "samples.npz"
    write_samples(path, made)
    return Samples(folder, file_digest(path), "texts", len(made))


def choices_of(checkpoint: Checkpoint) -> dict[str, tuple[Choice, ...]]:
    return {
        one.name: CHOICES if one.role != "other" and one.elements >= 1024 else CHOICES[:1]
        for one in checkpoint.parameters
    }


def cache_in(folder: Path) -> StageCache:
    return StageCache(folder, lambda *_: contextlib.nullcontext())


@pytest.fixture(scope="module")
def found(bert: Checkpoint, samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Sensitivity:
    return sensitivity_stage(cache_in(tmp_path_factory.mktemp("cache")), bert, "tflite", samples, choices_of(bert))


def test_finer_choices_cost_less_and_every_tensor_is_there(bert: Checkpoint, found: Sensitivity) -> None:
    assert found.unit == "1 - cosine"
    assert (found.samples, found.tokens > 64) == (12, True)
    assert set(found.losses) == {name for name, wanted in choices_of(bert).items() if len(wanted) > 1}
    for losses in found.losses.values():
        assert 0 == losses["fp32", None] < losses["int8", None] < losses["int4", 32] < 0.1
    for name, worst in found.worst.items():
        assert worst["int4", 32] >= found.losses[name]["int4", 32]


def test_a_loss_is_what_the_whole_model_loses(bert: Checkpoint, found: Sensitivity, samples: Samples) -> None:
    """Blocks that are skipped, batches and padding make no difference."""
    inputs = read_samples(samples.path)
    meter, floats = LossMeter(bert, inputs, "texts"), LossMeter(bert, inputs, "texts")
    name = next(known for known in meter.parameters if "layer.1" in known and "dense" in known)
    ((layer, module),) = meter._places[name]
    weight = round_values("tflite", module.weight.data.numpy(), ("int4", 32), meter._seen.moments(iter([layer])))
    module.weight.data = torch.from_numpy(weight)
    module.register_forward_pre_hook(lambda _, given: (tensor_losses._rounded_rows(given[0], 0),))
    cosines = []
    for sample in inputs:
        feed = {key: torch.from_numpy(array) for key, array in sample.items()}
        with torch.inference_mode():
            one, other = (each._model(**feed).double() for each in (floats, meter))
        cosines.append(float(torch.nn.functional.cosine_similarity(one, other).item()))
    assert found.losses[name]["int4", 32] == pytest.approx(1 - np.mean(cosines), rel=0.02)
    assert found.worst[name]["int4", 32] == pytest.approx(1 - min(cosines), rel=0.02)


def test_a_plan_loses_about_what_its_tensors_lose(bert: Checkpoint, found: Sensitivity, samples: Samples) -> None:
    meter = LossMeter(bert, read_samples(samples.path), "texts")
    plan: dict[str, Choice] = dict.fromkeys(found.losses, ("int4", 32))
    mean, worst = meter.measure_plan(plan, lambda *asked: round_values("tflite", *asked), 0)
    assert mean == pytest.approx(found.expected({name: TensorChoice("int4", "", 32) for name in plan}), rel=0.3)
    assert worst > mean
    assert meter.measure_plan({}, lambda *asked: round_values("tflite", *asked), 0) == (0.0, 0.0)


def test_losses_add(bert: Checkpoint, found: Sensitivity) -> None:
    plan = {name: TensorChoice("int8", "") for name in found.losses}
    total = sum(losses["int8", None] for losses in found.losses.values())
    assert found.expected(plan) == pytest.approx(total)
    with pytest.raises(KeyError):
        found.expected({next(iter(plan)): TensorChoice("int4", "", 64)})


def test_what_was_measured_is_not_measured_again(
    bert: Checkpoint, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A measurement that ends midway goes on with the next tensor."""
    wanted = {name: one for name, one in choices_of(bert).items() if len(one) > 1}
    measured: list[str] = []
    real = LossMeter.measure

    def measure(self: LossMeter, parameter: str, *rest: object) -> object:
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(parameter)
        return real(self, parameter, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(LossMeter, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        sensitivity_stage(cache_in(tmp_path), bert, "tflite", samples, wanted)
    again: list[str] = []

    def go_on(self: LossMeter, parameter: str, *rest: object) -> object:
        again.append(parameter)
        return real(self, parameter, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(LossMeter, "measure", go_on)
    some = dict(list(wanted.items())[:5])
    sensitivity_stage(cache_in(tmp_path), bert, "tflite", samples, some)
    assert measured == list(wanted)[:3]
    assert again == list(wanted)[3:5]
    monkeypatch.setattr(LossMeter, "__init__", None)  # no model is loaded for what is known
    assert len(sensitivity_stage(cache_in(tmp_path), bert, "tflite", samples, some).tensors) == 5


def test_too_little_text_is_refused(bert: Checkpoint, tmp_path: Path) -> None:
    few = written(tmp_path, texts(bert, 3))
    with pytest.raises(TextsError, match=r"3 texts of \d+ tokens are too little"):
        sensitivity_stage(cache_in(tmp_path / "cache"), bert, "tflite", few, choices_of(bert))


def test_a_nan_is_an_error_that_names_the_layer(
    bert: Checkpoint, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tensor_losses._loaded

    def damaged(checkpoint: Checkpoint) -> torch.nn.Module:
        model = real(checkpoint)
        bias = next(value for name, value in model.named_parameters() if "layer.1.output.dense.bias" in name)
        bias.data[0] = np.nan
        return model

    monkeypatch.setattr(tensor_losses, "_loaded", damaged)
    with pytest.raises(CheckpointError, match=r"layer model\.encoder\.layer\.1\.output\.dense gives NaN"):
        LossMeter(bert, read_samples(samples.path), "texts")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(str(make_decoder("llama", tmp_path_factory.mktemp("llama"))))


def test_a_language_model_is_measured_on_what_it_writes(llama: Checkpoint, tmp_path: Path) -> None:
    wanted = choices_of(llama)
    found = sensitivity_stage(cache_in(tmp_path), llama, "openvino", None, wanted)
    assert (found.unit, found.texts) == ("KL", "tokens that the model wrote")
    assert found.losses
    for losses in found.losses.values():
        assert 0 <= losses["int8", None] < losses["int4", 32]
