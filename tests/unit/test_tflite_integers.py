"""The reference for int8 graphs, to the bit: by TensorFlow Lite Micro's interpreter, GELU by LiteRT's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.formats.tflite_file import parse_tflite_file
from edgeslm.ir.fixed_point import Multiplier, inverse_root, scaled, shifted_right
from edgeslm.ir.import_tflite import import_tflite
from edgeslm.ir.interpret_integers import IntegerInterpreter
from tests.unit.tflite_int8 import Array, Net, run_by_parts, run_micro, run_reference, sample
from tests.unit.tflite_nets import a_stack, an_encoder, integers
from tests.unit.tflite_seeds import every_operator

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro's interpreter is in edgeslm[dev]")

Runtime = Callable[[bytes, Sequence[Sequence[Array]]], list[list[Array]]]


class Draw:
    """Numbers of a net, from hypothesis: so that a failing one is small."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def size(self, most: int = 9) -> int:
        return self.data.draw(st.integers(1, most))

    def one(self, *choices: Any) -> Any:
        return self.data.draw(st.sampled_from(choices))

    def scale(self, low: int = -9, high: int = 2) -> float:
        exponent, fraction = self.data.draw(st.integers(low, high)), self.data.draw(st.integers(2**23, 2**24 - 1))
        return float(np.float32(fraction * 2.0 ** (exponent - 23)))

    def zero(self) -> int:
        return self.data.draw(st.integers(-128, 127))

    def seed(self) -> int:
        return self.data.draw(st.integers(4, 10**6))


def hold(net: Net, runtime: Runtime, seed: int, inputs: Sequence[Sequence[Array]] = ()) -> None:
    """All outputs of the runtime are the reference's: on random inputs and on the ends of int8."""
    raw = net.pack()
    graph = import_tflite(parse_tflite_file(raw, "net"), "cortexm")
    interpreter = IntegerInterpreter(graph)
    sets = inputs or [
        [
            sample(tensor.shape, number if number < 4 else seed + number + place)
            for place, tensor in enumerate(graph.inputs)
        ]
        for number in range(6)
    ]
    for given_values, wanted in zip(sets, runtime(raw, sets), strict=True):
        made = interpreter.run({tensor.name: one for tensor, one in zip(graph.inputs, given_values, strict=True)})
        for name, one in zip(graph.outputs, wanted, strict=True):
            np.testing.assert_array_equal(made[name], one.reshape(made[name].shape))


def every(examples: int) -> Callable[[Callable[[Draw], None]], Callable[[], None]]:
    def decorate(test: Callable[[Draw], None]) -> Callable[[], None]:
        @settings(max_examples=examples, deadline=None)
        @given(st.data())
        def run(data: st.DataObject) -> None:
            test(Draw(data))

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


# ---- Arithmetic ------------------------------------------------------------------------------------------------------


@every(25)
def test_fully_connected(draw: Draw) -> None:
    """Per tensor and per channel, with and without a bias, each fused activation, a zero point of the weights."""
    rows, terms, batch = draw.size(), draw.size(40), draw.size(3)
    is_by_channel = draw.one(False, True)
    random = np.random.default_rng(draw.seed())
    net = Net()
    x_scale = draw.scale()
    x = net.input([batch, terms], x_scale, draw.zero())
    scales = [draw.scale(-11, -4) for _ in range(rows if is_by_channel else 1)]
    zero = 0 if is_by_channel else draw.one(0, 0, 5, -128)
    weight = net.constant(random.integers(-128, 128, (rows, terms)).astype(np.int8), scales, [zero])
    products = [float(np.float32(x_scale) * np.float32(one)) for one in scales]
    bias = (
        net.constant(random.integers(-(2**15), 2**15, rows).astype(np.int32), products) if draw.one(True, False) else -1
    )
    step = float(np.float32(max(products) * 2.0 ** draw.data.draw(st.integers(0, 14))))
    net.outputs = [
        net.add(
            "FULLY_CONNECTED",
            [x, weight, bias],
            [batch, rows],
            step,
            draw.zero(),
            fusedActivationFunction=draw.one(0, 1, 2, 3),
        )
    ]
    hold(net, run_micro, draw.seed())


