"""The openvino backend: OpenVINO converts and runs, nncf calibrates; weights are rounded by `rounding.py`."""

from __future__ import annotations

from edgeslm.backends.openvino.installed import missing
from edgeslm.backends.openvino.layers import operator_layers
from edgeslm.backends.openvino.lower import lower
from edgeslm.backends.openvino.quantize import quantize
from edgeslm.backends.openvino.weight_errors import weight_errors

__all__ = ["lower", "missing", "operator_layers", "quantize", "weight_errors"]
