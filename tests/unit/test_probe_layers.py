"""From a runtime's operators to layers: never a wrong one, whatever the runtime leaves out, fuses or adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.formats.operator_layers import GraphOperator, OperatorLayers
from edgeslm.probe.clock_reads import instructions_by_operator
from edgeslm.probe.layers import assign_layers, sum_layers
from edgeslm.probe.report import OperatorPart

NAMES = {
    "FULLY_CONNECTED": "Fully Connected (NC, QD8, F32, QC8W) GEMM",
    "CONV_2D": "Convolution (NHWC, F32) GEMM",
    "ADD": "Add (ND)",
    "MUL": "Multiply (ND)",
    "SOFTMAX": "Softmax (NC, F32)",
    "RESHAPE": "Static Reshape (NC)",
    "TANH": "Tanh (NC)",  # of a kind that is not looked for
}
WEIGHTED = ("FULLY_CONNECTED", "CONV_2D")
PATHS = [f"{outer}.{inner}" for outer in ("a", "b.0", "b.1") for inner in ("x", "y", "z.w")]


def event(kind: str, source: str, index: int, name: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "name": name, "source": source, "index": index, "microseconds": [1.0]}


def layers_of(events: Sequence[Mapping[str, Any]], graph: Sequence[GraphOperator]) -> list[str | None]:
    content = OperatorLayers({"run": tuple(graph)}).content
    return [part.layer for part in assign_layers(events, content, "run")]


def contains(layer: str | None, truth: str | None) -> bool:
    """Whether `layer` says nothing, or is the module `truth` or one around it."""
    return layer is None or (truth is not None and f"{truth}.".startswith(f"{layer}."))


@st.composite
def graphs(draw: st.DrawFn) -> list[GraphOperator]:
    """Any operators, each reading some of those before it."""
    kinds = draw(st.lists(st.sampled_from(list(NAMES)), min_size=1, max_size=24))
    graph = []
    for place, kind in enumerate(kinds):
        reads = draw(st.sets(st.integers(0, place - 1), max_size=2)) if place else set()
        layer = draw(st.sampled_from([*PATHS, None]))
        graph.append(GraphOperator(kind, f"t{place}", layer, tuple(sorted(reads))))
    return graph


def executed(graph: Sequence[GraphOperator], delegated: Sequence[bool]) -> list[list[int]]:
    """TensorFlow Lite's partitioning, after its graph_info.cc: every node gets the epoch of the part it runs in."""
    epochs: dict[int, int] = {}
    epoch = 0
    while len(epochs) < len(graph):
        sort: bool | None = None
        changed = True
        while changed:
            changed = False
            for node, operator in enumerate(graph):
                if node in epochs or any(read not in epochs for read in operator.reads):
                    continue
                if sort is None:
                    sort = delegated[node]
                if delegated[node] == sort:
                    epochs[node] = epoch
                    changed = True
        epoch += 1
    return [[node for node in range(len(graph)) if epochs[node] == part] for part in range(epoch)]


@st.composite
def profiles(
    draw: st.DrawFn, keep_weights: bool = False
) -> tuple[list[GraphOperator], list[dict[str, Any]], list[Any]]:
    """A graph, what a runtime could tell of it, and for each event the layer it is really of (False: of its own)."""
    graph = draw(graphs())
    delegated = [draw(st.booleans()) for _ in graph]
    events: list[dict[str, Any]] = []
    truths: list[Any] = []
    for part in executed(graph, delegated):
        index = 0
        for node in part:
            operator = graph[node]
            if not delegated[node]:
                events.append(event(operator.kind, "tflite", node))
                truths.append(operator.layer)
                continue
            if operator.kind not in WEIGHTED and draw(st.booleans()) and index:
                continue  # left out, or done by another one
            if operator.kind in WEIGHTED and not keep_weights and draw(st.integers(0, 4)) == 0 and index:
                continue
            if draw(st.integers(0, 4)) == 0:  # what it needs first
                events.append(event("Convert (NC, F32, QD8)", "xnnpack", index))
                truths.append(operator.layer)
                index += 1
            events.append(event(NAMES[operator.kind], "xnnpack", index))
            truths.append(operator.layer)
            index += 1
    return graph, events, truths


@given(profiles())
def test_no_layer_is_wrong_whatever_is_left_out_or_added(
    case: tuple[list[GraphOperator], list[dict[str, Any]], list[Any]],
) -> None:
    graph, events, truths = case
    found = layers_of(events, graph)
    assert all(contains(layer, truth) for layer, truth in zip(found, truths, strict=True)), (found, truths)


@given(profiles(keep_weights=True))
def test_layers_with_weights_and_the_interpreters_own_are_exact(
    case: tuple[list[GraphOperator], list[dict[str, Any]], list[Any]],
) -> None:
    graph, events, truths = case
    weighted = {NAMES[kind] for kind in WEIGHTED}
    for one, layer, truth in zip(events, layers_of(events, graph), truths, strict=True):
        if one["source"] == "tflite" or one["kind"] in weighted:
            assert layer == truth


def test_a_layer_left_out_makes_its_like_uncertain() -> None:
    graph = [GraphOperator("FULLY_CONNECTED", f"t{k}", f"block.{k}.dense", (k - 1,) if k else ()) for k in range(3)]
    events = [event(NAMES["FULLY_CONNECTED"], "xnnpack", index) for index in range(2)]
    assert layers_of(events, graph) == ["block", "block"]


