"""Which tensors matter: a stage that is kept tensor by tensor, so that what was measured before an interruption is not
measured again."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Checkpoint, Samples
from edgeslm.backends import round_values
from edgeslm.cache import StageCache, code_digest
from edgeslm.digest import json_digest
from edgeslm.formats.samples import read_samples
from edgeslm.quantize.sensitivity import Choice, Sensitivity, TensorLosses
from edgeslm.versions import tool_versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeslm.export.tensor_losses import LossMeter

ROWS = {"tflite": 0, "openvino": 32}
"""Activations that share a scale where the runtime rounds them as they come; 0: a whole row."""


def sensitivity_stage(
    cache: StageCache,
    checkpoint: Checkpoint,
    backend: str,
    calibration: Samples | None,
    choices: Mapping[str, Sequence[Choice]],
) -> Sensitivity:
    """What each of `choices` costs, by checkpoint parameter; those that are no weight of a linear layer or a table are
    left out. `calibration`: tokens of texts that never score; None for what a language model writes itself.

    Raises TextsError where they are too few, and CheckpointError where a layer gives NaN.
    """
    measure = _Measure(cache, checkpoint, backend, calibration)
    asked = [(name, tuple(dict.fromkeys(wanted))) for name, wanted in choices.items() if len(wanted) > 1]
    return cache.stage("sensitivity", [measure.key, asked], Sensitivity, lambda _: measure.all(asked))


class _Measure:
    def __init__(self, cache: StageCache, checkpoint: Checkpoint, backend: str, calibration: Samples | None) -> None:
        self._checkpoint, self._backend, self._calibration = checkpoint, backend, calibration
        self._inner = StageCache(cache.folder, lambda *_: contextlib.nullcontext())
        sources = code_digest("export/tensor_losses", "quantize", f"backends/{backend}")
        used = calibration.digest if calibration else None
        self.key = json_digest([checkpoint.digest, used, backend, sources, tool_versions("export")])

    def all(self, asked: Sequence[tuple[str, tuple[Choice, ...]]]) -> Sensitivity:
        found = [
            self._inner.stage("losses", [self.key, *one], TensorLosses, lambda _, o=one: self._tensor(*o))
            for one in asked
        ]
        about = self._inner.stage("measured-on", [self.key], Sensitivity, lambda _: self._about())
        return Sensitivity(
            about.unit, about.texts, about.samples, about.tokens, tuple(one for one in found if one.losses)
        )

    def _tensor(self, parameter: str, choices: tuple[Choice, ...]) -> TensorLosses:
        if parameter not in self._meter.parameters:
            return TensorLosses(parameter, ())
        rounded = functools.partial(round_values, self._backend)
        losses = self._meter.measure(parameter, choices, rounded, ROWS.get(self._backend))
        return TensorLosses(parameter, tuple(losses))

    def _about(self) -> Sensitivity:
        meter = self._meter
        return Sensitivity(meter.unit, self._described, meter.samples, meter.tokens, ())

    @functools.cached_property
    def _meter(self) -> LossMeter:
        """Made when the first tensor needs it: what is cached costs no model."""
        from edgeslm.export.tensor_losses import LossMeter

        return LossMeter(self._checkpoint, self._samples, self._described)

    @functools.cached_property
    def _samples(self) -> Sequence[Mapping[str, NDArray[Any]]]:
        if self._calibration is not None:
            return read_samples(self._calibration.path)
        from edgeslm.export.language_reference import written_texts

        return written_texts(self._checkpoint)

    @property
    def _described(self) -> str:
        return self._calibration.described if self._calibration else "tokens that the model wrote"
