"""What each choice for each tensor costs: measured on texts that calibrate, kept tensor by tensor."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeslm.artifacts import Checkpoint, Samples, TensorChoice
from edgeslm.backends import find_rounding
from edgeslm.cache import StageCache
from edgeslm.digest import file_digest
from edgeslm.errors import CheckpointError, TextsError
from edgeslm.export import tensor_losses
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.rounded_rows import rounded_rows
from edgeslm.export.tensor_losses import LossMeter
from edgeslm.formats.samples import read_samples, write_samples
from edgeslm.quantize.rounding import Rounding
from edgeslm.quantize.sample_weights import text_weights
from edgeslm.quantize.sensitivity import Choice, Sensitivity
from edgeslm.quantize.smoothing import best_factors
from edgeslm.stages.sensitivity import sensitivity_stage
from tests.decoders import make_decoder

ENCODER = find_rounding("tflite", language=False)
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


def meter_of(checkpoint: Checkpoint, samples: Samples, rounding: Rounding = ENCODER) -> LossMeter:
    return LossMeter(checkpoint, read_samples(samples.path), "texts", rounding)


def cache_in(folder: Path) -> StageCache:
    return StageCache(folder, lambda *_: contextlib.nullcontext())


@pytest.fixture(scope="module")
def found(bert: Checkpoint, samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Sensitivity:
    wanted = choices_of(bert)
    whole = {CHOICES[-1]: [name for name, known in wanted.items() if len(known) > 1]}
    return sensitivity_stage(cache_in(tmp_path_factory.mktemp("cache")), bert, "tflite", samples, wanted, whole)


def test_finer_choices_cost_less_and_every_tensor_is_there(bert: Checkpoint, found: Sensitivity) -> None:
    assert found.unit == "1 - cosine"
    assert (found.samples, found.tokens > 64) == (12, True)
    assert set(found.losses) == {name for name, wanted in choices_of(bert).items() if len(wanted) > 1}
    for losses in found.losses.values():
        assert 0 == losses["fp32", None] < losses["int8", None] < losses["int4", 32] < 0.1
    assert all(loss.worst >= loss.mean for tensor in found.tensors for loss in tensor.losses)


def test_a_loss_is_what_the_whole_model_loses(bert: Checkpoint, found: Sensitivity, samples: Samples) -> None:
    """Blocks that are skipped, batches and padding make no difference."""
    inputs = read_samples(samples.path)
    meter, floats = meter_of(bert, samples), meter_of(bert, samples)
    name = next(known for known in meter.parameters if "layer.1.output.dense" in known)
    ((layer, module),) = meter._places[name]
    seen = meter._seen.inputs([layer])
    assert seen is not None
    values = module.weight.data.numpy()
    factor = best_factors([values], [seen], [(4, 32)])
    share = np.ones(values.shape[1], np.float32) if factor is None else factor
    moments = seen.divided(share).moments
    module.weight.data = torch.from_numpy(ENCODER.values(values * share, ("int4", 32), moments))
    module.register_forward_pre_hook(lambda _, given: (rounded_rows(given[0] / torch.from_numpy(share), 0),))
    cosines = []
    for sample in inputs:
        feed = {key: torch.from_numpy(array) for key, array in sample.items()}
        with torch.inference_mode():
            one, other = (each._model(**feed).double() for each in (floats, meter))
        cosines.append(float(torch.nn.functional.cosine_similarity(one, other).item()))
    (loss,) = (
        loss for tensor in found.tensors if tensor.parameter == name for loss in tensor.losses if loss.group == 32
    )
    assert loss.mean == pytest.approx(1 - np.mean(cosines), rel=0.02)
    assert loss.worst == pytest.approx(1 - min(cosines), rel=0.02)


def test_padding_is_none_of_what_flows_in(bert: Checkpoint, samples: Samples) -> None:
    """Texts of unlike length run side by side; moments, rows and ranges are those of each alone, by its weight."""
    meter = meter_of(bert, samples)
    name = next(known for known in meter.parameters if "layer.0.intermediate" in known)
    ((layer, module),) = meter._places[name]
    seen = meter._seen.inputs([layer])
    assert seen is not None
    given: list[np.ndarray] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0][0].numpy()))
    inputs = read_samples(samples.path)
    for sample in inputs:
        with torch.inference_mode():
            meter._model(**{key: torch.from_numpy(array) for key, array in sample.items()})
    hook.remove()
    weights = text_weights(inputs, len(inputs), pooled=True)
    wanted = sum(weight * rows.T @ rows for weight, rows in zip(weights, given, strict=True))
    np.testing.assert_allclose(seen.moments, wanted, rtol=1e-3, atol=1e-4)
    assert seen.rows == pytest.approx(sum(map(len, given)), rel=1e-4)
    np.testing.assert_allclose(seen.low, np.concatenate(given).min(0), rtol=1e-4, atol=1e-5)


def test_outlying_columns_are_moved_into_the_weights_as_the_backend_does(
    bert: Checkpoint, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries, keys and values read the same, so they are smoothed together, or not at all."""
    real = tensor_losses._loaded

    def lopsided(checkpoint: Checkpoint) -> torch.nn.Module:
        model = real(checkpoint)
        norm = next(module for name, module in model.named_modules() if name.endswith("embeddings.LayerNorm"))
        norm.weight.data[:2] *= 50
        return model

    monkeypatch.setattr(tensor_losses, "_loaded", lopsided)
    smooth, rough = meter_of(bert, samples), meter_of(bert, samples, dataclasses.replace(ENCODER, smooths=False))
    names = [name for name in smooth.parameters if "layer.0.attention.self" in name]
    assert {smooth._together[name] for name in names} == {tuple(sorted(names))}
    int8: Choice = ("int8", None)
    less, more = (meter.measure_plan(dict.fromkeys(names, int8))[0] for meter in (smooth, rough))
    assert less < 0.5 * more
    assert smooth.measure_plan({names[0]: int8}) == rough.measure_plan({names[0]: int8})
    alone = sum(smooth.measure(name, [int8])[0].mean for name in names)
    assert alone == pytest.approx(less, rel=0.5)


def test_a_plan_loses_about_what_its_tensors_lose(bert: Checkpoint, found: Sensitivity, samples: Samples) -> None:
    meter = meter_of(bert, samples)
    plan: dict[str, Choice] = dict.fromkeys(found.losses, ("int4", 32))
    mean, worst = meter.measure_plan(plan)
    assert mean == pytest.approx(found.expected({name: TensorChoice("int4", "", 32) for name in plan}), rel=0.3)
    assert worst > mean
    (whole,) = found.whole
    unseen = meter.measure_plan(plan, unseen=True)
    assert unseen[0] > mean  # weights that were rounded by the very texts lose less of them
    assert whole.mean == pytest.approx((mean + unseen[0]) / 2, rel=1e-4)
    assert whole.worst == pytest.approx((worst + unseen[1]) / 2, rel=1e-4)
    assert meter.measure_plan({}) == (0.0, 0.0)


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
        meter_of(bert, samples)


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
