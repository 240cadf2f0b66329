"""Integers that stand for other numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.tflite.lower.graph import LoweringGraph, refuse
from edgeslm.formats.tflite import schema

if TYPE_CHECKING:
    import onnx_ir


def lower_dequantize(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """codes * scale, with one scale for all, which LiteRT keeps with the tensor of the codes."""
    codes, scale, *rest = node.inputs
    assert codes is not None
    factor, zero = graph.values(scale), graph.values(rest[0]) if rest else None
    if factor is None or factor.size != 1:
        refuse(node, "its scale is computed, or is not one number")
    tensor = graph.tensor(codes)
    described = graph.subgraph.tensors[tensor]
    if graph.dtype(tensor) != "INT8" or described.quantization is not None:
        refuse(node, "what it reads are no int8 numbers, or they have another scale elsewhere")
    described.quantization = schema().QuantizationParametersT()
    described.quantization.scale = factor.reshape(1).astype(np.float32)
    described.quantization.zeroPoint = np.array([0 if zero is None else int(zero.reshape(-1)[0])], dtype=np.int64)
    graph.emit("DEQUANTIZE", [tensor], graph.result(node.outputs[0]), "Dequantize")
