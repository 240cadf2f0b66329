"""Passes keep what a graph means."""

from __future__ import annotations

import numpy as np
import onnx_ir
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgeslm.passes.clamp_masks import ClampMasks
from edgeslm.passes.name_length import NameLength
from edgeslm.passes.specialize_length import SpecializeLength


def graph() -> onnx_ir.Model:
    """y = x + (1 - mask) * finfo.min, of a symbolic length."""
    nodes = [
        helper.make_node("Sub", ["one", "mask"], ["inverse"]),
        helper.make_node("Mul", ["inverse", "least"], ["bias"]),
        helper.make_node("Add", ["x", "bias"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "s77"]) for name in ("x", "mask")]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "s77"])
    least = float(np.finfo(np.float32).min)
    constants = [
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("least", TensorProto.FLOAT, [1], [least]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "masked", values, [result], constants),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    return onnx_ir.serde.deserialize_model(model)


def run(model: onnx_ir.Model, x: list[float], mask: list[float]) -> np.ndarray:
    data = onnx_ir.serde.serialize_model(model).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    answer: np.ndarray = session.run(None, {"x": np.array([x], np.float32), "mask": np.array([mask], np.float32)})[0]
    return answer


def test_masks_survive_half_precision() -> None:
    model = ClampMasks()(graph()).model
    found = run(model, [1.0, 2.0, 3.0], [1.0, 1.0, 0.0])
    assert found.tolist() == [[1.0, 2.0, -9997.0]]
    assert np.isfinite(found.astype(np.float16)).all()
    assert not ClampMasks()(model).modified


def test_the_length_gets_its_name() -> None:
    model = NameLength()(graph()).model
    assert [str(value.shape) for value in model.graph.inputs] == ["[1,tokens]", "[1,tokens]"]


def test_a_length_can_be_fixed() -> None:
    model = SpecializeLength(3)(graph()).model
    assert run(model, [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]).tolist() == [[1.0, 2.0, 3.0]]
    with pytest.raises(Exception, match="dimensions"):
        run(model, [1.0], [1.0])
