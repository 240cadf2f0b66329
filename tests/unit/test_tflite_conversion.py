"""onnx2tf failing: its log is kept, its last lines are shown, and a refused operator is named with its layer."""

from __future__ import annotations

from pathlib import Path

import onnx_ir
import pytest

from edgeslm.artifacts import OnnxModel, TensorSpec
from edgeslm.backends.tflite import conversion
from edgeslm.backends.tflite.conversion import convert
from edgeslm.errors import InternalError, ToolFailedError, UnsupportedOpError

REFUSAL = (
    "NotImplementedError: flatbuffer_direct validation failed: op=Det node=node_det reason_code=unsupported_onnx_op"
)


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    """A graph of one node, which comes from layer `pooler`."""
    x = onnx_ir.Input("x", onnx_ir.Shape([1, 2, 2]), onnx_ir.TensorType(onnx_ir.DataType.FLOAT))
    node = onnx_ir.node("Det", [x], name="node_det", metadata_props={"edgeslm.layer": "pooler"})
    node.outputs[0].name = "y"
    graph = onnx_ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 20}, name="main")
    onnx_ir.save(onnx_ir.Model(graph, ir_version=10), tmp_path / "model.onnx")
    (tmp_path / "weights.bin").touch()
    spec = TensorSpec("x", "float32", (1, 2, 2))
    return OnnxModel(tmp_path, "a" * 64, "", "tensors", (spec,), (spec,), (), {0: "model.onnx"}, "weights.bin", {})


def onnx2tf_that(does: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in the place of the environment's Python. Returns the folder to work in."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setattr(conversion, "python_of", lambda name: program)
    work = folder / "work"
    work.mkdir()
    return work


def test_a_failure_shows_its_last_lines_and_keeps_its_log(
    model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = onnx2tf_that("echo it starts; echo KeyError: broken >&2; exit 3", tmp_path, monkeypatch)
    with pytest.raises(ToolFailedError, match="KeyError: broken") as caught:
        convert(model, [0], work, simplify=False)
    assert caught.value.status == 3
    assert "it starts" in caught.value.log.read_text()
    assert str(caught.value.log) in str(caught.value.hint)
    assert not caught.value.log.is_relative_to(work)


def test_a_refused_operator_is_named_with_its_layer(
    model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = onnx2tf_that(f"echo '{REFUSAL}'; exit 1", tmp_path, monkeypatch)
    with pytest.raises(UnsupportedOpError, match="unsupported_onnx_op") as caught:
        convert(model, [0], work, simplify=False)
    error = caught.value
    assert (error.op, error.node, error.layer, error.backend) == ("Det", "node_det", "pooler", "tflite")
    assert "--backend openvino" in str(error.hint)


def test_no_file_where_one_should_be_is_our_error(
    model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = onnx2tf_that("exit 0", tmp_path, monkeypatch)
    with pytest.raises(InternalError, match="0 float32 files"):
        convert(model, [0], work, simplify=False)
