"""Matrices of integers in a .tflite, and how LiteRT reads them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # the package has no types
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.backends.tflite.lower.file import lower_graphs
from edgeslm.backends.tflite.lower.packed import PackedMatrix
from edgeslm.formats.tflite import read_tflite
from edgeslm.quantize.symmetric import round_matrix
from tests.unit.lowered_nodes import a_graph

Seed = st.integers(0, 2**32 - 1)


def matrix(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


@given(rows=st.integers(1, 40), columns=st.integers(1, 70), seed=Seed)
def test_int8_rows_are_off_by_half_a_step(rows: int, columns: int, seed: int) -> None:
    weights = matrix(rows, columns, seed)
    rounded = round_matrix(weights, 8, None)
    assert np.abs(rounded.codes).max(axis=1).tolist() == [127] * rows
    assert (np.abs(rounded.codes * rounded.scales - weights) <= 0.501 * rounded.scales).all()


@settings(max_examples=25)
@given(rows=st.integers(1, 20), blocks=st.integers(1, 3), seed=Seed)
def test_int4_blocks_are_better_than_to_their_largest(rows: int, blocks: int, seed: int) -> None:
    weights = matrix(rows, 32 * blocks, seed)
    rounded = round_matrix(weights, 4, 32)
    assert rounded.scales.shape == (rows, blocks)
    assert rounded.codes.max() <= 7
    assert rounded.codes.min() >= -8
    back = (rounded.codes.reshape(rows, blocks, 32) * rounded.scales[:, :, None]).reshape(rows, -1)
    plain = weights.reshape(rows, blocks, 32)
    step = np.abs(plain).max(axis=2, keepdims=True) / 7
    naive = (np.rint(plain / step) * step).reshape(rows, -1)
    assert np.square(back - weights).sum() <= np.square(naive - weights).sum() * 1.001


@settings(max_examples=10)
@given(seed=Seed)
def test_moments_make_the_result_better_than_without(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = matrix(24, 64, seed)
    inputs = (random.standard_normal((400, 8)) @ random.standard_normal((8, 64))).astype(np.float32)
    inputs += 0.1 * random.standard_normal(inputs.shape).astype(np.float32)

    def error(moments: np.ndarray | None) -> float:
        rounded = round_matrix(weights, 4, 32, moments)
        back = (rounded.codes.reshape(24, 2, 32) * rounded.scales[:, :, None]).reshape(24, -1)
        return float(np.square(inputs @ (back - weights).T).sum())

    assert error(inputs.T @ inputs / len(inputs)) < error(None)


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
@settings(max_examples=8)
@given(rows=st.integers(1, 33), blocks=st.integers(1, 3), seed=Seed)
def test_a_linear_layer_and_a_table_share_a_matrix(precision: str, rows: int, blocks: int, seed: int) -> None:
    """Two graphs, one buffer; the float values in the ONNX graph are never read."""
    weights = matrix(rows, 32 * blocks, seed)
    if precision == "fp32":
        packed, back = PackedMatrix("fp32", weights.shape[1], weights, np.zeros(0, np.float32)), weights
    elif precision == "int8":
        rounded = round_matrix(weights, 8, None)
        packed = PackedMatrix("int8", weights.shape[1], rounded.codes, rounded.scales[:, 0])
        back = rounded.codes * rounded.scales
    else:
        rounded = round_matrix(weights, 4, 32)
        halves = rounded.codes.astype(np.uint8) & 15
        nibbles = halves[:, ::2] | halves[:, 1::2] << 4
        packed = PackedMatrix("int4", weights.shape[1], nibbles, rounded.scales.astype(np.float16), 32)
        back = (rounded.codes.reshape(rows, blocks, 32) * rounded.scales[:, :, None]).reshape(rows, -1)
    x, lies = matrix(2, 32 * blocks, seed + 1), {"w": np.full_like(weights, np.nan)}
    linear = a_graph([onnx.helper.make_node("Gemm", ["x", "w"], ["y"], name="g", transB=1)], {"x": x}, lies, ["y"])
    ids = np.array([rows - 1, 0], np.int32)
    table = a_graph([onnx.helper.make_node("Gather", ["w", "ids"], ["y"], name="g")], {"ids": ids}, lies, ["y"])
    graphs = [("linear", onnx_ir.from_proto(linear).graph), ("table", onnx_ir.from_proto(table).graph)]
    if precision == "int4":
        graphs.pop()  # LiteRT looks no rows up in blocks
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        lower_graphs(graphs, None, None, packed={"w": packed}).write(path)
        large = [b for b in read_tflite(path).buffers if b.data is not None and len(b.data) == packed.codes.nbytes]
        assert len(large) == 1 or packed.codes.nbytes < 1000  # small ones may be as long as something else
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        got = interpreter.get_signature_runner("linear")(x=x)["y"]
        step = np.abs(x).max(axis=1, keepdims=True) / 127  # activations are rounded as well, to int8
        slack = 1e-4 if precision == "fp32" else 0.6 * step * np.abs(back).sum(axis=1)
        assert (np.abs(got - x @ back.T) <= slack + 1e-4).all()
        if precision != "int4":
            rows_got = interpreter.get_signature_runner("table")(ids=ids)["y"]
            np.testing.assert_allclose(rows_got, back[ids], rtol=1e-5, atol=1e-6)
