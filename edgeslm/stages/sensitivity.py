"""Which tensors matter: a stage that is kept tensor by tensor, so that what was measured before an interruption is not
measured again."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Checkpoint, Samples
from edgeslm.backends import find_rounding
from edgeslm.cache import StageCache, code_digest
from edgeslm.digest import json_digest
from edgeslm.formats.samples import read_samples
from edgeslm.quantize.sensitivity import Choice, Loss, Sensitivity, TensorLosses
from edgeslm.versions import tool_versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeslm.export.tensor_losses import LossMeter

ModelInputs = Sequence[Mapping[str, "NDArray[Any]"]]
METER = (
    "export/tensor_losses", "export/model_blocks", "export/rounded_rows", "export/text_batches",
    "export/watched_layers", "export/weight_places", "quantize",
)  # fmt: skip
"""Sources that losses depend on, beside the backend's."""
FITTED = "int4"
"""The precision whose weights are fitted to texts so closely that these lose less of it than others."""


def sensitivity_stage(
    cache: StageCache,
    checkpoint: Checkpoint,
    backend: str,
    calibration: Samples | None,
    choices: Mapping[str, Sequence[Choice]],
    whole: Mapping[Choice, Sequence[str]] | None = None,
) -> Sensitivity:
    """What each of `choices` costs, by checkpoint parameter; those that are no weight of a linear layer or a table are
    left out. `whole`: choices that are measured for all of these parameters at once. `calibration`: tokens of texts
    that never score; None for what a language model writes itself.

    Raises TextsError where they are too few, and CheckpointError where a layer gives NaN.
    """
    measure = _Measure(cache, checkpoint, backend, calibration)
    asked = [(name, tuple(dict.fromkeys(wanted))) for name, wanted in choices.items() if len(wanted) > 1]
    plans = [(choice, sorted(names)) for choice, names in (whole or {}).items()]
    key = [measure.key, asked, plans, code_digest("stages/sensitivity")]
    return cache.stage("sensitivity", key, Sensitivity, lambda _: measure.all(asked, plans))


class _Measure:
    def __init__(self, cache: StageCache, checkpoint: Checkpoint, backend: str, calibration: Samples | None) -> None:
        self._checkpoint, self._backend, self._calibration = checkpoint, backend, calibration
        self._inner = StageCache(cache.folder, lambda *_: contextlib.nullcontext())
        sources = code_digest(*METER, f"backends/{backend}")
        used = calibration.digest if calibration else None
        self.key = json_digest([checkpoint.digest, used, backend, sources, tool_versions("export")])

    def all(
        self, asked: Sequence[tuple[str, tuple[Choice, ...]]], plans: Sequence[tuple[Choice, list[str]]]
    ) -> Sensitivity:
        found = [
            self._inner.stage("losses", [self.key, *one], TensorLosses, functools.partial(self._tensor, *one))
            for one in asked
        ]
        whole = [
            self._inner.stage("whole-losses", [self.key, *one], Loss, functools.partial(self._whole, *one))
            for one in plans
        ]
        about = self._inner.stage("measured-on", [self.key], Sensitivity, lambda _: self._about())
        measured = tuple(one for one in found if one.losses)
        return Sensitivity(about.unit, about.texts, about.samples, about.tokens, measured, tuple(whole))

    def _tensor(self, parameter: str, choices: tuple[Choice, ...], _: Path) -> TensorLosses:
        if parameter not in self._meter.parameters:
            return TensorLosses(parameter, ())
        return TensorLosses(parameter, tuple(self._meter.measure(parameter, choices)))

    def _whole(self, choice: Choice, parameters: list[str], _: Path) -> Loss:
        plan = dict.fromkeys(parameters, choice)
        mean, worst = self._meter.measure_plan(plan)
        if choice[0] == FITTED:
            # Judged by texts that also rounded the weights, it is too little; by others, with only half the texts left
            # to round by, too much. Between the two (Efron 1983, Journal of the American Statistical Association 78).
            other_mean, other_worst = self._meter.measure_plan(plan, unseen=True)
            mean, worst = (mean + other_mean) / 2, (worst + other_worst) / 2
        return Loss(*choice, mean, worst)

    def _about(self) -> Sensitivity:
        meter = self._meter
        return Sensitivity(meter.unit, self._described, meter.samples, meter.tokens, ())

    @functools.cached_property
    def _meter(self) -> LossMeter:
        """Made when the first tensor needs it: what is cached costs no model."""
        from edgeslm.export.tensor_losses import LossMeter

        samples, made = self._samples
        rounding = find_rounding(self._backend, language=self._checkpoint.decoder is not None)
        return LossMeter(self._checkpoint, samples, self._described, rounding, made)

    @property
    def _samples(self) -> tuple[ModelInputs, ModelInputs]:
        """Those that were written, and those that were made of them."""
        if self._calibration is not None:
            read = read_samples(self._calibration.path)
            return read[: self._calibration.count], read[self._calibration.count :]
        from edgeslm.export.language_reference import written_texts

        return written_texts(self._checkpoint), []

    @property
    def _described(self) -> str:
        return self._calibration.described if self._calibration else "tokens that the model wrote"
