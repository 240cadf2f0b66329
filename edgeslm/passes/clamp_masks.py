"""Masks that survive half precision: -3.4e38 overflows in float16 and turns a softmax into NaN."""

from __future__ import annotations

import numpy as np
import onnx_ir
from onnx_ir.passes import InPlacePass, PassResult

LIMIT = 1e30  # no trained weight comes near; attention masks and finfo constants lie beyond
MASKED = 1e4  # exp(-1e4) is 0 in every float type, and 65504 is float16's largest


class ClampMasks(InPlacePass):
    """Float constants beyond ±1e30 become ±1e4."""

    def call(self, model: onnx_ir.Model) -> PassResult:
        modified = False
        for value in model.graph.initializers.values():
            tensor = value.const_value
            if tensor is None or tensor.dtype not in {onnx_ir.DataType.FLOAT, onnx_ir.DataType.DOUBLE}:
                continue
            array = tensor.numpy()
            beyond = np.abs(array) > LIMIT
            if array.size and bool(beyond.any()):
                clamped = np.where(beyond, np.copysign(np.asarray(MASKED, array.dtype), array), array)
                value.const_value = onnx_ir.tensor(clamped.astype(array.dtype), name=value.name)
                modified = True
        return PassResult(model, modified)
