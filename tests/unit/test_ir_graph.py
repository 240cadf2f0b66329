"""The nouns of the graph for compilers: its text, what is refused, which reals its integers stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.errors import InternalError
from edgeslm.ir.graph import Constant, Graph, Node, Quantization, Storage, Tensor, reject_broken
from edgeslm.ir.interpret import Interpreter, dequantized, quantized
from edgeslm.ir.nodes import Binary, CachedAttention, Embedding, Linear, Quantize, Rotary
from edgeslm.ir.rewrite import drop_unread
from edgeslm.ir.text import print_graph
from tests.unit.onnx_graphs import numbers

STEP = Quantization((0.5,), (3,))


def constant(name: str, *shape: int, storage: Storage | None = None) -> Constant:
    return Constant(Tensor(name, shape), (name,), storage, read=lambda: numbers(*shape))


GRAPH = Graph(
    name="step",
    inputs=(Tensor("token", (1,), "int32"), Tensor("position", (1,), "int32")),
    states=(Tensor("keys", (1, 8, 4)), Tensor("values", (1, 8, 4))),
    constants=(constant("table", 9, 4, storage=Storage("int4", 16)), constant("unread", 2)),
    nodes=(
        Node(Embedding(), ("table", "token"), Tensor("x", (1, 4)), "model.embed"),
        Node(Rotary((1.0, 0.1)), ("x", "position"), Tensor("turned", (1, 4))),
        Node(CachedAttention("keys", "values", 1, 1, 4, 0.5), ("turned", "x", "x", "position"), Tensor("y", (1, 4))),
        Node(Quantize(), ("y",), Tensor("codes", (1, 4), "int8", STEP)),
        Node(Linear(), ("y", "table"), Tensor("scores", (1, 9)), "model.head"),
    ),
    outputs=("scores", "codes"),
)
TEXT = """\
graph step
  input %token int32[1]
  input %position int32[1]
  state %keys float32[1, 8, 4]
  state %values float32[1, 8, 4]
  constant %table float32[9, 4] as int4-g16 of table
  constant %unread float32[2] of unread
  %x float32[1, 4] = Embedding %table, %token  # model.embed
  %turned float32[1, 4] = Rotary(frequencies=(1, 0.1)) %x, %position
  %y float32[1, 4] = CachedAttention(keys=keys, values=values, heads=1, kv_heads=1, head_dim=4, scale=0.5) \
%turned, %x, %x, %position
  %codes int8[1, 4] scale (0.5) zero (3) = Quantize %y
  %scores float32[1, 9] = Linear %y, %table  # model.head
  output %scores
  output %codes
"""


def test_a_graph_as_text() -> None:
    assert print_graph(GRAPH) == TEXT


def test_what_nobody_reads_is_dropped_and_states_are_read_by_their_node() -> None:
    kept = drop_unread(replace(GRAPH, outputs=("scores",)))
    assert [node.name for node in kept.nodes] == ["x", "turned", "y", "scores"]
    assert [one.name for one in kept.constants] == ["table"]
    assert kept.states == GRAPH.states
    assert kept.inputs == GRAPH.inputs
    early = drop_unread(replace(GRAPH, outputs=("x",)))
    assert (early.states, len(early.nodes)) == ((), 1)


def test_broken_graphs_are_ours_to_notice() -> None:
    twice = replace(GRAPH, constants=(*GRAPH.constants, constant("x", 1)))
    backwards = replace(GRAPH, nodes=GRAPH.nodes[::-1])
    stateless = replace(GRAPH, states=())
    for graph, says in (
        (twice, "two values are called 'x'"),
        (backwards, "scores reads 'y'"),
        (stateless, "y reads 'keys'"),
        (replace(GRAPH, outputs=("z",)), "output 'z' is made by nothing"),
    ):
        with pytest.raises(InternalError, match=says):
            reject_broken(graph)
    reject_broken(GRAPH)


def test_a_result_of_another_shape_is_noticed() -> None:
    wrong = replace(GRAPH, nodes=(replace(GRAPH.nodes[0], output=Tensor("x", (1, 5))),), outputs=("x",))
    with pytest.raises(InternalError, match=r"x is \(1, 4\), described as \(1, 5\)"):
        Interpreter(wrong).run({"token": np.array([1], np.int32), "position": np.array([0], np.int32)})


def test_a_step_goes_back_by_a_smaller_position() -> None:
    """Rows behind it are not seen: the same steps again give the same."""
    interpreter = Interpreter(GRAPH)

    def step(token: int, place: int) -> np.ndarray:
        given = {"token": np.array([token], np.int32), "position": np.array([place], np.int32)}
        return interpreter.run(given)["scores"]

    first = [step(token, place) for place, token in enumerate((3, 1, 4))]
    again = [step(token, place) for place, token in enumerate((3, 1, 4))]
    np.testing.assert_array_equal(first, again)


@given(st.integers(1, 3), st.integers(1, 9), st.sampled_from(("tensor", "channel", "block")), st.integers(0, 999))
def test_integers_stand_for_reals(rows: int, columns: int, spread: str, seed: int) -> None:
    """Each by the scale of its tensor, its channel or its block; a round trip is off by half a step at most."""
    random = np.random.default_rng(seed)
    blocks = -(-columns // 4)
    count = {"tensor": 1, "channel": rows, "block": rows * blocks}[spread]
    scales = tuple(float(one) for one in random.choice([0.25, 0.5, 1.0, 2.0], count))
    zeros = tuple(int(one) for one in random.integers(-9, 9, count))
    form = {"tensor": (None, None), "channel": (0, None), "block": (None, 4)}[spread]
    quantization = Quantization(scales, zeros, *form)
    reals = random.uniform(-20, 20, (rows, columns)).astype(np.float32)
    codes = quantized(reals, Tensor("codes", (rows, columns), "int8", quantization))
    back = dequantized(codes, quantization)
    assert codes.dtype == np.int8
    for row in range(rows):
        for column in range(columns):
            place = {"tensor": 0, "channel": row, "block": row * blocks + column // 4}[spread]
            assert back[row, column] == scales[place] * (int(codes[row, column]) - zeros[place])
            if -128 < codes[row, column] < 127:
                assert abs(back[row, column] - reals[row, column]) <= scales[place] / 2


def test_integers_end_at_their_type() -> None:
    x = np.array([-1e6, 1e6], np.float32)
    codes = quantized(x, Tensor("codes", (2,), "int8", Quantization((0.1,), (5,))))
    assert codes.tolist() == [-128, 127]


def test_sums_of_unlike_shapes_follow_numpy() -> None:
    node = Node(Binary("add"), ("a", "b"), Tensor("c", (3, 2)))
    graph = Graph("sum", (Tensor("a", (3, 1)), Tensor("b", (2,))), (), (), (node,), ("c",))
    a, b = numbers(3, 1), numbers(2, seed=1)
    np.testing.assert_array_equal(Interpreter(graph).run({"a": a, "b": b})["c"], a + b)
