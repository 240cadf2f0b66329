"""Each operator of our own lowering against ONNX Runtime, on shapes that hypothesis makes up.

Results of floats may differ by 1e-5 of their size or of one, sums of many by 1e-4: kernels add in orders of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("ai_edge_litert")
onnx = pytest.importorskip("onnx")

from edgeslm.backends.tflite.lower import OPERATORS  # noqa: E402
from edgeslm.backends.tflite.lower.reduction import SQUARED  # noqa: E402
from edgeslm.errors import UnsupportedOpError  # noqa: E402
from tests.unit.lowered_nodes import a_graph, lowered, same, same_graph  # noqa: E402

Array = NDArray[Any]
EXTENT = st.integers(1, 5)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)
PAIRS = hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=4, max_side=4)
some = settings(max_examples=6)


def floats(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def integers(numbers: list[int] | Array) -> Array:
    return np.asarray(numbers, dtype=np.int64)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Min", "Max", "Equal", "Less", "LessOrEqual", "Greater",
                                "GreaterOrEqual"])  # fmt: skip
@some
@given(pair=PAIRS, constant=st.booleans())
def test_two_operands(op: str, pair: Any, constant: bool) -> None:
    left, right = floats(*pair.input_shapes[0]), floats(*pair.input_shapes[1], seed=1)
    if constant:
        same(op, {"a": left}, {"b": right})
    else:
        same(op, {"a": left, "b": right})


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Equal", "LessOrEqual"])
@given(shape=SHAPES)
@some
def test_integers_of_64_bits_stay_what_they_are(op: str, shape: tuple[int, ...]) -> None:
    numbers = np.arange(np.prod(shape)).reshape(shape) - 3
    same(op, {"a": numbers.astype(np.int64)}, {"b": integers([2])})


@pytest.mark.parametrize("op", ["And", "Or"])
@given(shape=SHAPES)
@some
def test_truths(op: str, shape: tuple[int, ...]) -> None:
    same(op, {"a": floats(*shape) > 0, "b": floats(*shape, seed=1) > 0})
    same("Not", {"a": floats(*shape) > 0})


@pytest.mark.parametrize("op", ["Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Floor", "Ceil", "Sin", "Cos",
                                "HardSwish", "LeakyRelu", "Identity"])  # fmt: skip
@some
@given(shape=SHAPES)
def test_one_operand(op: str, shape: tuple[int, ...]) -> None:
    same(op, {"x": floats(*shape) * 3})


@pytest.mark.parametrize("op", ["Sqrt", "Log", "Reciprocal"])
@some
@given(shape=SHAPES)
def test_one_positive_operand(op: str, shape: tuple[int, ...]) -> None:
    same(op, {"x": np.abs(floats(*shape)) + np.float32(0.1)})


@some
@given(shape=SHAPES, power=st.sampled_from([2.0, 0.5, 3.0, -1.0]))
def test_powers(shape: tuple[int, ...], power: float) -> None:
    kinds = same("Pow", {"x": np.abs(floats(*shape)) + 1}, {"e": np.array(power, np.float32)})
    assert kinds == [{2.0: "MUL", 0.5: "SQRT"}.get(power, "POW")]


@some
@given(shape=SHAPES, approximate=st.sampled_from(["none", "tanh"]))
def test_gelu(shape: tuple[int, ...], approximate: str) -> None:
    assert same("Gelu", {"x": floats(*shape) * 3}, approximate=approximate) == ["GELU"]


@pytest.mark.parametrize("half_first", [True, False])
@pytest.mark.parametrize("bell", ["erf", "tanh"])
@some
@given(shape=SHAPES)
def test_gelu_written_out(bell: str, half_first: bool, shape: tuple[int, ...]) -> None:
    make = onnx.helper.make_node
    numbers = {"half": 0.5, "one": 1.0, "root": 2**0.5, "three": 3.0, "cubic": 0.044715, "slope": (2 / np.pi) ** 0.5}
    if bell == "erf":
        inner = [make("Div", ["x", "root"], ["i"]), make("Erf", ["i"], ["b"])]
    else:
        inner = [make("Pow", ["x", "three"], ["p"]), make("Mul", ["p", "cubic"], ["c"]), make("Add", ["x", "c"], ["s"]),
                 make("Mul", ["s", "slope"], ["i"]), make("Tanh", ["i"], ["b"])]  # fmt: skip
    first, second = ("x", "half") if half_first else ("x", "o")
    nodes = [*inner, make("Add", ["b", "one"], ["o"]), make("Mul", [first, second], ["f"]),
             make("Mul", ["f", "o" if half_first else "half"], ["y"])]  # fmt: skip
    given_ = {"x": floats(*shape) * 3}
    constants = {name: np.array(number, np.float32) for name, number in numbers.items()}
    assert same_graph(a_graph(nodes, given_, constants, ["y"]), given_) == ["GELU"]


@some
@given(shape=SHAPES, low=st.booleans(), high=st.booleans())
def test_clip(shape: tuple[int, ...], low: bool, high: bool) -> None:
    constants = {"low": np.array(-0.5, np.float32), "high": np.array(0.5, np.float32)}
    order = ["x", "low" if low else "", "high" if high else ""]
    same("Clip", {"x": floats(*shape)}, constants, order=order)


@some
@given(shape=SHAPES, wanted=st.sampled_from(["FLOAT", "INT32", "INT64", "BOOL"]))
def test_cast(shape: tuple[int, ...], wanted: str) -> None:
    for kind in (np.float32, np.int32, np.int64, np.bool_):
        same("Cast", {"x": (floats(*shape) * 3).astype(kind)}, to=getattr(onnx.TensorProto, wanted))


@some
@given(shape=SHAPES)
def test_where(shape: tuple[int, ...]) -> None:
    same("Where", {"c": floats(*shape) > 0, "a": floats(*shape, seed=1), "b": floats(*shape, seed=2)})


@some
@given(rows=hnp.array_shapes(min_dims=1, max_dims=3, max_side=5), inner=EXTENT, columns=EXTENT)
def test_products_by_a_matrix(rows: tuple[int, ...], inner: int, columns: int) -> None:
    kinds = same("MatMul", {"x": floats(*rows, inner)}, {"w": floats(inner, columns, seed=1)}, tolerance=1e-4)
    assert kinds == ["FULLY_CONNECTED"]


@some
@given(batch=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3), m=EXTENT, k=EXTENT, n=EXTENT)
def test_products_of_what_is_computed(batch: Any, m: int, k: int, n: int) -> None:
    left, right = batch.input_shapes
    same("MatMul", {"a": floats(*left, m, k), "b": floats(*right, k, n, seed=1)}, tolerance=1e-4)
    same("MatMul", {"b": floats(*right, k, n, seed=1)}, {"a": floats(m, k)}, order=["a", "b"], tolerance=1e-4)


@some
@given(m=EXTENT, k=EXTENT, n=EXTENT, flips=st.tuples(st.integers(0, 1), st.integers(0, 1)), constant=st.booleans(),
       bias=st.sampled_from(["none", "row", "one", "all"]), beta=st.sampled_from([1.0, 0.5]))  # fmt: skip
def test_gemm(m: int, k: int, n: int, flips: tuple[int, int], constant: bool, bias: str, beta: float) -> None:
    a = floats(*((k, m) if flips[0] else (m, k)))
    known = {"b": floats(*((n, k) if flips[1] else (k, n)), seed=1)}
    c = {"none": {}, "row": {"c": floats(n)}, "one": {"c": floats(1)}, "all": {"c": floats(m, n)}}[bias]
    same("Gemm", {"a": a, **({} if constant else known)}, {**(known if constant else {}), **c},
         transA=flips[0], transB=flips[1], beta=beta, tolerance=1e-4)  # fmt: skip


@pytest.mark.parametrize("relu", [True, False])
@some
@given(rows=hnp.array_shapes(min_dims=2, max_dims=3, max_side=5), inner=EXTENT, columns=EXTENT, first=st.booleans())
def test_a_linear_layer_is_one_operator(
    relu: bool, rows: tuple[int, ...], inner: int, columns: int, first: bool
) -> None:
    make = onnx.helper.make_node
    nodes = [make("MatMul", ["x", "w"], ["p"]), make("Add", ["b", "p"] if first else ["p", "b"], ["s"])]
    nodes += [make("Relu", ["s"], ["y"])] if relu else []
    given_ = {"x": floats(*rows, inner)}
    model = a_graph(nodes, given_, {"w": floats(inner, columns), "b": floats(columns, seed=1)}, [nodes[-1].output[0]])
    assert same_graph(model, given_, 1e-4) == ["FULLY_CONNECTED"]


def test_a_product_that_is_read_twice_keeps_its_sum_apart() -> None:
    make = onnx.helper.make_node
    nodes = [make("MatMul", ["x", "w"], ["p"]), make("Add", ["p", "b"], ["s"])]
    given_ = {"x": floats(2, 3)}
    model = a_graph(nodes, given_, {"w": floats(3, 4), "b": floats(4)}, ["p", "s"])
    assert same_graph(model, given_) == ["FULLY_CONNECTED", "ADD"]


@some
@given(shape=hnp.array_shapes(min_dims=2, max_dims=4, max_side=5), data=st.data(), bias=st.booleans())
def test_layer_normalization(shape: tuple[int, ...], data: st.DataObject, bias: bool) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    constants = {"scale": floats(*shape[axis:]), **({"bias": floats(*shape[axis:], seed=1)} if bias else {})}
    same("LayerNormalization", {"x": floats(*shape)}, constants, axis=axis, epsilon=1e-3, tolerance=1e-4)
    ones = {"scale": np.ones(shape[axis:], np.float32)}
    assert same("LayerNormalization", {"x": floats(*shape)}, ones, axis=axis, tolerance=1e-4).count("MUL") == 2


@some
@given(shape=SHAPES)
def test_reciprocal_of_a_root(shape: tuple[int, ...]) -> None:
    nodes = [onnx.helper.make_node("Sqrt", ["x"], ["r"]), onnx.helper.make_node("Reciprocal", ["r"], ["y"])]
    given_ = {"x": np.abs(floats(*shape)) + np.float32(0.1)}
    assert same_graph(a_graph(nodes, given_, {}, ["y"]), given_) == ["RSQRT"]


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@some
@given(shape=SHAPES, data=st.data())
def test_softmax(op: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    same(op, {"x": floats(*shape)}, axis=data.draw(st.integers(-len(shape), len(shape) - 1)))


@pytest.mark.parametrize(
    "op", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2", "ReduceSumSquare"]
)
@some
@given(shape=SHAPES, data=st.data(), keep=st.integers(0, 1))
def test_reductions(op: str, shape: tuple[int, ...], data: st.DataObject, keep: int) -> None:
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    constants = {"axes": integers(sorted(axes))} if axes else {}
    same(op, {"x": floats(*shape)}, constants, keepdims=keep, tolerance=1e-4)
    if op not in SQUARED:
        same(op, {"x": floats(*shape)}, {"axes": integers([])}, keepdims=keep, noop_with_empty_axes=1)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@some
@given(shape=SHAPES, data=st.data(), keep=st.integers(0, 1))
def test_place_of_the_largest(op: str, shape: tuple[int, ...], data: st.DataObject, keep: int) -> None:
    same(op, {"x": floats(*shape)}, axis=data.draw(st.integers(-len(shape), len(shape) - 1)), keepdims=keep)


@some
@given(shape=SHAPES, data=st.data(), exclusive=st.integers(0, 1), reverse=st.integers(0, 1))
def test_running_sums(shape: tuple[int, ...], data: st.DataObject, exclusive: int, reverse: int) -> None:
    axis = {"axis": integers([data.draw(st.integers(-len(shape), len(shape) - 1))])}
    for values in (floats(*shape), np.arange(np.prod(shape)).reshape(shape).astype(np.int64)):
        same("CumSum", {"x": values}, axis, exclusive=exclusive, reverse=reverse)


@some
@given(shape=SHAPES, data=st.data())
def test_shapes(shape: tuple[int, ...], data: st.DataObject) -> None:
    x = {"x": floats(*shape)}
    axis = data.draw(st.integers(0, len(shape)))
    same("Reshape", x, {"shape": integers([-1])})
    same("Unsqueeze", x, {"axes": integers([axis])})
    same("Flatten", x, axis=axis)
    same("Squeeze", {"x": floats(1, *shape)}, {"axes": integers([0])})
    same("Transpose", x, perm=data.draw(st.permutations(range(len(shape)))))
    same("Tile", x, {"times": integers(data.draw(st.lists(EXTENT, min_size=len(shape), max_size=len(shape))))})
    same("Expand", {"x": floats(1, *shape)}, {"shape": integers([3, *shape])})


@some
@given(shape=SHAPES, data=st.data())
def test_slices(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    start = data.draw(st.integers(0, shape[axis] - 1))
    end = data.draw(st.sampled_from([2**63 - 1, start + 1, shape[axis]]))
    constants = {"starts": [start - shape[axis]], "ends": [end], "axes": [axis - len(shape)],
                 "steps": [data.draw(st.integers(1, 3))]}  # fmt: skip
    same("Slice", {"x": floats(*shape)}, {name: integers(numbers) for name, numbers in constants.items()})


@some
@given(shape=SHAPES, data=st.data())
def test_parts(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    wide = [*shape[:axis], shape[axis] + 2, *shape[axis + 1 :]]
    same("Split", {"x": floats(*wide)}, {"s": integers([shape[axis], 2])}, axis=axis, outputs=2)
    same("Concat", {"a": floats(*shape), "b": floats(*wide), "c": floats(*shape, seed=1)}, axis=axis)
    amounts = data.draw(st.lists(st.integers(0, 2), min_size=2 * len(shape), max_size=2 * len(shape)))
    for filler in (0.0, 1.5):
        constants = {"amounts": integers(amounts), "filler": np.array(filler, np.float32)}
        same("Pad", {"x": floats(*shape)}, constants)


@some
@given(shape=SHAPES, scale=st.sampled_from([1.0, 0.25, 3e-3]))
def test_integers_with_a_scale(shape: tuple[int, ...], scale: float) -> None:
    codes = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    kinds = same("DequantizeLinear", {"x": codes}, {"scale": np.array(scale, np.float32)})
    assert kinds == ["DEQUANTIZE"]


@some
@given(batch=hnp.array_shapes(min_dims=1, max_dims=2, max_side=3), m=EXTENT, k=EXTENT, n=EXTENT)
def test_a_product_by_what_is_turned_is_one_operator(batch: tuple[int, ...], m: int, k: int, n: int) -> None:
    rank = len(batch) + 2
    order = [*range(rank - 2), rank - 1, rank - 2]
    nodes = [
        onnx.helper.make_node("Transpose", ["b"], ["turned"], name="t", perm=order),
        onnx.helper.make_node("MatMul", ["a", "turned"], ["y"], name="m"),
    ]
    given_ = {"a": floats(*batch, m, k), "b": floats(*batch, n, k, seed=1)}
    assert same_graph(a_graph(nodes, given_, {}, ["y"]), given_) == ["BATCH_MATMUL"]


@some
@given(rows=st.integers(2, 9), width=EXTENT, ids=hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))
def test_tables(rows: int, width: int, ids: tuple[int, ...]) -> None:
    places = np.random.default_rng(0).integers(0, rows, ids)
    for kind in (np.int32, np.int64):
        kinds = same("Gather", {"ids": np.asarray(places, kind)}, {"table": floats(rows, width)},
                     order=["table", "ids"], axis=0)  # fmt: skip
        assert "EMBEDDING_LOOKUP" in kinds
        assert "GATHER" not in kinds


@some
@given(shape=SHAPES, data=st.data())
def test_gather(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    place = data.draw(st.integers(-shape[axis], shape[axis] - 1))
    for ids in (np.array(place), integers([place, 0])):
        same("Gather", {"x": floats(*shape)}, {"ids": ids.astype(np.int64)}, axis=axis)


@some
@given(shape=hnp.array_shapes(min_dims=2, max_dims=4, min_side=2, max_side=5), count=st.integers(1, 2))
def test_scattered_rows(shape: tuple[int, ...], count: int) -> None:
    places = np.random.default_rng(count).permutation(shape[0])[:count, None]
    given_ = {"x": floats(*shape), "updates": floats(count, *shape[1:], seed=1)}
    same("ScatterND", given_, {"places": integers(places)}, order=["x", "places", "updates"])


@pytest.mark.parametrize("equation", ["bind,bjnd->bnij", "binh,tnh->bnit", "bnij,bjnd->bind", "bind,snd->bnis",
                                      "td,dn->tn", "ab,cb->ca"])  # fmt: skip
@some
@given(data=st.data())
def test_einsum(equation: str, data: st.DataObject) -> None:
    first, second = equation.partition("->")[0].split(",")
    extents = {axis: data.draw(EXTENT) for axis in sorted({*first, *second})}
    a, b = (floats(*(extents[axis] for axis in part), seed=place) for place, part in enumerate((first, second)))
    same("Einsum", {"a": a, "b": b}, equation=equation, tolerance=1e-4)


@some
@given(axes=st.integers(1, 2), channels=st.integers(1, 4), out=st.integers(1, 4), window=st.integers(1, 3),
       stride=st.integers(1, 2), pad=st.integers(0, 2), dilation=st.integers(1, 2), depthwise=st.booleans(),
       bias=st.booleans())  # fmt: skip
def test_convolutions(
    axes: int, channels: int, out: int, window: int, stride: int, pad: int, dilation: int, depthwise: bool, bias: bool
) -> None:
    out = out * channels if depthwise else out
    filters = floats(out, 1 if depthwise else channels, *[window] * axes, seed=1)
    constants = {"w": filters, **({"b": floats(out, seed=2)} if bias else {})}
    same("Conv", {"x": floats(1, channels, *[7, 6][:axes])}, constants, tolerance=1e-4,
         strides=[stride] * axes, pads=[pad] * 2 * axes, dilations=[dilation] * axes,
         group=channels if depthwise else 1)  # fmt: skip


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool"])
@some
@given(axes=st.integers(1, 2), channels=EXTENT, window=st.integers(1, 3), stride=st.integers(1, 3))
def test_pooling(op: str, axes: int, channels: int, window: int, stride: int) -> None:
    given_ = {"x": floats(1, channels, *[7, 6][:axes])}
    same(op, given_, kernel_shape=[window] * axes, strides=[stride] * axes)


def test_what_follows_from_constants_is_one() -> None:
    make = onnx.helper.make_node
    nodes = [make("Transpose", ["w"], ["t"]), make("MatMul", ["x", "t"], ["p"]), make("Shape", ["p"], ["s"]),
             make("Cast", ["s"], ["f"], to=onnx.TensorProto.FLOAT), make("ReduceSum", ["f"], ["n"], keepdims=0),
             make("Add", ["p", "n"], ["y"])]  # fmt: skip
    given_ = {"x": floats(2, 3)}
    assert same_graph(a_graph(nodes, given_, {"w": floats(4, 3)}, ["y"]), given_) == ["FULLY_CONNECTED"]


@pytest.mark.parametrize(
    ("op", "given_", "constants", "attributes", "says"),
    [
        ("Det", {"x": floats(1, 2, 2)}, {}, {}, "there is no lowering for it"),
        ("Erf", {"x": floats(1, 2)}, {}, {}, "there is no lowering for it"),
        ("Slice", {"x": floats(4)}, {"s": [3], "e": [-9], "a": [0], "t": [-1]}, {}, "a step of -1 along axis 0"),
        ("Conv", {"x": floats(1, 4, 5)}, {"w": floats(4, 2, 1)}, {"group": 2}, "2 groups of 4 channels"),
        ("Pad", {"x": floats(4)}, {"p": [1, 1]}, {"mode": "reflect"}, "mode reflect"),
        ("ArgMax", {"x": floats(4)}, {}, {"select_last_index": 1, "axis": 0}, "the first of equals"),
        ("Einsum", {"a": floats(2, 3), "b": floats(2)}, {}, {"equation": "ab,a->a"}, "sums over an axis of one"),
        ("MaxPool", {"x": floats(1, 1, 4)}, {}, {"kernel_shape": [3], "pads": [1, 1]}, "without padding"),
        ("Cast", {"x": floats(2)}, {}, {"to": 11}, "LiteRT has no DOUBLE"),
    ],
)
def test_what_is_refused(op: str, given_: Any, constants: Any, attributes: Any, says: str) -> None:
    known = {name: values if isinstance(values, np.ndarray) else integers(values) for name, values in constants.items()}
    node = onnx.helper.make_node(op, [*given_, *known], ["y"], name="its_name", **attributes)
    with pytest.raises(UnsupportedOpError, match="it makes y") as caught:
        lowered(a_graph([node], given_, known, ["y"]))
    assert says in caught.value.message
    assert f"{next(iter(given_))} float[" in caught.value.message
    assert (caught.value.op, caught.value.node) == (op, "its_name")


def test_no_operator_is_left_out() -> None:
    """Whoever adds an operator adds a test of it."""
    tests = Path(__file__).read_text()
    assert [op for op in OPERATORS if f'"{op}"' not in tests] == []
