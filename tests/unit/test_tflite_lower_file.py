"""The file that our own lowering writes: shared buffers, the same bytes twice, ends of the graph, what it refuses."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("onnx")

import onnx
import onnx_ir
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

from edgeslm.backends.tflite.lower import file as lowered_file
from edgeslm.backends.tflite.lower.constants import Constants
from edgeslm.backends.tflite.lower.file import LoweredFile, lower_graphs
from edgeslm.errors import InternalError, UnsupportedError, UnsupportedOpError
from edgeslm.formats.tflite import pack_tflite, parse_tflite
from tests.unit.lowered_nodes import Array, a_graph, packed, same_graph, specs

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.standard_normal((50, 32)).astype(np.float32)
WEIGHT = RANDOM.standard_normal((32, 64)).astype(np.float32)
FLOATS = 4 * (TABLE.size + WEIGHT.size)


def layers(length: int) -> onnx.ModelProto:
    """A lookup and a linear layer, whose result is multiplied with the table again."""
    make = onnx.helper.make_node
    nodes = [
        make("Gather", ["table", "ids"], ["rows"], name="lookup"),
        make("MatMul", ["rows", "weight"], ["hidden"], name="linear"),
        make("MatMul", ["rows", "turned"], ["logits"], name="tied"),
    ]
    constants = {"table": TABLE, "weight": WEIGHT, "turned": TABLE.T}
    return a_graph(nodes, {"ids": np.zeros((1, length), np.int32)}, constants, ["hidden", "logits"])


def lengths(*chosen: int, tables: dict[str, Array] | None = None) -> LoweredFile:
    graphs = [(f"tokens_{length}", onnx_ir.from_proto(layers(length)).graph) for length in chosen]
    return lower_graphs(graphs, specs(graphs[0][1].inputs), specs(graphs[0][1].outputs), tables)


def test_signatures_share_one_set_of_buffers() -> None:
    one, two = len(packed(lengths(8))), len(packed(lengths(8, 16)))
    assert FLOATS < one < two < 1.1 * one
    file = lengths(8, 16)
    interpreter = Interpreter(model_content=packed(file), num_threads=1)
    for length in (8, 16):
        ids = RANDOM.integers(0, 50, (1, length)).astype(np.int32)
        made = interpreter.get_signature_runner(f"tokens_{length}")(ids=ids)
        np.testing.assert_allclose(made["hidden"], TABLE[ids] @ WEIGHT, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(made["logits"], TABLE[ids] @ TABLE.T, rtol=1e-4, atol=1e-4)


def test_a_graph_is_gone_before_the_next_is_asked_for_and_collecting_is_as_before() -> None:
    """Each maps all weights; it is found without a look at what there was before."""
    seen: list[weakref.ref[onnx_ir.Graph]] = []

    def opened(length: int) -> onnx_ir.Graph:
        assert [one() for one in seen] == [None] * len(seen)
        graph = onnx_ir.from_proto(layers(length)).graph
        seen.append(weakref.ref(graph))
        return graph

    try:
        lower_graphs(((f"tokens_{length}", opened(length)) for length in (8, 16, 32)), None, None)
        assert gc.get_freeze_count() == 0
    finally:
        gc.freeze()
    assert len(seen) == 3


def test_a_tied_matrix_is_stored_once_and_read_through_two_tensors() -> None:
    """The quantizer treats a looked-up table and a linear layer's weight apart."""
    graph = lengths(8).graphs[0]
    lookup = next(operator for operator in graph.operators if graph.kind(operator) == "EMBEDDING_LOOKUP")
    tied = next(operator for operator in graph.operators if graph.name(int(operator.outputs[0])).endswith("logits"))
    table, weight = int(lookup.inputs[1]), int(tied.inputs[1])
    assert table != weight
    assert graph.subgraph.tensors[table].buffer == graph.subgraph.tensors[weight].buffer


def test_the_same_graphs_give_the_same_bytes() -> None:
    assert packed(lengths(8, 16)) == packed(lengths(8, 16))


def test_tensors_are_named_after_the_values_and_unique() -> None:
    file = lengths(8, 16)
    names = [graph.name(tensor) for graph in file.graphs for tensor in range(len(graph.subgraph.tensors))]
    assert len(set(names)) == len(names)
    assert {"tokens_8/ids", "tokens_8/table", "tokens_8/weight", "tokens_16/hidden"} <= set(names)


