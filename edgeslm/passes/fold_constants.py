"""Constant folding with shape inference, by onnxscript's optimizer."""

from __future__ import annotations

import onnx_ir
from onnx_ir.passes import InPlacePass, PassResult

LARGEST_INPUT = 4096  # elements: positions and shapes fold, weights stay shared between the lengths
LARGEST_OUTPUT = 512 * 512


class FoldConstants(InPlacePass):
    def call(self, model: onnx_ir.Model) -> PassResult:
        from onnxscript import optimizer

        optimizer.optimize(
            model, onnx_shape_inference=True, input_size_limit=LARGEST_INPUT, output_size_limit=LARGEST_OUTPUT
        )
        return PassResult(model, modified=True)