def test_between_two_layers_the_kinds_tell_what_is_what() -> None:
    graph = [
        GraphOperator("FULLY_CONNECTED", "linear", "a.dense", ()),
        GraphOperator("ADD", "sum", "a", (0,)),
        GraphOperator("MEAN", "mean", "a.norm", (1,)),
        GraphOperator("MUL", "square", "a.norm", (1,)),
        GraphOperator("MEAN", "variance", "a.norm", (3,)),
        GraphOperator("ADD", "norm", "a.norm", (4,)),
        GraphOperator("FULLY_CONNECTED", "next", "b.dense", (5,)),
    ]
    kinds = ["Fully Connected (X)", "Add (ND)", "Mean (ND) Reduce2", "Mean Squared (ND) Reduce2", "Add (ND)", "Convert"]
    events = [event(kind, "xnnpack", index) for index, kind in enumerate([*kinds, "Fully Connected (X)"])]
    assert layers_of(events, graph) == ["a.dense", "a", "a.norm", "a.norm", "a.norm", None, "b.dense"]


def test_a_map_of_another_graph_names_nothing() -> None:
    graph = [GraphOperator("CAST", "mask", "a"), GraphOperator("FULLY_CONNECTED", "linear", "b", (0,))]
    events = [event("RESHAPE", "tflite", 0), event(NAMES["FULLY_CONNECTED"], "xnnpack", 0)]
    assert layers_of(events, graph) == [None, None]
    assert layers_of([event("CAST", "tflite", 7)], graph) == [None]


def test_openvino_is_matched_by_name_and_its_own_by_their_neighbours() -> None:
    graph = [
        GraphOperator("MatMul", "query", "a.self.query"),
        GraphOperator("MatMul", "key", "a.self.key"),
        GraphOperator("Mean", "pooled", None),
    ]
    names = ["Transpose_1", "query", "Transpose_2", "Transpose_3", "key", "Transpose_4", "pooled", "Transpose_5"]
    events = [event("X", "openvino", index, name) for index, name in enumerate(names)]
    found = layers_of(events, graph)
    assert found == [None, "a.self.query", "a.self", "a.self", "a.self.key", None, None, None]


@pytest.mark.parametrize("layers", [None, b"", b'{"schema_version": 9}'])
def test_without_a_map_there_are_kinds(layers: bytes | None) -> None:
    parts = assign_layers([event("Softmax", "xnnpack", 0)], layers, "run", [7.0])
    assert parts == (OperatorPart(kind="Softmax", layer=None, ms=0.001, instructions=7.0),)


def test_a_bundle_of_one_graph_needs_no_signature() -> None:
    content = OperatorLayers({"": (GraphOperator("MatMul", "query", "a"),)}).content
    assert assign_layers([event("FC", "openvino", 0, "query")], content, None)[0].layer == "a"


def test_disturbed_runs_do_not_count() -> None:
    events = [
        {**event("A", "xnnpack", 0), "microseconds": [10.0, 11.0, 900.0, 10.0]},
        {**event("B", "xnnpack", 1), "microseconds": [0.0, 1.0, 0.0, 1.0]},
    ]
    first, second = assign_layers(events, None, None)
    assert first.ms == pytest.approx(0.010)
    assert second.ms == pytest.approx(0.0005)
    assert assign_layers([{**events[0], "microseconds": []}], None, None, [5.0])[0].ms is None


def test_layers_are_summed_the_largest_first() -> None:
    parts = [
        OperatorPart(kind="FC", layer="a", ms=1.0, instructions=10.0),
        OperatorPart(kind="Add", layer=None, ms=0.5, instructions=2.0),
        OperatorPart(kind="FC", layer="b", ms=3.0, instructions=1.0),
        OperatorPart(kind="Mul", layer="a", ms=0.5, instructions=None),
    ]
    summed = sum_layers(parts)
    assert [(one.layer, one.operators, one.ms, one.instructions, one.share) for one in summed] == [
        ("b", 1, 3.0, 1.0, 0.6), ("a", 2, 1.5, 10.0, 0.3), ("Add", 1, 0.5, 2.0, 0.1)
    ]  # fmt: skip
    counted = sum_layers([part.model_copy(update={"ms": None}) for part in parts])
    assert [(one.layer, one.ms) for one in counted] == [("a", None), ("Add", None), ("b", None)]
    assert sum(one.share for one in counted) == pytest.approx(1)
    assert sum_layers([]) == ()


LITERT = [event("CAST", "tflite", 0), event("A", "xnnpack", 0), event("B", "xnnpack", 1), event("C", "xnnpack", 0)]


def test_litert_reads_the_clock_around_its_own_and_after_each_of_xnnpacks() -> None:
    #        the run begins     begin  CAST  start  A  B  start  C  the run ends
    reads = [900, 901, 902, 903, 17, 904, 21, 22, 905, 23, 906, 907, 908, 909]
    assert instructions_by_operator(reads, LITERT) == [17, 21, 22, 23]
    assert instructions_by_operator(reads[:-1], LITERT) is None
    assert instructions_by_operator([*reads, 1], LITERT) is None
    assert instructions_by_operator([], []) is None


def test_openvino_reads_the_clock_around_each_node() -> None:
    nodes = [event("A", "openvino", 3), event("B", "openvino", 7)]
    assert instructions_by_operator([900, 901, 21, 902, 22, 903, 904], nodes) == [21, 22]
    assert instructions_by_operator([900, 901, 21, 902, 22, 903], nodes) is None
