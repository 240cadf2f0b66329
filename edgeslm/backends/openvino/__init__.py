"""The openvino backend: OpenVINO converts and runs, nncf calibrates; weights are rounded by `rounding.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.artifacts import CompiledModel, QuantPlan
from edgeslm.backends.openvino.installed import missing
from edgeslm.backends.openvino.layers import operator_layers
from edgeslm.backends.openvino.lower import lower
from edgeslm.backends.openvino.quantize import DYNAMIC_GROUP, quantize
from edgeslm.backends.openvino.rounded_values import round_values
from edgeslm.backends.openvino.weight_errors import weight_errors
from edgeslm.decoder import Decoder
from edgeslm.quantize.rounding import Rounding

if TYPE_CHECKING:
    from edgeslm.backends import GraphOf, MomentsOf, WeightsOf

__all__ = ["layer_rounding", "lower", "missing", "operator_layers", "quantize", "weight_errors", "write_language"]


def layer_rounding(*, language: bool) -> Rounding:
    """Weights are rounded with error feedback, activations in groups to a scale each as they come."""
    return Rounding(round_values, row=int(DYNAMIC_GROUP))


def write_language(
    decoder: Decoder,
    weights: WeightsOf,
    graph_of: GraphOf,
    plan: QuantPlan,
    moments: MomentsOf,
    out: Path,
    parent: str,
) -> CompiledModel:
    """A decoder as one stateful graph of its own, which no ONNX graph is needed for."""
    from edgeslm.backends.openvino.language import write_language as carry_out

    return carry_out(decoder, weights, plan, moments, out, parent)
