"""Passes over graphs of int8: the same bits after each, and what they are there for."""

from __future__ import annotations

import numpy as np
import pytest

from edgeslm.artifacts import TensorSpec
from edgeslm.fidelity.net_score import sample
from edgeslm.formats.tflite_file import parse_tflite_file
from edgeslm.ir import nodes
from edgeslm.ir.graph import Graph, reject_broken
from edgeslm.ir.import_tflite import import_tflite
from edgeslm.ir.integer_passes import PASSES, simplify_integers
from edgeslm.ir.integer_passes.ids import most_ids
from edgeslm.ir.interpret_integers import IntegerInterpreter
from tests.unit.random_nets import random_net
from tests.unit.tflite_int8 import Net
from tests.unit.tflite_int8 import sample as int8_sample
from tests.unit.tflite_nets import a_layer, an_encoder, integers
from tests.unit.tflite_seeds import every_operator


def imported(raw: bytes) -> Graph:
    return import_tflite(parse_tflite_file(raw, "net"), "cortexm")


def specs(graph: Graph) -> list[TensorSpec]:
    ids = most_ids(graph)
    return [TensorSpec(one.name, one.dtype, one.shape, ids=ids.get(one.name)) for one in graph.inputs]


def hold(graph: Graph, *changed: Graph) -> None:
    given = [sample(specs(graph), number) for number in range(4)]
    reference = IntegerInterpreter(graph)
    wanted = [reference.run(one) for one in given]
    for one in changed:
        reject_broken(one)
        interpreter = IntegerInterpreter(one)
        for inputs, outputs in zip(given, wanted, strict=True):
            made = interpreter.run(inputs)
            for name, values in outputs.items():
                np.testing.assert_array_equal(made[name], values)


@pytest.mark.parametrize("seed", range(14))
def test_each_pass_keeps_every_bit(seed: int) -> None:
    graphs = [imported(random_net(seed))]
    for change in PASSES:
        changed = change(graphs[-1])
        if changed != graphs[-1]:
            graphs.append(changed)
    hold(*graphs)


@pytest.mark.parametrize("net", [every_operator(), an_encoder("GELU"), an_encoder("RELU"), a_layer("RELU", 4, 8, 2, 8)])
def test_whole_nets_keep_every_bit(net: Net) -> None:
    graph = imported(net.pack())
    hold(graph, simplify_integers(graph))


def kinds(graph: Graph) -> list[str]:
    return [type(node.kind).__name__ for node in graph.nodes]


def test_an_encoder_has_no_step_that_it_needs_not() -> None:
    """Limits are in the layer that they limit, and a norm's epsilon is in the table of its root."""
    graph = simplify_integers(imported(an_encoder("RELU").pack()))
    assert "Clamp" not in kinds(graph)
    assert [node.kind for node in graph.nodes if isinstance(node.kind, nodes.Limited)] == [
        nodes.Limited(nodes.Linear(), -128, 127)
    ]
    roots = [node for node in graph.nodes if isinstance(node.kind, nodes.Table)]
    assert len(roots) == 4  # of three norms, and the TANH
    assert all(
        graph.producer(node.inputs[0]) is not None and isinstance(graph.producer(node.inputs[0]).kind, nodes.Reduce)  # type: ignore[union-attr]
        for node in roots[:3]
    )


def test_functions_in_a_row_are_one_table() -> None:
    net = Net()
    x = net.input([3, 8], 0.1, 5)
    y = net.add("TANH", [x], [3, 8], 1 / 128, 0)
    y = net.add("RELU", [y], [3, 8], 0.02, -7)
    y = net.add("QUANTIZE", [y], [3, 8], 0.01, 3)
    y = net.add("RESHAPE", [y, integers(net, 24)], [24], 0.01, 3)
    net.outputs = [net.add("GELU", [y], [24], 0.02, 1, approximate=True)]
    graph = imported(net.pack())
    simple = simplify_integers(graph)
    hold(graph, simple)
    assert sorted(kinds(simple)) == ["Reshape", "Table"]


def test_what_others_read_stays() -> None:
    """A limit is no part of a sum that somebody else wants without it, or that is handed out."""
    for is_output in (True, False):
        net = Net()
        x = net.input([8], 0.1, 5)
        total = net.add("ADD", [x, x], [8], 0.2, 0)
        limited = net.add("RELU", [total], [8], 0.2, 0)
        net.outputs = [limited, total] if is_output else [net.add("SUB", [limited, total], [8], 0.2, 0)]
        graph = imported(net.pack())
        simple = simplify_integers(graph)
        hold(graph, simple)
        assert "Limited" not in kinds(simple)


def test_a_constant_factor_is_a_weight_unless_it_has_a_zero_point() -> None:
    for zero, kind in ((0, "Linear"), (4, "MatMul")):
        net = Net()
        x = net.input([2, 3, 4], 0.1, 5)
        weight = net.constant(int8_sample([4, 6], 9), [0.03], [zero])
        net.outputs = [net.add("BATCH_MATMUL", [x, weight], [2, 3, 6], 0.4, 2, options_of="BatchMatMulOptions")]
        graph = imported(net.pack())
        simple = simplify_integers(graph)
        hold(graph, simple)
        assert kinds(simple) == [kind]


def test_what_is_known_is_computed_once() -> None:
    """Positions looked up by known ids are rows of numbers."""
    net = Net()
    x = net.input([2, 4], 0.1, 5)
    table = net.constant(int8_sample([3, 4], 9), [0.1], [5])
    rows = net.add("GATHER", [table, integers(net, 2, 0)], [2, 4], 0.1, 5)
    rows = net.add("RELU", [rows], [2, 4], 0.1, 5)
    net.outputs = [net.add("ADD", [x, rows], [2, 4], 0.2)]
    graph = imported(net.pack())
    simple = simplify_integers(graph)
    hold(graph, simple)
    assert kinds(simple) == ["Binary"]


def test_ids_are_known_through_moves() -> None:
    net = Net()
    ids = net.input([2, 2], dtype=np.int32)
    other = net.input([2], dtype=np.int32)
    flat = net.add("RESHAPE", [ids, integers(net, 4)], [4], dtype=np.int32)
    few, many = (net.constant(int8_sample([rows, 2], rows), [0.1]) for rows in (3, 7))
    net.outputs = [
        net.add("GATHER", [few, flat], [4, 2], 0.1),
        net.add("GATHER", [many, flat], [4, 2], 0.1),
        net.add("RESHAPE", [other, integers(net, 1, 2)], [1, 2], dtype=np.int32),
    ]
    assert most_ids(imported(net.pack())) == {"in0": 3}
