"""What the passes recognise, in the forms that exporters write it; and what only looks like it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.export.graph_writer import INT32, extents
from edgeslm.ir import nodes
from edgeslm.ir.graph import Graph
from edgeslm.ir.import_onnx import import_onnx
from edgeslm.ir.interpret import Interpreter
from edgeslm.ir.passes import fuse
from edgeslm.ir.rewrite import fix_input
from tests.unit.onnx_graphs import Sketch, Value, fused, known, numbers, scalar, written

SHAPE = (1, 5, 6)


def recognised(write: Callable[[Sketch, Value], Value], *shape: int) -> Graph:
    """x -> y fused, and still what ONNX Runtime says."""
    shape = shape or SHAPE
    return fused(lambda s: write(s, s.input("x", shape)), {"x": numbers(*shape)})


def kinds(graph: Graph) -> list[nodes.Kind]:
    return [node.kind for node in graph.nodes]


# ---- Activations ----


def erf(s: Sketch, x: Value, *, divided: bool) -> Value:
    scaled = s.over(x, math.sqrt(2)) if divided else s.mul(x, math.sqrt(0.5))
    return s.plus(s.apply("Erf", scaled), 1.0)


def tanh(s: Sketch, x: Value, *, product: bool) -> Value:
    cube = s.mul(s.mul(x, x), x) if product else s.power(x, 3.0)
    return s.plus(s.apply("Tanh", s.mul(s.plus(x, s.mul(cube, 0.044715)), math.sqrt(2 / math.pi))), 1.0)


GELUS: dict[str, tuple[str, Callable[[Sketch, Value], Value]]] = {
    "0.5 x (1 + erf)": ("gelu", lambda s, x: s.mul(s.mul(x, 0.5), erf(s, x, divided=True))),
    "x (1 + erf) 0.5": ("gelu", lambda s, x: s.mul(s.mul(x, erf(s, x, divided=False)), 0.5)),
    "x (0.5 (1 + erf))": ("gelu", lambda s, x: s.mul(x, s.mul(erf(s, x, divided=True), 0.5))),
    "0.5 x (1 + tanh)": ("gelu_tanh", lambda s, x: s.mul(s.mul(x, 0.5), tanh(s, x, product=False))),
    "(1 + tanh) x 0.5": ("gelu_tanh", lambda s, x: s.mul(s.mul(tanh(s, x, product=True), x), 0.5)),
}


@pytest.mark.parametrize("form", GELUS)
def test_gelu(form: str) -> None:
    function, write = GELUS[form]
    assert kinds(recognised(write)) == [nodes.Unary(function)]  # type: ignore[arg-type]  # one of two


def test_what_only_looks_like_gelu() -> None:
    """Another factor, another number in the cube, another x in the bell."""
    assert nodes.Unary("gelu") not in kinds(recognised(lambda s, x: s.mul(s.mul(x, 0.6), erf(s, x, divided=True))))
    shifted = recognised(lambda s, x: s.mul(s.mul(x, 0.5), erf(s, s.plus(x, 0.1), divided=True)))
    assert nodes.Unary("gelu") not in kinds(shifted)
    assert nodes.Unary("gelu") not in kinds(
        recognised(lambda s, x: s.mul(x, s.plus(s.mul(erf(s, x, divided=True), 0.5), 0.1)))
    )


def test_silu_and_gates() -> None:
    def gated(s: Sketch, x: Value) -> Value:
        gate, up = s.slice(x, 2, 0, 3), s.slice(x, 2, 3, 6)
        return s.mul(s.mul(gate, s.apply("Sigmoid", gate)), up)

    assert kinds(recognised(gated))[-1] == nodes.Gated("silu")
    assert kinds(recognised(lambda s, x: s.mul(x, s.apply("Sigmoid", x)))) == [nodes.Unary("silu")]
    # An activation that is read elsewhere as well has to be there.
    both = recognised(lambda s, x: s.plus(s.mul(a := s.apply("Relu", x), s.plus(x, 1.0)), a))
    assert nodes.Gated("relu") not in kinds(both)


def test_caps() -> None:
    capped = recognised(lambda s, x: s.mul(s.apply("Tanh", s.mul(x, 0.5)), 2.0))
    assert kinds(capped) == [nodes.SoftCap(2.0)]
    assert not any(
        isinstance(kind, nodes.SoftCap) for kind in kinds(recognised(lambda s, x: s.mul(s.apply("Tanh", x), 2.0)))
    )


# ---- Norms ----


def root_of(s: Sketch, x: Value, *, power: bool) -> Value:
    square = s.power(x, 2.0) if power else s.mul(x, x)
    return s.apply("Sqrt", s.plus(s.reduce("ReduceMean", square), 1e-5))


def weight(s: Sketch, name: str = "weight", width: int = 6) -> Value:
    return s.constant(name, numbers(width, seed=len(name)))


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("form", ["reciprocal", "divided", "one over"])
def test_rms_norm(form: str, power: bool) -> None:
    def write(s: Sketch, x: Value) -> Value:
        root = root_of(s, x, power=power)
        if form == "divided":
            unit = s.over(x, root)
        elif form == "reciprocal":
            unit = s.mul(x, s.apply("Reciprocal", root))
        else:
            unit = s.mul(s.binary("Div", s.constant("one", np.ones(1, np.float32)), root), x)
        return s.mul(weight(s), unit)

    graph = recognised(write)
    assert kinds(graph) == [nodes.RmsNorm(1e-5)]
    assert graph.nodes[0].inputs == ("x", "weight")


def test_layer_norm_written_out() -> None:
    def write(s: Sketch, x: Value) -> Value:
        centered = s.minus(x, s.reduce("ReduceMean", x))
        normed = s.over(centered, root_of(s, centered, power=True))
        return s.plus(s.mul(normed, weight(s)), weight(s, "bias"))

    graph = recognised(write)
    assert kinds(graph) == [nodes.LayerNorm(1e-5)]
    assert graph.nodes[0].inputs == ("x", "weight", "bias")


def test_what_only_looks_like_a_norm() -> None:
    """Of other numbers, or over another axis."""
    others = recognised(lambda s, x: s.over(x, root_of(s, s.plus(x, 1.0), power=False)))
    axis = recognised(lambda s, x: s.over(x, s.apply("Sqrt", s.plus(s.reduce("ReduceMean", s.mul(x, x), 1), 1e-5))))
    wide = recognised(lambda s, x: s.mul(s.over(x, root_of(s, x, power=False)), s.constant("w", numbers(5, 6))))
    for graph in (others, axis):
        assert not any(isinstance(kind, nodes.RmsNorm) for kind in kinds(graph))
    assert [node.inputs for node in wide.nodes if isinstance(node.kind, nodes.RmsNorm)] == [("x",)]


def length(s: Sketch, x: Value) -> Value:
    total = s.apply("Sqrt", s.reduce("ReduceSum", s.mul(x, x)))
    return s.add("Clip", [total, scalar("least", 1e-12)], extents(total))


def test_unit_length() -> None:
    assert kinds(recognised(lambda s, x: s.over(x, length(s, x)))) == [nodes.UnitNorm(1e-12)]
    of_another = recognised(lambda s, x: s.over(s.plus(x, 1.0), length(s, x)))
    assert not any(isinstance(kind, nodes.UnitNorm) for kind in kinds(of_another))


# ---- Linear layers, numbers, views ----


def test_linear() -> None:
    def write(s: Sketch, x: Value) -> Value:
        matrix = s.constant("layer.weight", numbers(6, 4))
        return s.plus(s.add("MatMul", [x, matrix], [1, 5, 4]), s.constant("layer.bias", numbers(4)))

    graph = recognised(write)
    assert kinds(graph) == [nodes.Linear()]
    constant = graph.constant(graph.nodes[0].inputs[1])
    assert constant is not None
    assert (constant.tensor.shape, constant.parameters) == ((4, 6), ("layer.weight",))


def test_a_table_that_is_a_head_too_is_one_constant() -> None:
    table = numbers(7, 6)

    def write(writer: Sketch) -> Value:
        tokens = writer.input("tokens", [2], INT32)
        x = writer.add("Gather", [writer.constant("table", table), tokens], [2, 6], axis=0)
        return writer.add("MatMul", [x, known("table_", np.ascontiguousarray(table.T))], [2, 7])

    model = written(write)
    graph = fuse(import_onnx(model.graph, "cortexm", {"table": "embeddings.weight", "table_": "embeddings.weight"}))
    assert kinds(graph) == [nodes.Embedding(), nodes.Linear()]
    assert [one.name for one in graph.constants] == ["table"]
    found = Interpreter(graph).run({"tokens": np.array([3, 6], np.int32)})["y"]
    np.testing.assert_allclose(found, table[[3, 6]] @ table.T, rtol=1e-5)


OPERATIONS = st.tuples(st.sampled_from(("mul", "plus", "minus", "over")), st.sampled_from((0.5, -2.0, 3.0, 0.25)))


@settings(max_examples=25)
@given(st.lists(OPERATIONS, min_size=1, max_size=5))
def test_any_arithmetic_with_numbers_is_one_scale(steps: list[tuple[str, float]]) -> None:
    def write(s: Sketch, x: Value) -> Value:
        for step, number in steps:
            x = getattr(s, step)(x, number)
        return x

    assert [type(kind) for kind in kinds(recognised(write))] == [nodes.Scale]


def test_a_number_less_something() -> None:
    def write(s: Sketch, x: Value) -> Value:
        return s.binary("Sub", s.constant("one", np.ones(1, np.float32)), x)

    assert kinds(recognised(write)) == [nodes.Scale(-1.0, 1.0)]


def test_views_are_few() -> None:
    def write(s: Sketch, x: Value) -> Value:
        flat = s.reshape(s.reshape(s.slice(x, 1, 0, 5), [5, 6]), [30])
        turned = s.add("Transpose", [s.reshape(flat, [1, 5, 1, 6])], [5, 1, 1, 6], perm=[1, 0, 2, 3])
        return s.apply("Relu", turned)

    assert kinds(recognised(write)) == [nodes.Reshape(), nodes.Unary("relu")]


def test_constants_that_are_added_are_added_up() -> None:
    """Positions, and the type of a text whose tokens are all of one."""

    def write(writer: Sketch) -> Value:
        types = writer.input("types", [1, 5], INT32)
        rows = writer.add("Gather", [writer.constant("types.weight", numbers(2, 6)), types], [1, 5, 6], axis=0)
        x = writer.binary("Add", writer.input("x", [1, 5, 6]), rows)
        return writer.binary("Add", x, writer.constant("places", numbers(1, 5, 6, seed=1)))

    plain = import_onnx(written(write).graph, "cortexm")
    zeros = np.zeros((1, 5), np.int32)
    graph = fuse(fix_input(plain, "types", zeros))
    assert kinds(graph) == [nodes.Binary("add")]
    assert [one.name for one in graph.inputs] == ["x"]
    x = numbers(1, 5, 6, seed=2)
    expected = Interpreter(plain).run({"x": x, "types": zeros})["y"]
    np.testing.assert_allclose(Interpreter(graph).run({"x": x})["y"], expected, atol=1e-6)


# ---- Whole texts ----


def attention(s: Sketch, mask: Callable[[Sketch, Value], Value], *, scaled: str = "scores") -> Value:
    tokens, heads, dim = 5, 2, 3
    x, given = s.input("x", [1, tokens, 6]), s.input("mask", [1, tokens], INT32)

    def rows(name: str, order: list[int]) -> Value:
        made = s.add("MatMul", [x, s.constant(name, numbers(6, 6, seed=len(name)))], [1, tokens, 6])
        made = s.mul(made, 0.5) if scaled == name else made
        split = s.reshape(made, [1, tokens, heads, dim])
        return s.add("Transpose", [split], [extents(split)[axis] for axis in order], perm=order)

    scores = s.add("MatMul", [rows("q", [0, 2, 1, 3]), rows("key", [0, 2, 3, 1])], [1, heads, tokens, tokens])
    scores = s.mul(scores, 0.5) if scaled == "scores" else scores
    shares = s.add("Softmax", [s.plus(scores, mask(s, given))], [1, heads, tokens, tokens], axis=-1)
    mixed = s.add("MatMul", [shares, rows("value", [0, 2, 1, 3])], [1, heads, tokens, dim])
    turned = s.add("Transpose", [mixed], [1, tokens, heads, dim], perm=[0, 2, 1, 3])
    return s.apply("Relu", s.reshape(turned, [1, tokens, 6]))


def hidden(s: Sketch, mask: Value, least: float = -1e4) -> Value:
    real = s.add("Cast", [s.reshape(mask, [1, 1, 1, 5])], [1, 1, 1, 5], to=1)
    return s.mul(s.binary("Sub", s.constant("one", np.ones(1, np.float32)), real), least)


FEED = {"x": numbers(1, 5, 6), "mask": np.array([[1, 1, 1, 0, 0]], np.int32)}


@pytest.mark.parametrize("scaled", ["scores", "q", "key"])
def test_attention(scaled: str) -> None:
    graph = fused(lambda s: attention(s, hidden, scaled=scaled), FEED)
    (found,) = [node for node in graph.nodes if isinstance(node.kind, nodes.Attention)]
    assert found.kind == nodes.Attention(2, 2, 3, 0.5)
    assert found.inputs[3] == "mask"
    assert [type(kind) for kind in kinds(graph)] == [nodes.Linear] * 3 + [nodes.Attention, nodes.Unary]


def test_a_mask_that_does_not_hide_is_none() -> None:
    """Of -2 something shows through: form is the same, numbers are not."""
    graph = fused(lambda s: attention(s, lambda s, mask: hidden(s, mask, -2.0)), FEED)
    assert not any(isinstance(kind, nodes.Attention) for kind in kinds(graph))


def pooling(s: Sketch, mode: str) -> Value:
    x, mask = s.input("x", [1, 5, 6]), s.input("mask", [1, 5], INT32)
    real = s.add("Cast", [s.reshape(mask, [1, 5, 1])], [1, 5, 1], to=1)
    if mode == "max":
        far = s.mul(s.binary("Sub", s.constant("one", np.ones(1, np.float32)), real), -1e4)
        return s.reduce("ReduceMax", s.plus(x, far), 1, keep=False)
    if mode == "weightedmean":
        real = s.mul(real, s.constant("places", np.arange(1, 6, dtype=np.float32).reshape(1, 5, 1)))
    if mode == "lasttoken":
        following = s.concat([s.slice(real, 1, 1, 5), s.constant("none", np.zeros((1, 1, 1), np.float32))], 1)
        return s.reduce("ReduceSum", s.mul(x, s.minus(real, following)), 1, keep=False)
    total = s.reduce("ReduceSum", real, 1, keep=False)
    count = s.add("Clip", [total, scalar("least", 1e-9)], [1, 1])
    count = s.apply("Sqrt", count) if mode == "mean_sqrt_len_tokens" else count
    return s.over(s.reduce("ReduceSum", s.mul(x, real), 1, keep=False), count)


@pytest.mark.parametrize("mode", ["mean", "weightedmean", "mean_sqrt_len_tokens", "max", "lasttoken"])
def test_pooling(mode: str) -> None:
    graph = fused(lambda s: pooling(s, mode), FEED)
    assert kinds(graph) == [nodes.Pool(mode)]  # type: ignore[arg-type]  # one of them
