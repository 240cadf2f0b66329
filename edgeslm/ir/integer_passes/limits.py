"""Limits (RELU and its kin) become a part of what makes the numbers: a kernel clips its results in any case."""

from __future__ import annotations

from dataclasses import replace

from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.nodes import Binary, Clamp, Kind, Limited, Linear, MatMul, Reduce
from edgeslm.ir.requantize import limits
from edgeslm.ir.rewrite import Change, until_settled

CLIPPING = (Linear, MatMul, Binary, Reduce)
"""Kinds whose results are clipped to int8 at the end."""


def fuse_limits(graph: Graph) -> Graph:
    return until_settled(graph, _fused)


def without_limits(kind: Kind) -> tuple[Kind, int, int]:
    """What is limited, and its limits."""
    return (kind.inner, kind.low, kind.high) if isinstance(kind, Limited) else (kind, -128, 127)


def _fused(node: Node, graph: Graph) -> Change | None:
    made = graph.producer(node.inputs[0]) if isinstance(node.kind, Clamp) else None
    if made is None or len(graph.readers(made.name)) > 1 or made.name in graph.outputs:
        return None
    inner, *ends = without_limits(made.kind)
    if not isinstance(inner, CLIPPING) or made.output.quantization != node.output.quantization:
        return None
    assert isinstance(node.kind, Clamp)
    low, high = limits(node.output, node.kind.low, node.kind.high)
    first, last = (min(max(end, low), high) for end in ends)
    return [replace(made, kind=Limited(inner, first, last), output=node.output)]