@every(12)
def test_batch_matmul(draw: Draw) -> None:
    rows, terms, columns = draw.size(5), draw.size(), draw.size(5)
    turned_x, turned_y = draw.one(False, True), draw.one(False, True)
    net = Net()
    x = net.input([2, terms, rows] if turned_x else [2, rows, terms], draw.scale(), draw.zero())
    y = net.input([2, columns, terms] if turned_y else [2, terms, columns], draw.scale(), draw.zero())
    options = {"options_of": "BatchMatMulOptions", "adjX": turned_x, "adjY": turned_y}
    net.outputs = [net.add("BATCH_MATMUL", [x, y], [2, rows, columns], draw.scale(0, 9), draw.zero(), **options)]
    hold(net, run_micro, draw.seed())


@pytest.mark.parametrize("kind", ["FULLY_CONNECTED", "BATCH_MATMUL"])
def test_the_product_of_two_scales_is_no_float(kind: str) -> None:
    """At halves of a step, a product of the scales that was rounded to float32 gives the other integer."""
    x_scale, y_scale = np.float32(1.000000238418579), np.float32(0.0626223161816597)
    step = float(2 * (x_scale * y_scale))
    assert float(x_scale) * float(y_scale) * 2 > step
    net = Net()
    x = net.input([1, 1, 2], float(x_scale))
    rows = np.stack([np.arange(-128, 128), np.zeros(256)], axis=-1).astype(np.int8)
    if kind == "FULLY_CONNECTED":
        weight = net.constant(rows, [float(y_scale)])
        net.outputs = [net.add(kind, [x, weight, -1], [1, 1, 256], step, keepNumDims=True)]
        hold(net, run_micro, 0, [[np.array([[[odd, 9]]], np.int8)] for odd in (1, -1, 3)])
    else:
        y = net.input([1, 2, 256], float(y_scale))
        net.outputs = [net.add(kind, [x, y], [1, 1, 256], step, 0, options_of="BatchMatMulOptions")]
        hold(net, run_micro, 0, [[np.array([[[odd, 9]]], np.int8), rows.T[np.newaxis]] for odd in (1, -1, 3)])


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"])
def test_two_operands(kind: str) -> None:
    @every(12)
    def run(draw: Draw) -> None:
        shapes = draw.one(([2, 5], [2, 5]), ([2, 3, 5], [5]), ([1, 4], [3, 1]), ([2, 1, 3, 2], [2, 3, 1]))
        net = Net()
        a, b = (net.input(shape, draw.scale(-12, 4), draw.zero()) for shape in shapes)
        options = {} if kind == "SQUARED_DIFFERENCE" else {"fusedActivationFunction": draw.one(0, 1, 2, 3)}
        shape = np.broadcast_shapes(*shapes)
        net.outputs = [net.add(kind, [a, b], shape, draw.scale(-8, 6), draw.zero(), **options)]
        hold(net, run_micro, draw.seed())

    run()


@every(25)
def test_softmax(draw: Draw) -> None:
    """Its sum's bits change with the length of a row."""
    net = Net()
    x = net.input([draw.size(3), draw.one(1, 2, 7, 64, 300)], draw.scale(-13, 5), draw.zero())
    options = {"beta": draw.one(1.0, 1.0, 0.5, 1.7)}
    net.outputs = [net.add("SOFTMAX", [x], net.graph.shape(x), 1 / 256, -128, **options)]
    hold(net, run_micro, draw.seed())


