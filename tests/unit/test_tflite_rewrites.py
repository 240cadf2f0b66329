"""Rewrites of .tflite graphs: other operators, the same results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.artifacts import QuantPlan, TensorChoice, TensorSpec
from edgeslm.backends.tflite import observe
from edgeslm.backends.tflite.embedding import look_up_tables, restore_tables
from edgeslm.backends.tflite.evening import even_outputs
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.half import halve
from edgeslm.backends.tflite.linear import connect_fully, pad_inner
from edgeslm.backends.tflite.merge import merge
from edgeslm.backends.tflite.observe import Made, linear_operators
from edgeslm.backends.tflite.repair import repair_running_sums
from edgeslm.backends.tflite.smoothing import find_factors, smooth
from edgeslm.backends.tflite.treatment import treat
from edgeslm.backends.tflite.weights import unevened
from edgeslm.errors import InternalError, UnsupportedError
from edgeslm.formats.tflite import schema
from edgeslm.quantize.layer_inputs import LayerInputs
from tests.unit.tflite_models import a_model, add_constant, add_tensor, finish, kinds, run

pytest.importorskip("ai_edge_litert")
RANDOM = np.random.default_rng(0)
ROWS = RANDOM.standard_normal((1, 5, 12)).astype(np.float32)
MATRIX = RANDOM.standard_normal((12, 7)).astype(np.float32)
BIAS = RANDOM.standard_normal(7).astype(np.float32)


def product(transposed: bool = False, bias: NDArray[Any] | None = BIAS, *, read_twice: bool = False) -> Graph:
    """x [1, 5, 12] times a constant, plus a bias: as onnx2tf writes a linear layer."""
    model = a_model()
    graph = Graph(model)
    x, y = add_tensor(model, "x", [1, 5, 12]), add_tensor(model, "y", [1, 5, 7])
    weight = add_constant(model, "weight", MATRIX.T if transposed else MATRIX)
    options = schema().BatchMatMulOptionsT()
    options.adjY = transposed
    operators = [graph.make("BATCH_MATMUL", [x, weight], [y], options)]
    outputs = [y]
    if bias is not None:
        z = add_tensor(model, "z", [1, 5, 7])
        operators.append(graph.make("ADD", [y, add_constant(model, "bias", bias)], [z], schema().AddOptionsT()))
        outputs = [y, z] if read_twice else [z]
    return finish(model, operators, [x], outputs)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [None, BIAS, BIAS.reshape(1, 1, 7)])
def test_products_by_constants_become_fully_connected(transposed: bool, bias: NDArray[Any] | None) -> None:
    graph = product(transposed, bias)
    before = run(graph.model, {"x": ROWS})
    connect_fully(graph)
    graph.drop_unused()
    assert kinds(graph) == ["FULLY_CONNECTED"]
    after = run(graph.model, {"x": ROWS})
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, atol=1e-5)
        assert after[name].shape == values.shape


@pytest.mark.parametrize(
    "graph",
    [
        product(read_twice=True),  # somebody needs the product without the bias
        product(bias=RANDOM.standard_normal((1, 5, 1)).astype(np.float32)),  # one number for each row
    ],
)
def test_other_additions_stay(graph: Graph) -> None:
    before = run(graph.model, {"x": ROWS})
    connect_fully(graph)
    graph.drop_unused()
    assert kinds(graph) == ["FULLY_CONNECTED", "ADD"]
    after = run(graph.model, {"x": ROWS})
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, atol=1e-5)


def test_a_product_of_two_activations_stays() -> None:
    model = a_model()
    x, y, z = (add_tensor(model, name, [1, 4, 4]) for name in "xyz")
    options = schema().BatchMatMulOptionsT()
    graph = finish(model, [Graph(model).make("BATCH_MATMUL", [x, y], [z], options)], [x, y], [z])
    connect_fully(graph)
    assert kinds(graph) == ["BATCH_MATMUL"]


def test_padding_to_whole_blocks_changes_no_result() -> None:
    graph = product()
    connect_fully(graph)
    before = run(graph.model, {"x": ROWS})["z"]
    layer = linear_operators(graph)[0]
    added = pad_inner(graph, 32, {int(layer.inputs[1])})
    graph.drop_unused()
    assert list(added.values()) == [20]
    assert kinds(graph) == ["PAD", "FULLY_CONNECTED"]
    np.testing.assert_allclose(run(graph.model, {"x": ROWS})["z"], before, atol=1e-6)


def test_smoothing_evens_out_an_outlying_column_and_changes_no_result() -> None:
    graph = product()
    connect_fully(graph)
    rows = ROWS.reshape(-1, 12).copy()
    rows[:, 3] *= 100
    before = run(graph.model, {"x": rows.reshape(1, 5, 12)})["z"]
    buffer = graph.subgraph.tensors[int(linear_operators(graph)[0].inputs[1])].buffer
    seen = {buffer: LayerInputs(rows.T @ rows, rows.min(axis=0), rows.max(axis=0), rows, len(rows))}
    factors = find_factors(graph.model, seen, {buffer: (8, None)})
    assert factors[buffer].argmax() == 3
    assert find_factors(graph.model, seen, {}) == {}  # a weight that stays float is left alone
    assert smooth(graph, factors) == {"weight/smoothed": "weight"}
    graph.drop_unused()
    assert kinds(graph) == ["MUL", "FULLY_CONNECTED"]
    np.testing.assert_allclose(run(graph.model, {"x": rows.reshape(1, 5, 12)})["z"], before, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("bias", [None, BIAS])
def test_evening_gives_columns_one_range_and_changes_no_result(bias: NDArray[Any] | None) -> None:
    graph = product(bias=bias)
    connect_fully(graph)
    (layer,) = linear_operators(graph)
    name = graph.name(int(layer.outputs[0]))
    before = run(graph.model, {"x": ROWS})[name]
    seen = before.reshape(-1, 7) * np.array([1, 1, 50, 1, 1, 1, 1], np.float32)
    made = Made(seen.min(axis=0), seen.max(axis=0))
    assert even_outputs(graph, [made], set(), set()).weights == {}  # a layer that is not static is left alone
    evened = even_outputs(graph, [made], {name}, set())
    assert evened.weights == {"weight/evened": "weight"}
    assert evened.biases == ({} if bias is None else {"bias/evened": "bias"})
    assert kinds(graph) == ["FULLY_CONNECTED", "MUL"]
    np.testing.assert_allclose(run(graph.model, {"x": ROWS})[name], before, rtol=1e-4, atol=1e-4)
    widths = np.maximum(evened.made[0].high, 0) - np.minimum(evened.made[0].low, 0)
    assert widths.max() < 1.001 * widths.min()
    (layer,) = linear_operators(graph)
    for constant, wanted in zip(layer.inputs[1:], [MATRIX.T, *([] if bias is None else [bias])], strict=False):
        values = graph.constant(int(constant))
        assert values is not None
        np.testing.assert_allclose(unevened(graph, int(constant), values), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("width", "group", "stored"),
    [(384, 32, ("int4", 32)), (384, 256, ("int4", 128)), (40, 32, ("int8", None)), (384, None, ("int8", None))],
)
def test_a_table_is_int4_in_blocks_that_fill_its_rows(
    width: int, group: int | None, stored: tuple[str, int | None]
) -> None:
    table = np.ones((64, width), np.float32)
    graph = gather(np.zeros((1, 4), np.int32), table)
    look_up_tables(graph)
    choices = {"words": TensorChoice("int4", "", group)}
    plan = QuantPlan("rpi4", "tflite", "int4", choices, (), (), (16,), 0, 0)
    (treatment,) = treat(graph.model, plan, {"table": "words"})
    assert (treatment.precision, treatment.group) == stored
    assert bool(treatment.note) == (stored != ("int4", group))


def gather(ids: NDArray[np.int32], table: NDArray[np.float32]) -> Graph:
    model = a_model()
    source = add_tensor(model, "ids", list(ids.shape), np.int32)
    rows = add_tensor(model, "rows", [*ids.shape, table.shape[1]])
    options = schema().GatherOptionsT()
    operator = Graph(model).make("GATHER", [add_constant(model, "table", table), source], [rows], options)
    return finish(model, [operator], [source], [rows])


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 1, 3)])
def test_gathering_rows_becomes_a_lookup(shape: tuple[int, ...]) -> None:
    table = RANDOM.standard_normal((9, 6)).astype(np.float32)
    ids = RANDOM.integers(0, 9, shape).astype(np.int32)
    graph = gather(ids, table)
    look_up_tables(graph)
    assert "EMBEDDING_LOOKUP" in kinds(graph)
    assert "GATHER" not in kinds(graph)
    np.testing.assert_array_equal(run(graph.model, {"ids": ids})["rows"], table[ids])


@pytest.mark.parametrize(
    ("rows", "lookups"),
    [
        (slice(2, 7), 1),  # positions that do not start at 0
        ([4, 4, 4, 4, 4], 1),  # one type of token for all
        (None, 0),  # no rows of the table
    ],
)
def test_folded_rows_become_lookups_again(rows: Any, lookups: int) -> None:
    table = RANDOM.standard_normal((20, 12)).astype(np.float32)
    constant = ROWS[0] if rows is None else table[rows]
    model = a_model()
    x, y = add_tensor(model, "x", [1, 5, 12]), add_tensor(model, "y", [1, 5, 12])
    inputs = [x, add_constant(model, "folded", constant[None])]
    graph = finish(model, [Graph(model).make("ADD", inputs, [y], schema().AddOptionsT())], [x], [y])
    restore_tables(graph, {"positions": table})
    graph.drop_unused()
    assert kinds(graph).count("EMBEDDING_LOOKUP") == lookups
    np.testing.assert_array_equal(run(model, {"x": ROWS})["y"], ROWS + constant)


def test_a_table_of_one_row_is_added_as_it_is() -> None:
    table = RANDOM.standard_normal((1, 12)).astype(np.float32)
    model = a_model()
    x, y = add_tensor(model, "x", [1, 5, 12]), add_tensor(model, "y", [1, 5, 12])
    inputs = [x, add_constant(model, "folded", np.repeat(table, 5, axis=0)[None])]
    graph = finish(model, [Graph(model).make("ADD", inputs, [y], schema().AddOptionsT())], [x], [y])
    restore_tables(graph, {"types": table})
    graph.drop_unused()
    assert kinds(graph) == ["ADD"]
    assert {graph.name(tensor) for tensor in range(len(graph.subgraph.tensors))} == {"x", "y", "types"}
    np.testing.assert_array_equal(run(model, {"x": ROWS})["y"], ROWS + table)


def test_halves_are_stored_and_floats_come_out() -> None:
    graph = product()
    connect_fully(graph)
    before = run(graph.model, {"x": ROWS})["z"]
    halve(graph, {"weight"})
    assert kinds(graph) == ["DEQUANTIZE", "FULLY_CONNECTED"]
    np.testing.assert_allclose(run(graph.model, {"x": ROWS})["z"], before, atol=1e-2)


def test_of_a_table_of_halves_only_rows_are_expanded() -> None:
    table = RANDOM.standard_normal((9, 6)).astype(np.float32)
    ids = np.array([8, 0, 3, 3], np.int32)
    graph = gather(ids, table)
    look_up_tables(graph)
    halve(graph, {"table"})
    assert kinds(graph) == ["GATHER", "DEQUANTIZE"]
    expected = table[ids].astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(run(graph.model, {"ids": ids})["rows"], expected)


def test_what_no_half_can_hold_is_refused() -> None:
    graph = product()
    graph.subgraph.tensors[2].buffer = graph.subgraph.tensors[graph.add_constant("big", MATRIX * 1e6)].buffer
    with pytest.raises(UnsupportedError, match="65504"):
        halve(graph, {"weight"})


def test_running_sums_are_what_they_say() -> None:
    model = a_model()
    x, axis = add_tensor(model, "x", [1, 4], np.int32), add_constant(model, "axis", np.array(1, np.int32))
    y = add_tensor(model, "y", [1, 4], np.int64)
    graph = finish(model, [Graph(model).make("CUMSUM", [x, axis], [y], schema().CumsumOptionsT())], [x], [y])
    repair_running_sums(graph)
    assert kinds(graph) == ["CUMSUM", "CAST"]
    assert run(model, {"x": np.array([[1, 2, 3, 4]], np.int32)})["y"].tolist() == [[1, 3, 6, 10]]


def test_merged_models_share_constants_and_keep_their_own_names() -> None:
    def part() -> Any:
        graph = product()
        connect_fully(graph)
        graph.drop_unused()
        return graph.model

    x, z = TensorSpec("x", "float32", (1, -1, 12)), TensorSpec("z", "float32", (1, -1, 7))
    merged = merge({"a": part(), "b": part()}, [x], [z])
    assert len([buffer for buffer in merged.buffers if buffer.data is not None]) == 2
    names = [tensor.name for subgraph in merged.subgraphs for tensor in subgraph.tensors]
    assert len(names) == len(set(names))
    expected = ROWS @ MATRIX + BIAS
    for signature in ("a", "b"):
        np.testing.assert_allclose(run(merged, {"x": ROWS}, signature)["z"], expected, atol=1e-5)
    with pytest.raises(InternalError, match="it should be int32"):
        merge({"a": part()}, [TensorSpec("x", "int32", (1, -1, 12))], [z])
    with pytest.raises(InternalError, match="has no 'w'"):
        merge({"a": part()}, [TensorSpec("w", "float32", (1, -1, 12))], [z])


def test_plans_for_one_model_look_at_its_samples_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []

    def look(model: object, *_: object) -> observe.Observed:
        looked.append(model)
        return observe.Observed({}, [])

    monkeypatch.setattr(observe, "observe", look)
    monkeypatch.setattr(observe, "_last", {})
    first = observe.observe_once(("model", "samples"), "a", {}, [])
    assert observe.observe_once(("model", "samples"), "b", {}, []) is first
    assert observe.observe_once(("model", "other samples"), "c", {}, []) is not first
    assert looked == ["a", "c"]
