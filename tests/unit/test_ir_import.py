"""ONNX operators as nodes of the graph for compilers, against ONNX Runtime; and what is refused, and how."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.errors import UnsupportedOpError
from edgeslm.export.graph_writer import GraphWriter, extents
from edgeslm.ir.graph import Quantization
from edgeslm.ir.import_onnx import import_onnx
from edgeslm.ir.interpret import Interpreter
from edgeslm.ir.nodes import Gather
from edgeslm.ir.passes import fuse
from tests.unit.onnx_graphs import Array, Write, fused, known, numbers, scalar, written

SHAPES = st.lists(st.integers(1, 4), min_size=2, max_size=4)
UNARY = ("Relu", "Tanh", "Sigmoid", "Exp", "Erf", "Abs", "Neg", "Identity", "Gelu", "Softmax")


def integers(graph: GraphWriter, *values: int) -> onnx_ir.Value:
    return graph.constant(f"integers {values}", np.array(values, np.int64))


def check(write: Write, **feed: Array) -> None:
    fused(write, feed)


@settings(max_examples=30)
@given(SHAPES, st.sampled_from(UNARY), st.integers(0, 99))
def test_element_by_element(shape: list[int], operator: str, seed: int) -> None:
    check(lambda graph: graph.add(operator, [graph.input("x", shape)], shape), x=numbers(*shape, seed=seed))


@settings(max_examples=30)
@given(SHAPES, st.sampled_from(("Add", "Sub", "Mul", "Min", "Max", "Div")), st.data())
def test_broadcast(shape: list[int], operator: str, data: st.DataObject) -> None:
    other = [data.draw(st.sampled_from((1, extent))) for extent in shape][data.draw(st.integers(0, len(shape))) :]

    def write(graph: GraphWriter) -> onnx_ir.Value:
        return graph.binary(operator, graph.input("x", shape), graph.input("other", other))

    check(write, x=numbers(*shape), other=np.asarray(np.abs(numbers(*other, seed=1)) + 1))


@settings(max_examples=30)
@given(SHAPES, st.sampled_from(("ReduceSum", "ReduceMean", "ReduceMax")), st.booleans(), st.data())
def test_reductions(shape: list[int], operator: str, keep: bool, data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, unique_by=lambda a: a % len(shape)))
    gone = {axis % len(shape) for axis in axes}
    left = [1 if axis in gone else extent for axis, extent in enumerate(shape) if keep or axis not in gone]

    def write(graph: GraphWriter) -> onnx_ir.Value:
        given = [graph.input("x", shape), integers(graph, *axes)]
        return graph.add(operator, given, left, keepdims=int(keep))

    check(write, x=numbers(*shape))


@settings(max_examples=40)
@given(SHAPES, st.data())
def test_slices(shape: list[int], data: st.DataObject) -> None:
    """Negative bounds, bounds outside, steps, several axes."""
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    starts = [data.draw(st.integers(-shape[axis], shape[axis] - 1)) for axis in axes]
    steps = [data.draw(st.integers(1, 3)) for _ in axes]
    stops = [shape[axis] + data.draw(st.integers(0, 3)) for axis in axes]
    left = [len(range(shape[axis])[slice(*bounds)]) for axis, *bounds in zip(axes, starts, stops, steps, strict=True)]
    result = [left[axes.index(axis)] if axis in axes else extent for axis, extent in enumerate(shape)]

    def write(graph: GraphWriter) -> onnx_ir.Value:
        bounds = [integers(graph, *one) for one in (starts, stops, axes, steps)]
        return graph.add("Slice", [graph.input("x", shape), *bounds], result)

    check(write, x=numbers(*shape))


@settings(max_examples=30)
@given(SHAPES, st.data())
def test_moved_split_joined_and_padded(shape: list[int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    axis = data.draw(st.integers(0, len(shape) - 1))
    pads = [data.draw(st.integers(0, 2)) for _ in range(2 * len(shape))]

    def write(graph: GraphWriter) -> onnx_ir.Value:
        x = graph.input("x", shape)
        turned = graph.add("Transpose", [x], [shape[one] for one in order], perm=list(order))
        both = graph.concat([turned, turned], axis)
        wide = [
            before + extent + after
            for before, extent, after in zip(pads, extents(both), pads[len(shape) :], strict=False)
        ]
        padded = graph.add("Pad", [both, integers(graph, *pads)], wide)
        return graph.add("Unsqueeze", [padded, integers(graph, 0)], [1, *wide])

    check(write, x=numbers(*shape))


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 4), st.lists(st.integers(-5, 4), min_size=1, max_size=4))
def test_rows_by_number(columns: int, batch: int, places: list[int]) -> None:
    """Along an inner axis, by indices that are known; one alone becomes a slice."""

    def write(graph: GraphWriter) -> onnx_ir.Value:
        x, indices = graph.input("x", [batch, 5, columns]), integers(graph, *places)
        return graph.add("Gather", [x, indices], [batch, len(places), columns], axis=1)

    graph = fused(write, {"x": numbers(batch, 5, columns)})
    if len(places) == 1:
        assert not any(isinstance(node.kind, Gather) for node in graph.nodes)


def test_limits() -> None:
    def write(graph: GraphWriter) -> onnx_ir.Value:
        x, low, high = graph.input("x", [9]), scalar("low", -0.5), scalar("high", 0.25)
        both = graph.add("Clip", [x, low, high], [9])
        return graph.binary("Add", both, graph.add("Clip", [x, None, high], [9]))

    fused(write, {"x": numbers(9)})


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 4), st.booleans(), st.integers(-20, 20), st.integers(0, 99))
def test_integers_with_scales(rows: int, columns: int, per_channel: bool, zero: int, seed: int) -> None:
    """Into integers and back, per tensor with a zero point or per channel; ties and values outside among them."""
    scales = np.array([0.5, 0.25, 1.0, 2.0][:columns] if per_channel else 0.5, np.float32)
    zeros = np.full(scales.shape, 0 if per_channel else zero, np.int8)
    x = (np.random.default_rng(seed).integers(-600, 600, (rows, columns)) * 0.125).astype(np.float32)

    def write(graph: GraphWriter) -> onnx_ir.Value:
        steps = [known("scales", scales), known("zeros", zeros)]
        codes = graph.add("QuantizeLinear", [graph.input("x", x.shape), *steps], x.shape, onnx_ir.DataType.INT8, axis=1)
        return graph.add("DequantizeLinear", [codes, *steps], x.shape, axis=1)

    graph = fused(write, {"x": x})
    codes = next(node.output for node in graph.nodes if node.output.dtype == "int8")
    assert codes.quantization is not None
    assert codes.quantization.scales == tuple(np.atleast_1d(scales).tolist())


def test_a_constant_of_integers_has_its_scales() -> None:
    values = np.array([[1, -2], [127, -128]], np.int8)

    def write(graph: GraphWriter) -> onnx_ir.Value:
        scales = known("scales", np.array([0.5, 2], np.float32))
        weights = graph.add("DequantizeLinear", [graph.constant("codes", values), scales], [2, 2], axis=0)
        return graph.binary("Mul", graph.input("x", [2, 2]), weights)

    model = written(write)
    (constant,) = import_onnx(model.graph, "cortexm").constants
    assert constant.tensor.quantization == Quantization((0.5, 2.0), (), 0)
    fused(write, {"x": numbers(2, 2)})


def zero_point() -> onnx_ir.Value:
    return known("zero", np.array(0, np.int8))


def refused(model: onnx_ir.Model) -> UnsupportedOpError:
    with pytest.raises(UnsupportedOpError) as caught:
        import_onnx(model.graph, "cortexm")
    return caught.value


def test_an_unknown_operator_is_named_with_its_layer() -> None:
    def write(graph: GraphWriter) -> onnx_ir.Value:
        return graph.add("CumSum", [graph.input("x", [2, 3]), graph.constant("axis", np.array([1]))], [2, 3])

    error = refused(written(write))
    assert (error.op, error.node, error.layer, error.backend) == ("CumSum", "CumSum_1", "model.part", "cortexm")
    assert error.exit_code == 3


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "LayerNormalization": ("last axis", {"axis": 0}),
    "Softmax": ("last axis", {"axis": 0}),
    "Gemm": ("alpha", {"transB": 1, "alpha": 2.0}),
}


@pytest.mark.parametrize("operator", REFUSED)
def test_forms_without_a_kind_are_refused(operator: str) -> None:
    says, attributes = REFUSED[operator]

    def write(graph: GraphWriter) -> onnx_ir.Value:
        x = graph.input("x", [3, 3])
        inputs = [x] if operator == "Softmax" else [x, graph.constant("w", numbers(3, 3))]
        return graph.add(operator, inputs, [3, 3], **attributes)

    assert says in refused(written(write)).message


def test_a_shape_that_is_not_known_is_refused() -> None:
    model = written(lambda graph: graph.add("Relu", [graph.input("x", [1, 3])], [1, 3]))
    model.graph.inputs[0].shape = onnx_ir.Shape([1, "tokens"])
    assert "the shape of x is [1,tokens]" in refused(model).message
    model.graph.inputs[0].shape = onnx_ir.Shape([1, 3])
    next(iter(model.graph)).outputs[0].shape = None
    error = refused(model)
    assert "the shape of y is not known" in error.message
    assert error.layer == "model.part"


def test_bounds_that_are_computed_are_refused() -> None:
    def write(graph: GraphWriter) -> onnx_ir.Value:
        bound = graph.input("bound", [1], onnx_ir.DataType.INT64)
        return graph.add("Slice", [graph.input("x", [3]), bound, bound], [1])

    assert "input 1 is computed" in refused(written(write)).message


def test_integers_of_another_scale_are_refused() -> None:
    def write(graph: GraphWriter) -> onnx_ir.Value:
        x, shape = graph.input("x", [2]), [2]
        codes = graph.add("QuantizeLinear", [x, scalar("a", 0.5), zero_point()], shape, onnx_ir.DataType.INT8)
        return graph.add("DequantizeLinear", [codes, scalar("b", 0.25), zero_point()], shape)

    assert "scale" in refused(written(write)).message


def test_weights_are_read_by_who_asks_for_them() -> None:
    read: list[str] = []

    def weight() -> Array:
        read.append("weight")
        return numbers(2, 3)

    def write(graph: GraphWriter) -> onnx_ir.Value:
        return graph.add(
            "Gemm", [graph.input("x", [1, 3]), graph.weight("a.weight+b.weight", [2, 3], weight)], [1, 2], transB=1
        )

    graph = fuse(import_onnx(written(write).graph, "cortexm"))
    assert read == []
    assert graph.constants[0].parameters == ("a.weight", "b.weight")
    assert Interpreter(graph).run({"x": numbers(1, 3)})["y"].shape == (1, 2)
    assert read == ["weight"]