@every(12)
def test_mean(draw: Draw) -> None:
    shape, keep = [2, 3, 4, 5], draw.one(False, True)
    axes = draw.one([1], [1, 2], [2, 3], [3], [0, 2], [-1], [0, 1, 2, 3])
    net = Net()
    x = net.input(shape, draw.scale(), draw.zero())
    made = np.zeros(shape).mean(axis=tuple(axes), keepdims=keep).shape
    constant = net.constant(np.array(axes, np.int32))
    options = {"options_of": "ReducerOptions", "keepDims": keep}
    net.outputs = [net.add("MEAN", [x, constant], made, draw.scale(), draw.zero(), **options)]
    hold(net, run_micro, draw.seed())


ONE_OPERAND: dict[str, tuple[Runtime, dict[str, Any]]] = {
    "LOGISTIC": (run_micro, {"out": (1 / 256, -128)}),
    "TANH": (run_micro, {"out": (1 / 128, 0)}),
    "RSQRT": (run_micro, {"zero": -128}),  # of no number below zero
    "RELU": (run_micro, {}),
    "RELU6": (run_micro, {"is_same": True}),
    "RELU_N1_TO_1": (run_reference, {}),
    "RELU_0_TO_1": (run_reference, {}),
    "QUANTIZE": (run_micro, {}),
    "GELU": (run_reference, {"options": {"approximate": False}}),
    "GELU, by tanh": (run_reference, {"options": {"approximate": True}}),
}


@pytest.mark.parametrize("kind", ONE_OPERAND)
def test_one_operand_over_all_of_int8(kind: str) -> None:
    runtime, form = ONE_OPERAND[kind]

    @every(12)
    def run(draw: Draw) -> None:
        net = Net()
        scale, zero = draw.scale(-10, 4), form.get("zero", draw.zero())
        x = net.input([1, 256], scale, zero)
        out = form.get("out", (scale, zero) if "is_same" in form else (draw.scale(-8, 3), draw.zero()))
        net.outputs = [net.add(kind.partition(",")[0], [x], [1, 256], *out, **form.get("options", {}))]
        hold(net, runtime, 0, [[sample([1, 256], 3)]])

    run()


@every(10)
def test_floats_in_and_out(draw: Draw) -> None:
    """Halves of a step among them."""
    scale, random = draw.scale(), np.random.default_rng(draw.seed())
    net = Net()
    x = net.input([2, 50], dtype=np.float32)
    codes = net.add("QUANTIZE", [x], [2, 50], scale, draw.zero())
    net.outputs = [codes, net.add("DEQUANTIZE", [codes], [2, 50], dtype=np.float32)]
    halves = np.float32(scale) * (random.integers(-150, 150, (2, 50)) + 0.5)
    hold(net, run_micro, 0, [[halves.astype(np.float32)], [random.normal(0, scale * 60, (2, 50)).astype(np.float32)]])


# ---- Elements moved --------------------------------------------------------------------------------------------------


def moving(kind: str) -> Net:
    """A net of one operator over (2, 6, 4), with a form of it that is more than the plain one."""
    net, scale = Net(), (0.1, 5)
    x = net.input([2, 6, 4], *scale)
    match kind:
        case "RESHAPE":
            made = [net.add(kind, [x, integers(net, 8, 6)], [8, 6], *scale)]
        case "TRANSPOSE":
            made = [net.add(kind, [x, integers(net, 2, 0, 1)], [4, 2, 6], *scale)]
        case "CONCATENATION":
            other = net.input([2, 3, 4], *scale)
            made = [net.add(kind, [x, other], [2, 9, 4], *scale, axis=-2)]
        case "SPLIT":
            made = [net.tensor(f"part{number}", [2, 2, 4], *scale) for number in range(3)]
            net.place(kind, [net.constant(np.array(1, np.int32)), x], made, numSplits=3)
        case "SLICE":
            made = [net.add(kind, [x, integers(net, 0, 2, 1), integers(net, -1, 3, 2)], [2, 3, 2], *scale)]
        case "STRIDED_SLICE":
            ends = [integers(net, 0, -5, 1), integers(net, 1, 6, 4), integers(net, 1, 2, 1)]
            made = [net.add(kind, [x, *ends], [3, 3], *scale, endMask=4, shrinkAxisMask=1)]
        case "PAD":
            amounts = net.constant(np.array([[0, 1], [2, 0], [1, 3]], np.int32))
            made = [net.add(kind, [x, amounts], [3, 8, 8], *scale)]
    net.outputs = made
    return net


