"""A .tflite file as a graph for compilers: what becomes of operators, and what is refused, by index and tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeslm.errors import CheckpointError, UnsupportedError, UnsupportedOpError
from edgeslm.formats.tflite import schema
from edgeslm.formats.tflite_file import parse_tflite_file
from edgeslm.ir import nodes
from edgeslm.ir.graph import Graph
from edgeslm.ir.import_tflite import import_tflite
from edgeslm.ir.interpret import Interpreter
from edgeslm.ir.interpret_integers import IntegerInterpreter
from edgeslm.ir.text import print_graph
from tests.unit.tflite_int8 import Net, sample
from tests.unit.tflite_seeds import in_floats

pytest.importorskip("ai_edge_litert")


def imported(net: Net) -> Graph:
    return import_tflite(parse_tflite_file(net.pack(), "net.tflite"), "cortexm")


def a_layer() -> Net:
    net = Net()
    x = net.input([2, 4], 0.5, 3)
    weight = net.constant(np.ones((3, 4), np.int8), [0.25, 0.5, 1.0])
    bias = net.constant(np.array([1, 2, 3], np.int32), [0.125, 0.25, 0.5])
    net.outputs = [net.add("FULLY_CONNECTED", [x, weight, bias], [2, 3], 1.0, -5, fusedActivationFunction=3)]
    return net


def test_a_layer_as_text() -> None:
    assert (
        print_graph(imported(a_layer()))
        == """\
graph net.tflite
  input %in0 int8[2, 4] scale (0.5) zero (3)
  constant %c1 int8[3, 4] scale (0.25, 0.5, 1) zero (0) along 0
  constant %c2 int32[3] scale (0.125, 0.25, 0.5) zero (0) along 0
  %t3#0 int8[2, 3] scale (1) zero (-5) = Linear %in0, %c1, %c2
  %t3 int8[2, 3] scale (1) zero (-5) = Clamp(low=0, high=6) %t3#0
  output %t3
