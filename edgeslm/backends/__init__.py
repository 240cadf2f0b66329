"""The backends by name. Modules that satisfy one Protocol, in one dict."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from edgeslm.artifacts import CompiledModel, Converter, LoweredModel, OnnxModel, QuantPlan, Samples
from edgeslm.decoder import Decoder
from edgeslm.formats.operator_layers import OperatorLayers
from edgeslm.quantize.rounding import Rounding
from edgeslm.quantize.symmetric import round_values

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir
    from numpy.typing import NDArray

MODULES = {"tflite": "edgeslm.backends.tflite", "openvino": "edgeslm.backends.openvino"}


GraphOf = Callable[[int, Sequence[int], int], "onnx_ir.Graph"]
"""tokens, rows of each segment of the cache, places -> a decoder's graph."""
WeightsOf = Callable[[str], "NDArray[np.float32]"]
"""Checkpoint parameter -> its values, read when they are asked for."""
MomentsOf = Callable[[str], "NDArray[Any] | None"]
"""Checkpoint parameter -> second moments [in, in] of what its layer is given, where they are known."""
LimitsOf = Callable[[str], float | None]
"""Checkpoint parameter -> the greatest magnitude of what its layer is given that int8 stands for; None for one that is
found for each row."""


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

    def layer_rounding(self, *, language: bool) -> Rounding:
        """How a layer computes once its weight is rounded; `language`: in a decoder, not in an encoder."""

    def write_language(
        self,
        decoder: Decoder,
        weights: WeightsOf,
        graph_of: GraphOf,
        plan: QuantPlan,
        moments: MomentsOf,
        out: Path,
        parent: str,
    ) -> CompiledModel:
        """A language model with its cache, rounded as planned; `parent` is the checkpoint's digest."""


def load_backend(name: str) -> Backend:
    return cast(Backend, importlib.import_module(MODULES[name]))


def find_rounding(name: str, *, language: bool) -> Rounding:
    """As the backend computes; our own kernels have the integers of LiteRT, and their activations stay float."""
    return load_backend(name).layer_rounding(language=language) if name in MODULES else Rounding(round_values)


def missing_backends(converter: Converter | None = None) -> dict[str, str | None]:
    return {name: load_backend(name).missing(converter) for name in MODULES}
