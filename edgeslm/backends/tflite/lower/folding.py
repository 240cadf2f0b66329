"""Nodes that read constants alone are computed here: their results are constants of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx_ir

LARGEST = 2**26
"""Elements up to which a result is worth storing."""
IR_VERSION = 10  # which every ONNX Runtime of the last years reads
RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}


def fold_constants(graph: onnx_ir.Graph) -> None:
    """Give every value that follows from constants, or from shapes, its `const_value`."""
    for node in graph:
        if node.op_type in RANDOM or any(one.type.name.startswith("GRAPH") for one in node.attributes.values()):
            continue
        shape = node.inputs[0].shape if node.op_type == "Shape" and node.inputs[0] is not None else None
        known = shape is not None and shape.is_static()
        known = known or all(value is None or value.const_value is not None for value in node.inputs)
        if known and all(_size(value) <= LARGEST for value in node.outputs):
            _compute(node, graph.opset_imports)


def _compute(node: onnx_ir.Node, opsets: Mapping[str, int]) -> None:
    """By ONNX Runtime, in a model of this one node."""
    import onnx
    import onnx_ir
    import onnxruntime

    given: dict[str, NDArray[Any]] = {}
    for value in node.inputs:
        if value is not None:
            tensor = value.const_value
            shape = [int(extent) for extent in value.shape or () if isinstance(extent, int)]
            given[str(value.name)] = np.zeros(shape, np.float32) if tensor is None else tensor.numpy()
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
        for name, values in given.items()
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(str(value.name)) for value in node.outputs]
    graph = onnx.helper.make_graph([onnx_ir.to_proto(node)], "constants", inputs, outputs)
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for value, result in zip(node.outputs, session.run(None, given), strict=True):
        value.const_value = onnx_ir.tensor(np.asarray(result), name=value.name)
        value.shape = onnx_ir.Shape(np.shape(result))


def _size(value: onnx_ir.Value) -> int:
    extents = tuple(value.shape) if value.shape is not None else ()
    return int(np.prod([extent if isinstance(extent, int) else 1 for extent in extents], dtype=np.int64))