def test_what_is_streamed_reads_like_what_is_packed() -> None:
    """The other stages read contents behind the flatbuffer, at multiples of 16, and write them inside."""
    streamed = packed(lengths(8))
    model = parse_tflite(streamed, "streamed")
    inside = parse_tflite(pack_tflite(model), "packed")
    kept = [buffer.data for buffer in model.buffers if buffer.data is not None]
    assert sum(data.nbytes for data in kept) >= FLOATS
    for ours, theirs in zip(kept, (b.data for b in inside.buffers if b.data is not None), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    start = np.frombuffer(streamed, np.uint8).__array_interface__["data"][0]
    assert {(data.__array_interface__["data"][0] - start) % 16 for data in kept} == {0}


def test_folded_rows_of_a_table_are_looked_up_in_it_again() -> None:
    nodes = [onnx.helper.make_node("Add", ["x", "positions"], ["y"])]
    x = RANDOM.standard_normal((1, 4, 32)).astype(np.float32)
    model = a_graph(nodes, {"x": x}, {"positions": TABLE[None, 2:6]}, ["y"])
    graph = onnx_ir.from_proto(model).graph
    file = lower_graphs([("run", graph)], specs(graph.inputs), specs(graph.outputs), {"positions.weight": TABLE})
    kinds = [file.graphs[0].kind(operator) for operator in file.graphs[0].operators]
    assert kinds == ["EMBEDDING_LOOKUP", "RESHAPE", "ADD"]
    made = Interpreter(model_content=packed(file), num_threads=1).get_signature_runner("run")(x=x)["y"]
    np.testing.assert_array_equal(made, x + TABLE[2:6])
    assert TABLE.nbytes < len(packed(file)) < TABLE.nbytes + 4096


def test_ends_of_the_graph_are_tensors_of_their_own() -> None:
    """An output that is an input, a constant, or another output; 64-bit integers in and out."""
    make = onnx.helper.make_node
    nodes = [make("Identity", ["x"], ["same"]), make("Identity", ["c"], ["constant"]), make("Relu", ["x"], ["y"]),
             make("Identity", ["y"], ["again"]), make("Add", ["ids", "ids"], ["doubled"])]  # fmt: skip
    given: dict[str, Array] = {"x": TABLE[:2], "ids": np.array([1, 2], np.int64)}
    made = ["same", "constant", "y", "again", "doubled"]
    same_graph(a_graph(nodes, given, {"c": TABLE[:1]}, made), given)


def test_an_operator_of_nobodys_names_node_layer_and_shapes_before_anything_is_lowered() -> None:
    model = onnx_ir.from_proto(layers(8))
    node = next(node for node in model.graph if node.name == "tied")
    node.op_type = "Det"
    node.metadata_props["edgeslm.layer"] = "cls.predictions"
    with pytest.raises(UnsupportedOpError) as caught:
        lower_graphs([("run", model.graph)], specs(model.graph.inputs), specs(model.graph.outputs))
    assert (caught.value.op, caught.value.node, caught.value.layer) == ("Det", "tied", "cls.predictions")
    assert "rows float[1, 8, 32], turned float[32, 50]" in caught.value.message


def test_more_weights_than_the_format_holds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowered_file, "LARGEST", FLOATS)
    with pytest.raises(UnsupportedError, match=rf"weights are \d+ bytes, a .tflite file holds {FLOATS}"):
        lengths(8)


def test_a_name_that_the_graph_lacks_is_ours_to_answer_for() -> None:
    graph = onnx_ir.from_proto(layers(8)).graph
    wrong = specs(graph.inputs)[0].__class__("tokens", "int32", (1, 8))
    with pytest.raises(InternalError, match="no tokens, only ids"):
        lower_graphs([("run", graph)], [wrong], specs(graph.outputs))


def test_constants_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    """A view and its copy are one; a memory-mapped file is read where it lies."""
    TABLE.tofile(tmp_path / "weights.bin")
    mapped = np.memmap(tmp_path / "weights.bin", np.float32, "r", shape=TABLE.shape)
    constants = Constants()
    assert constants.buffer(mapped.T) == constants.buffer(np.ascontiguousarray(TABLE.T)) != constants.buffer(TABLE)
    assert isinstance(constants.arrays[1], np.memmap)
    assert constants.bytes == 2 * TABLE.nbytes
    assert constants.buffer(np.zeros((0, 3), np.float32)) == 0
