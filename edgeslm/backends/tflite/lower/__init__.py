"""Our own lowering: an ONNX graph for each length -> one float .tflite.

Each operator is a function `lower(node, graph)` in a file of its idea; here is which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgeslm.backends.tflite.lower import (
    activation,
    convolution,
    einsum,
    elementwise,
    embedding,
    gelu,
    linear,
    normalization,
    quantized,
    reduction,
    shape,
    slicing,
    softmax,
)
from edgeslm.backends.tflite.lower.fusion import Finder
from edgeslm.backends.tflite.lower.graph import LoweringGraph

if TYPE_CHECKING:
    import onnx_ir

Lower = Callable[["onnx_ir.Node", LoweringGraph], None]
OPERATORS: dict[str, Lower] = {
    **dict.fromkeys(elementwise.BINARY, elementwise.lower_binary),
    **dict.fromkeys(activation.UNARY, activation.lower_unary),
    **dict.fromkeys(reduction.KINDS, reduction.lower_reduction),
    **dict.fromkeys(softmax.KINDS, softmax.lower_softmax),
    **dict.fromkeys(linear.PRODUCTS, linear.lower_product),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"), shape.lower_reshape),
    **dict.fromkeys(("ArgMax", "ArgMin"), reduction.lower_arg),
    **dict.fromkeys(("AveragePool", "MaxPool"), convolution.lower_pool),
    "Cast": elementwise.lower_cast,
    "Clip": elementwise.lower_clip,
    "Concat": slicing.lower_concat,
    "Conv": convolution.lower_convolution,
    "CumSum": reduction.lower_running_sum,
    "DequantizeLinear": quantized.lower_dequantize,
    "Einsum": einsum.lower_einsum,
    "Expand": shape.lower_expand,
    "Gather": embedding.lower_gather,
    "Gelu": gelu.lower_gelu,
    "LayerNormalization": normalization.lower_layer_normalization,
    "LeakyRelu": activation.lower_leaky_relu,
    "Pad": slicing.lower_pad,
    "Pow": elementwise.lower_pow,
    "Reciprocal": activation.lower_reciprocal,
    "ScatterND": slicing.lower_scatter,
    "Slice": slicing.lower_slice,
    "Split": slicing.lower_split,
    "Tile": shape.lower_tile,
    "Transpose": shape.lower_transpose,
    "Where": elementwise.lower_where,
}
"""ONNX operator -> what lowers it."""
FINDERS: tuple[Finder, ...] = (
    linear.find_linear,
    linear.find_turned_product,
    gelu.find_gelu,
    activation.find_reciprocal_root,
)
"""What LiteRT has one operator for and ONNX several."""
