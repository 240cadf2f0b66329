"""From a runtime's operators to the checkpoint's layers.

A layer named here is never a wrong one: where a runtime's operator could be one of several of the graph's, it gets the
innermost module that all of those lie in, or none.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from edgeslm.errors import BundleError
from edgeslm.formats.operator_layers import GraphOperator, common_layer, parse_layers
from edgeslm.probe.report import LayerPart, OperatorPart
from edgeslm.probe.xnnpack import match_litert

Graph = Sequence[GraphOperator]


def assign_layers(
    operators: Sequence[Mapping[str, Any]],
    layers: bytes | None,
    signature: str | None,
    instructions: Sequence[float] | None = None,
) -> tuple[OperatorPart, ...]:
    """The profile event's operators with their layers, in the same order.

    `layers` is the bundle's layers.json, None where it has none. `instructions`: a count for each operator.
    """
    graph = _find_graph(layers, signature)
    if graph is None:
        named: Sequence[str | None] = [None] * len(operators)
    elif operators and operators[0]["source"] == "openvino":
        named = _match_names([operator["name"] for operator in operators], graph)
    else:
        named = match_litert(operators, graph)
    times = _milliseconds([operator["microseconds"] for operator in operators])
    counts = instructions if instructions is not None else [None] * len(operators)
    return tuple(
        OperatorPart(kind=operator["kind"], layer=layer, ms=ms, instructions=count)
        for operator, layer, ms, count in zip(operators, named, times, counts, strict=True)
    )


def sum_layers(operators: Sequence[OperatorPart]) -> tuple[LayerPart, ...]:
    """The largest first; operators without a layer by their kind. Shares are of the time, else of the instructions."""
    groups: dict[str, list[OperatorPart]] = {}
    for operator in operators:
        groups.setdefault(operator.layer or operator.kind, []).append(operator)
    times = {name: _sum([one.ms for one in group]) for name, group in groups.items()}
    counts = {name: _sum([one.instructions for one in group]) for name, group in groups.items()}
    weights = times if any(times.values()) else counts
    whole = sum(weight or 0.0 for weight in weights.values())
    shares = {name: (weights[name] or 0.0) / whole if whole else 0.0 for name in groups}
    return tuple(
        LayerPart(
            layer=name, operators=len(groups[name]), ms=times[name], instructions=counts[name], share=shares[name]
        )
        for name in sorted(groups, key=lambda name: (-shares[name], name))
    )


def _find_graph(layers: bytes | None, signature: str | None) -> Graph | None:
    if layers is None:
        return None
    try:
        graphs = parse_layers(layers, "layers.json").graphs
    except BundleError:  # of a newer edgeslm: a profile without layers is better than none
        return None
    if signature in graphs:
        return graphs[signature]
    return next(iter(graphs.values())) if len(graphs) == 1 else None


def _match_names(names: Sequence[str | None], graph: Graph) -> list[str | None]:
    """OpenVINO's nodes bear the name of an operation, mostly: of the last of those it does at once. One that it made
    itself is in the module that the nearest named ones before and after it are both in."""
    layer_of = {operator.name: operator.layer for operator in graph}
    known = [place for place, name in enumerate(names) if name in layer_of]
    found: list[str | None] = []
    for place, name in enumerate(names):
        if name in layer_of:
            found.append(layer_of[name])
            continue
        before = max((one for one in known if one < place), default=None)
        after = min((one for one in known if one > place), default=None)
        found.append(common_layer(layer_of[names[one] or ""] if one is not None else None for one in (before, after)))
    return found


def _milliseconds(runs: Sequence[Sequence[float]]) -> list[float | None]:
    """Each operator's mean over the faster half of the runs: clocks count whole microseconds, so a median of a few
    runs would make short operators all zero or all one, and a run that something disturbed must not count."""
    totals = [sum(run) for run in zip(*runs, strict=True)]
    if not totals:
        return [None] * len(runs)
    undisturbed = [place for place, total in enumerate(totals) if total <= statistics.median(totals)]
    return [statistics.fmean(run[place] for place in undisturbed) / 1000 for run in runs]


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
