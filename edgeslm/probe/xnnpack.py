"""Which operators of a TFLite graph XNNPACK's are: it tells kinds and an order, no names.

The interpreter's own operators tell their place in the graph. All others were given to XNNPACK, in parts that follow
from the graph. In each part, XNNPACK's layers with weights are the graph's, one by one. Between two of them, XNNPACK
leaves out what it does on the way and keeps the order; so each of its operators is one of those in the graph that have
its kind and leave enough of the right kinds before and behind it for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeslm.formats.operator_layers import GraphOperator, common_layer

Graph = Sequence[GraphOperator]

WEIGHTED = {
    "Fully Connected": ("FULLY_CONNECTED",),
    "Convolution": ("CONV_2D", "DEPTHWISE_CONV_2D"),
    "Deconvolution": ("TRANSPOSE_CONV",),
}
"""XNNPACK's layers with weights, by how their names begin."""
KINDS = WEIGHTED | {
    "Batch Matrix Multiply": ("BATCH_MATMUL",),
    "Softmax": ("SOFTMAX",),
    "GELU": ("GELU",),
    "Add": ("ADD",),
    "Subtract": ("SUB",),
    "Multiply": ("MUL",),
    "Divide": ("DIV",),
    "Mean": ("MEAN",),
    "Mean Squared": ("MEAN",),
    "Sum": ("SUM",),
    "Square Root": ("SQRT",),
    "Transpose": ("TRANSPOSE",),
    "Static Reshape": ("RESHAPE", "EXPAND_DIMS", "SQUEEZE"),
    "Clamp": ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"),
}
"""Those that stand for one operator of the graph each. Any other may be a part of one, or come on top."""


def match_litert(operators: Sequence[Mapping[str, Any]], graph: Graph) -> list[str | None]:
    """The layer of each of the profile's operators."""
    own = [operator["index"] for operator in operators if operator["source"] == "tflite"]
    kinds = [operator["kind"] for operator in operators if operator["source"] == "tflite"]
    if any(place >= len(graph) or graph[place].kind != kind for place, kind in zip(own, kinds, strict=True)):
        return [None] * len(operators)  # the graph is another one
    delegated = set(range(len(graph))) - set(own)
    rows = _rows(operators)
    parts = [sorted(delegated)] if len(rows) == 1 else _parts(graph, delegated)
    layers: list[str | None] = [
        graph[operator["index"]].layer if operator["source"] == "tflite" else None for operator in operators
    ]
    if len(parts) != len(rows):
        return layers
    for row, part in zip(rows, parts, strict=True):
        found = _match_part([operators[place]["kind"] for place in row], [graph[place] for place in part])
        for place, layer in zip(row, found, strict=True):
            layers[place] = layer
    return layers


def _rows(operators: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Places of XNNPACK's operators, by the part of the graph they belong to: it counts from 0 in each."""
    rows: list[list[int]] = []
    for place, operator in enumerate(operators):
        if operator["source"] == "xnnpack":
            if operator["index"] == 0:
                rows.append([])
            rows[-1].append(place)
    return rows


def _parts(graph: Graph, delegated: set[int]) -> list[list[int]]:
    """The parts that TensorFlow Lite makes of a graph for a delegate, in the order they run.

    Its rule (PartitionGraphIntoIndependentNodeSubsets): the first operator whose inputs are there opens a part, and
    everything of its sort, delegated or not, that needs nothing but what is there by then joins it.
    """
    done: set[int] = set()
    parts: list[list[int]] = []
    while len(done) < len(graph):
        part: list[int] = []
        for place, operator in enumerate(graph):
            if place in done or not done.issuperset(operator.reads):
                continue
            if not part or (place in delegated) == (part[0] in delegated):
                part.append(place)
                done.add(place)
        if part[0] in delegated:
            parts.append(part)
    return parts


def _match_part(kinds: Sequence[str], part: Graph) -> list[str | None]:
    """The layers of XNNPACK's operators in one part of the graph."""
    layers: list[str | None] = []
    weighted = [place for place, kind in enumerate(kinds) if _begins(kind, WEIGHTED)]
    of_kind = {one for kinds in WEIGHTED.values() for one in kinds}
    there = [place for place, operator in enumerate(part) if operator.kind in of_kind]
    fits = len(weighted) == len(there) and all(
        part[one].kind in WEIGHTED[_begins(kinds[place], WEIGHTED) or ""]
        for place, one in zip(weighted, there, strict=True)
    )
    if not fits:
        return [common_layer(operator.layer for operator in part)] * len(kinds)
    starts, ends = [-1, *weighted], [*weighted, len(kinds)]
    begins, stops = [-1, *there], [*there, len(part)]
    for start, end, begin, stop in zip(starts, ends, begins, stops, strict=True):
        if start >= 0:
            layers.append(part[begin].layer)
        layers += _match_between(kinds[start + 1 : end], part, begin, stop)
    return layers


def _match_between(kinds: Sequence[str], part: Graph, begin: int, stop: int) -> list[str | None]:
    """The layers of operators between two with weights, which are at `begin` and `stop` (or beyond the ends)."""
    names = [_begins(kind, KINDS) for kind in kinds]
    earliest = _first_places(names, [one.kind for one in part[begin + 1 : stop]])
    latest = _first_places(names[::-1], [one.kind for one in part[begin + 1 : stop]][::-1])
    if earliest is None or latest is None:
        return [_common(part, begin, stop)] * len(kinds)
    first = [begin + 1 + place for place in earliest]
    last = [stop - 1 - place for place in latest[::-1]]
    layers = []
    for place, name in enumerate(names):
        if name is None:  # for an operator from the one that the last before it may be, to the one behind it
            after = next((last[one] for one in range(place + 1, len(names)) if names[one]), stop)
            layers.append(_common(part, first[place], after))
        else:
            possible = part[first[place] : last[place] + 1]
            layers.append(common_layer(one.layer for one in possible if one.kind in KINDS[name]))
    return layers


def _common(part: Graph, begin: int, stop: int) -> str | None:
    """Closed at both ends: what XNNPACK adds may be for the operator ahead or behind."""
    return common_layer(one.layer for one in part[max(begin, 0) : stop + 1])


def _first_places(names: Sequence[str | None], kinds: Sequence[str]) -> list[int] | None:
    """The first place among `kinds` that each can have when all before it have one; an unknown one has that of the
    last known before it, or -1. None where there are not enough places."""
    places: list[int] = []
    place = -1
    for name in names:
        if name is not None:
            found = next((one for one in range(place + 1, len(kinds)) if kinds[one] in KINDS[name]), None)
            if found is None:
                return None
            place = found
        places.append(place)
    return places


def _begins(kind: str, known: Mapping[str, object]) -> str | None:
    """The known kind that a name of XNNPACK's is: "Softmax (NC, F32)", "Mean Squared (ND) Reduce2"."""
    bare = kind.partition(" (")[0]
    return bare if bare in known else None
