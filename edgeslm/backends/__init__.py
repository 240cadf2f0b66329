"""The backends by name. Modules that satisfy one Protocol, in one dict."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from edgeslm.artifacts import CompiledModel, Converter, LoweredModel, OnnxModel, QuantPlan, Samples
from edgeslm.formats.operator_layers import OperatorLayers

MODULES = {"tflite": "edgeslm.backends.tflite", "openvino": "edgeslm.backends.openvino"}


class Backend(Protocol):
    """What a backend's module offers."""

    def missing(self, converter: Converter | None = None) -> str | None:
        """None where the backend can be used here, with that converter, else what is missing and what to do, in one
        line."""

    def lower(self, model: OnnxModel, out: Path, converter: Converter | None = None) -> LoweredModel:
        """The exported graph in the backend's own format, in floats; by its preferred converter unless told."""

    def quantize(
        self, lowered: LoweredModel, plan: QuantPlan, model: OnnxModel, calibration: Samples | None, out: Path
    ) -> CompiledModel:
        """The plan carried out. `calibration` is given where the scheme needs it."""

    def weight_errors(self, compiled: CompiledModel, model: OnnxModel) -> list[tuple[str, float]]:
        """(checkpoint parameter, relative L2 error of its stored values), the worst first."""

    def operator_layers(self, compiled: CompiledModel, lowered: LoweredModel, model: OnnxModel) -> OperatorLayers:
        """The compiled model's operators, and which of the checkpoint's layers each computes."""


def load_backend(name: str) -> Backend:
    return cast(Backend, importlib.import_module(MODULES[name]))


def missing_backends(converter: Converter | None = None) -> dict[str, str | None]:
    return {name: load_backend(name).missing(converter) for name in MODULES}
