"""Functions of one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.tflite.lower.fusion import Fusion, only_reader_of
from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute

if TYPE_CHECKING:
    import onnx_ir

UNARY = {
    "Relu": "RELU",
    "Sigmoid": "LOGISTIC",
    "Tanh": "TANH",
    "Sqrt": "SQRT",
    "Exp": "EXP",
    "Log": "LOG",
    "Abs": "ABS",
    "Neg": "NEG",
    "Floor": "FLOOR",
    "Ceil": "CEIL",
    "Sin": "SIN",
    "Cos": "COS",
    "HardSwish": "HARD_SWISH",
    "Not": "LOGICAL_NOT",
}
"""ONNX operator -> LiteRT's. None of them has options."""


def lower_unary(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    (value,) = node.inputs
    assert value is not None
    graph.emit(UNARY[node.op_type], [graph.tensor(value)], graph.result(node.outputs[0]))


def lower_leaky_relu(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    (value,) = node.inputs
    assert value is not None
    alpha = float(attribute(node, "alpha", 0.01))
    graph.emit("LEAKY_RELU", [graph.tensor(value)], graph.result(node.outputs[0]), "LeakyRelu", alpha=alpha)


def lower_reciprocal(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    (value,) = node.inputs
    assert value is not None
    one = graph.constant_of("number 1", np.array(1, dtype=np.float32))
    graph.emit("DIV", [one, graph.tensor(value)], graph.result(node.outputs[0]), "Div")


def find_reciprocal_root(node: onnx_ir.Node) -> Fusion | None:
    """Sqrt -> Reciprocal: RSQRT, as in every RMS norm."""
    root = only_reader_of(node.inputs[0], "Sqrt") if node.op_type == "Reciprocal" else None
    given = root.inputs[0] if root is not None else None
    if given is None:
        return None

    def lower(last: onnx_ir.Node, graph: LoweringGraph) -> None:
        graph.emit("RSQRT", [graph.tensor(given)], graph.result(last.outputs[0]))

    return Fusion(lower, (given,))
