"""ONNX graphs of a few nodes, run by ONNX Runtime and, lowered, by LiteRT."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # the package has no types
from numpy.typing import NDArray

from edgeslm.artifacts import TensorSpec
from edgeslm.backends.tflite.lower.file import LoweredFile, lower_graphs

Array = NDArray[Any]
OPSET = 20


def a_graph(
    nodes: Sequence[onnx.NodeProto], given: Mapping[str, Array], constants: Mapping[str, Array], made: Sequence[str]
) -> onnx.ModelProto:
    """The nodes with shapes inferred. `given`: the inputs, by example."""
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
        for name, values in given.items()
    ]
    initializers = [onnx.numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in constants.items()]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in made]
    graph = onnx.helper.make_graph(list(nodes), "nodes", inputs, outputs, initializers)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def lowered(model: onnx.ModelProto, key: str = "run") -> LoweredFile:
    graph = onnx_ir.from_proto(model).graph
    return lower_graphs([(key, graph)], specs(graph.inputs), specs(graph.outputs))


def specs(values: Sequence[onnx_ir.Value]) -> tuple[TensorSpec, ...]:
    found = []
    for value in values:
        assert value.dtype is not None
        assert value.shape is not None
        found.append(TensorSpec(str(value.name), str(value.dtype.numpy()), value.shape.numpy()))
    return tuple(found)


def packed(file: LoweredFile) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file.write(Path(folder) / "model.tflite")
        return (Path(folder) / "model.tflite").read_bytes()


def same(
    op: str,
    given: Mapping[str, Array],
    constants: Mapping[str, Array] | None = None,
    *,
    order: Sequence[str] = (),
    tolerance: float = 1e-5,
    outputs: int = 1,
    **attributes: Any,
) -> list[str]:
    """Fails where LiteRT's results of the one node are not ONNX Runtime's; the kinds of operator it became.

    The node reads `order`, or what is given and then the constants.
    """
    made = [f"y{place}" for place in range(outputs)]
    node = onnx.helper.make_node(op, list(order) or [*given, *(constants or {})], made, name="node", **attributes)
    return same_graph(a_graph([node], given, constants or {}, made), given, tolerance)


def same_graph(model: onnx.ModelProto, given: Mapping[str, Array], tolerance: float = 1e-5) -> list[str]:
    names = [output.name for output in model.graph.output]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = session.run(names, dict(given))
    file = lowered(model)
    got = Interpreter(model_content=packed(file), num_threads=1).get_signature_runner("run")(**given)
    for name, expected in zip(names, wanted, strict=True):
        assert got[name].shape == expected.shape
        assert got[name].dtype == expected.dtype
        np.testing.assert_allclose(got[name], expected, rtol=tolerance, atol=tolerance)
    return [file.graphs[0].kind(operator) for operator in file.graphs[0].operators]