"""
    )


def test_nodes_know_the_operator_they_come_from() -> None:
    assert imported(a_layer()).nodes[0].origin == 'operator 0 FULLY_CONNECTED ("in0", "c1", "c2" -> "t3")'


def test_names_are_each_tensor_s_own_and_safe_in_a_comment() -> None:
    net = Net()
    x = net.input([4], 0.1)
    net.outputs = [net.add("RELU", [net.add("RELU", [x], [4], 0.1)], [4], 0.1)]
    for tensor, name in zip(net.graph.subgraph.tensors, (b"x*/ system(1); /*", b"y", b"y"), strict=True):
        tensor.name = name
    graph = imported(net)
    assert [tensor.name for tensor in graph.inputs] == ["x_/ system(1); /_"]
    assert [node.name for node in graph.nodes] == ["y", "y#t2"]


def test_integers_stand_for_what_the_floats_are() -> None:
    """The same graph of floats, its constants dequantized, is off by a step of the last tensor at most."""
    graph = imported(a_layer())
    codes = sample([2, 4], 9)
    made = IntegerInterpreter(graph).run({"in0": codes})["t3"]
    x = (codes.astype(np.float32) - 3) * 0.5
    weight = np.array([[0.25], [0.5], [1.0]], np.float32) * np.ones((3, 4), np.float32)
    wanted = np.clip(x @ weight.T + np.array([0.125, 0.5, 1.5]), 0, 6)
    np.testing.assert_allclose(made.astype(np.float32) + 5, wanted, atol=0.51)


def test_clamps_and_squared_differences_of_floats() -> None:
    """The interpreter of reals knows the kinds that only integers have needed so far."""
    from edgeslm.ir.graph import Node, Tensor

    a, b = Tensor("a", (3,)), Tensor("b", (3,))
    graph = Graph(
        "reals",
        (a, b),
        (),
        (),
        (
            Node(nodes.Binary("squared_difference"), ("a", "b"), Tensor("c", (3,))),
            Node(nodes.Clamp(1.0, 4.0), ("c",), Tensor("d", (3,))),
            Node(nodes.Softmax(2.0), ("d",), Tensor("e", (3,))),
        ),
        ("d", "e"),
    )
    made = Interpreter(graph).run({"a": np.array([1, 2, 3], np.float32), "b": np.array([1.5, 0.5, 0], np.float32)})
    np.testing.assert_allclose(made["d"], [1, 2.25, 4])
    powers = np.exp(2 * np.array([1, 2.25, 4]))
    np.testing.assert_allclose(made["e"], powers / powers.sum(), rtol=1e-5)


# ---- Refused ---------------------------------------------------------------------------------------------------------


def test_an_operator_that_is_not_in_the_list() -> None:
    """Before a layer of floats ahead of it is spoken of."""
    net = in_floats(is_dynamic=False)
    net.outputs = [net.add("CUMSUM", [net.outputs[0], net.constant(np.array(0, np.int32))], [2, 3], dtype=np.float32)]
    with pytest.raises(
        UnsupportedOpError, match=r'CUMSUM \(node 1 of net\.tflite, \("t2", "c3" -> "t4"\)\): the graph'
    ):
        imported(net)


def test_options_outside_the_file() -> None:
    """Found by fuzzing. They are read last, when it is known what they are."""
    raw = (Path(__file__).parents[1] / "corpus" / "tflite" / "options_outside.tflite").read_bytes()
    with pytest.raises(CheckpointError, match=r"operator 0 FULLY_CONNECTED .*its options: field 0 of the table"):
        import_tflite(parse_tflite_file(raw, "net.tflite"), "cortexm")


def test_a_custom_operator_by_its_own_name() -> None:
    net = a_layer()
    code = schema().OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema().BuiltinOperator.CUSTOM
    code.customCode = b"MyOp"
    net.model.operatorCodes = [code]
    with pytest.raises(UnsupportedOpError, match="CUSTOM MyOp"):
        imported(net)


@pytest.mark.parametrize(("is_dynamic", "says"), [(False, "in floats"), (True, "dynamic-range: int8 weights")])
def test_what_computes_in_floats(is_dynamic: bool, says: str) -> None:
    with pytest.raises(UnsupportedOpError, match=rf'FULLY_CONNECTED .*computes {says}.*"in0"') as caught:
        imported(in_floats(is_dynamic))
    assert "representative_dataset" in str(caught.value.hint)
    assert "static_wi8_ai8" in str(caught.value.hint)


def unary(
    kind: str, scale: float | None, out: tuple[float, int], zero: int = 0, shape: tuple[int, ...] = (2, 4)
) -> Net:
    net = Net()
    x = net.input([2, 4], scale, zero)
    options: dict[str, Any] = {"beta": 1.0} if kind == "SOFTMAX" else {}
    net.outputs = [net.add(kind, [x], shape, *out, **options)]
    return net


def _joined(second: float) -> Net:
    net = Net()
    parts = [net.input([2, 4], 0.1), net.input([2, 4], second)]
    net.outputs = [net.add("CONCATENATION", parts, [4, 4], 0.1, axis=0)]
    return net


def _binary(kind: str, other: tuple[int, ...], out: float) -> Net:
    net = Net()
    both = [net.input([2, 4], 1.0), net.input(other, 1.0)]
    net.outputs = [net.add(kind, both, [2, 4], out)]
    return net


def _gathered(index: int) -> Net:
    net = Net()
    table = net.constant(sample([3, 4], 4), [0.1])
    net.outputs = [net.add("GATHER", [table, net.constant(np.array([index], np.int32))], [1, 4], 0.1)]
    return net


def _with_bias(scale: float) -> Net:
    net = Net()
    x = net.input([2, 4], 0.1)
    bias = net.constant(np.zeros(3, np.int32), [scale])
    net.outputs = [net.add("FULLY_CONNECTED", [x, net.constant(sample([3, 4], 4), [0.1]), bias], [2, 3], 0.1)]
    return net


def _weights_along(axis: int) -> Net:
    net = Net()
    weight = net.constant(sample([3, 4], 4), [0.1] * (3, 4)[axis], axis=axis)
    net.outputs = [net.add("FULLY_CONNECTED", [net.input([2, 4], 0.1), weight, -1], [2, 3], 0.1)]
    return net


def _backwards() -> Net:
    net = Net()
    ends = [net.constant(np.array(one, np.int32)) for one in ([1, 0], [0, 4], [-1, 1])]
    net.outputs = [net.add("STRIDED_SLICE", [net.input([2, 4], 0.1), *ends], [1, 4], 0.1)]
    return net


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: unary("TANH", None, (1 / 128, 0)), '"in0" has no scale'),
        (lambda: unary("TANH", 0.1, (0.1, 0)), "its range asks for 0.0078125 and 0"),
        (lambda: unary("LOGISTIC", 0.1, (1 / 256, 0)), "its range asks for 0.00390625 and -128"),
        (lambda: unary("SOFTMAX", 0.1, (0.1, -128)), "its range asks for"),
        (lambda: unary("TANH", 2.0**-40, (1 / 128, 0)), "too small to tell numbers apart"),
        (lambda: unary("SOFTMAX", 2.0**-26, (1 / 256, -128)), "too small to tell numbers apart"),
        (lambda: unary("RSQRT", 4000.0, (341.0, -128)), "the scale of its result is too large"),
        (lambda: unary("RELU6", 0.1, (0.2, 0)), "runtimes disagree"),
        (lambda: unary("TANH", float("nan"), (1 / 128, 0)), "not all between"),
        (lambda: unary("TANH", -1.0, (1 / 128, 0)), "not all between"),
        (lambda: unary("TANH", 0.1, (1 / 128, 0), zero=200), "the zero point of"),
        (
            lambda: unary("TANH", 0.1, (1 / 128, 0), shape=(2, 5)),
            r"\[2, 4\] follows from its inputs, and it says \[2, 5\]",
        ),
        (lambda: unary("QUANTIZE", 2.0**20, (2.0**-20, 0)), "the scale of its result is too small"),
        (lambda: _joined(0.2), "have different scales"),
        (lambda: _binary("ADD", (3, 4), 1.0), r"\[2, 4\] does not go with \[3, 4\]"),
        (lambda: _binary("ADD", (2, 4), 2.0**-22), "the scale of its result is too small"),
        (lambda: _gathered(3), "names places outside of 0 to 2"),
        (lambda: _gathered(-1), "names places outside of 0 to 2"),
        (lambda: _with_bias(0.5), "is not the product"),
        (lambda: _weights_along(1), "has scales along axis 1"),
        (_backwards, "it goes backwards"),
    ],
)
def test_forms_that_have_no_meaning_here(make: Callable[[], Net], says: str) -> None:
    with pytest.raises(UnsupportedOpError, match=says) as caught:
        imported(make())
    assert " (node 0 of net.tflite, (" in caught.value.message
    assert caught.value.hint


def test_a_file_that_computes_nothing() -> None:
    net = Net()
    net.outputs = [net.input([2], 0.1)]
    with pytest.raises(UnsupportedError, match="it has no operators"):
        imported(net)


def test_activations_of_sixteen_bits() -> None:
    net = Net()
    x = net.input([2, 4], 0.1, dtype=np.int32)
    net.graph.subgraph.tensors[x].type = schema().TensorType.INT16
    net.outputs = [net.add("RELU", [x], [2, 4], 0.1)]
    with pytest.raises(UnsupportedError, match='"in0" is INT16, and what is computed must be INT8'):
        imported(net)