@pytest.mark.parametrize("kind", ["RESHAPE", "TRANSPOSE", "CONCATENATION", "SPLIT", "SLICE", "STRIDED_SLICE", "PAD"])
def test_elements_are_moved(kind: str) -> None:
    hold(moving(kind), run_micro, 7)


@pytest.mark.parametrize("form", ["rows", "columns", "table", "lookup"])
def test_rows_are_gathered(form: str) -> None:
    net, scale = Net(), (0.1, 5)
    values = sample([7, 4], 9)
    table = net.constant(values, [0.1], [5]) if form in ("table", "lookup") else net.input([7, 4], *scale)
    ids = net.input([3], dtype=np.int32)
    if form == "lookup":
        net.outputs = [net.add("EMBEDDING_LOOKUP", [ids, table], [3, 4], *scale)]
    else:
        axis = int(form == "columns")
        net.outputs = [net.add("GATHER", [table, ids], [7, 3] if axis else [3, 4], *scale, axis=axis)]
    places = np.array([3, 0, 2], np.int32)
    hold(net, run_micro, 0, [[places] if form in ("table", "lookup") else [values, places]])


@pytest.mark.parametrize("shape", [[2, 3, 5], [6, 5]])
def test_fully_connected_over_more_than_two_axes(shape: list[int]) -> None:
    net = Net()
    x = net.input([2, 3, 8], 0.1, 4)
    weight = net.constant(sample([5, 8], 11), [0.01])
    net.outputs = [net.add("FULLY_CONNECTED", [x, weight, -1], shape, 0.5, 3, keepNumDims=len(shape) == 3)]
    hold(net, run_micro, 3)


# ---- Whole nets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("activation", "runtime"), [("RELU", run_micro), ("GELU", run_by_parts)])
def test_an_encoder(activation: str, runtime: Runtime) -> None:
    random = np.random.default_rng(1)
    sets = [[random.integers(0, 11, 6).astype(np.int32)] for _ in range(20)]
    hold(an_encoder(activation), runtime, 0, sets)


def test_four_wide_layers_and_a_softmax() -> None:
    """Its four layers are of 256: of the sizes that are measured on boards."""
    hold(a_stack(), run_micro, 9)


def test_the_seed_of_fuzzing_computes_too() -> None:
    """All operators in a row, those among them that TensorFlow Lite Micro has not."""
    random = np.random.default_rng(3)
    rows = [np.array(random.integers(0, 2, 2), np.int32) for _ in range(10)]
    sets = [[sample([2, 4], number + 4), one] for number, one in enumerate(rows)]
    hold(every_operator(), run_reference, 0, sets)


# ---- Fixed-point numbers ---------------------------------------------------------------------------------------------


@given(st.floats(2**-30, 2**10), st.integers(-(2**20), 2**20))
def test_a_multiplier_is_its_factor(factor: float, x: int) -> None:
    product = int(scaled(x, Multiplier.of(factor)))
    assert abs(product - x * factor) <= 1 + abs(x * factor) * 2**-30


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 31))
def test_a_shift_rounds_half_away_from_zero(x: int, exponent: int) -> None:
    half = (1 << exponent) // 2
    assert int(shifted_right(x, exponent)) == (x + half >> exponent if x >= 0 else -(-x + half >> exponent))


@given(st.integers(1, 2**31 - 1))
def test_an_inverse_root_is_one(x: int) -> None:
    root = inverse_root(x)
    assert root.mantissa * 2.0 ** (root.shift - 31) * x**0.5 == pytest.approx(1, abs=2e-4)
