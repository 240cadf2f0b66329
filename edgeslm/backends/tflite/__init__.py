"""The tflite backend: our own lowering (or onnx2tf) writes floats, ai-edge-quantizer quantizes, LiteRT runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import edgeslm.backends.tflite.lower  # noqa: F401  # first: imported later, the folder took the function's name
from edgeslm.artifacts import CompiledModel, Converter, LoweredModel, OnnxModel, QuantPlan, Samples
from edgeslm.backends.tflite import environment
from edgeslm.decoder import Decoder
from edgeslm.formats.operator_layers import OperatorLayers
from edgeslm.quantize.rounding import Rounding

if TYPE_CHECKING:
    from edgeslm.backends import GraphOf, MomentsOf, WeightsOf

__all__ = [
    "environment",
    "layer_rounding",
    "lower",
    "missing",
    "operator_layers",
    "quantize",
    "weight_errors",
    "write_language",
]

PACKAGES = ("ai_edge_litert", "ai_edge_quantizer", "flatbuffers")


def missing(converter: Converter | None = None) -> str | None:
    """None where the backend can be used here, else what is missing and what to do, in one line."""
    absent = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if absent:
        return f"{', '.join(absent)} not installed: edgeslm doctor --install tflite"
    return environment.problem("onnx2tf") if converter == "onnx2tf" else None


def lower(model: OnnxModel, out: Path, converter: Converter | None = None) -> LoweredModel:
    """One float .tflite, a signature per length."""
    from edgeslm.backends.tflite.lowering import lower as carry_out

    return carry_out(model, out, converter)


def quantize(
    lowered: LoweredModel, plan: QuantPlan, model: OnnxModel, calibration: Samples | None, out: Path
) -> CompiledModel:
    """The plan carried out on every signature at once."""
    from edgeslm.backends.tflite.quantization import quantize as carry_out

    return carry_out(lowered, plan, model, calibration, out)


def weight_errors(compiled: CompiledModel, model: OnnxModel) -> list[tuple[str, float]]:
    """(checkpoint parameter, relative L2 error of its stored values), the worst first."""
    from edgeslm.backends.tflite.weights import weight_errors as carry_out

    return carry_out(compiled, model)


def operator_layers(compiled: CompiledModel, lowered: LoweredModel, model: OnnxModel) -> OperatorLayers:
    """The compiled model's operators, and which of the checkpoint's layers each computes."""
    from edgeslm.backends.tflite.layers import operator_layers as carry_out

    return carry_out(compiled, lowered, model)


def layer_rounding(*, language: bool) -> Rounding:
    """Weights are rounded with error feedback and activations to a scale a row; an encoder's are smoothed before."""
    from edgeslm.backends.tflite.rounded_values import encoder_values
    from edgeslm.quantize.symmetric import round_values

    return Rounding(round_values, row=0) if language else Rounding(encoder_values, row=0, smooths=True)


def write_language(
    decoder: Decoder,
    weights: WeightsOf,
    graph_of: GraphOf,
    plan: QuantPlan,
    moments: MomentsOf,
    out: Path,
    parent: str,
) -> CompiledModel:
    """A decoder with every signature over one set of weights."""
    from edgeslm.backends.tflite.language import write_language as carry_out

    return carry_out(decoder, graph_of, plan, moments, out, parent)
