"""Several nodes that LiteRT has one operator for, found from the last of them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeslm.backends.tflite.lower.graph import LoweringGraph

if TYPE_CHECKING:
    import onnx_ir


@dataclass(frozen=True)
class Fusion:
    """In place of its last node: what it is lowered by, and all that it reads. What only made its inner values is
    never lowered."""

    lower: Callable[[onnx_ir.Node, LoweringGraph], None]
    inputs: tuple[onnx_ir.Value, ...]


Finder = Callable[["onnx_ir.Node"], Fusion | None]


def only_reader_of(value: onnx_ir.Value | None, kind: str) -> onnx_ir.Node | None:
    """The node of that kind that makes the value, where nothing else reads it; else None."""
    if value is None or value.is_graph_output():
        return None
    readers = [use.node for use in value.uses() if any(made.const_value is None for made in use.node.outputs)]
    if len(readers) != 1:
        return None
    node = value.producer()
    return node if node is not None and node.op_type == kind else None


def is_number(value: onnx_ir.Value | None, number: float, tolerance: float = 1e-4) -> bool:
    """Whether the value is this one number, constant."""
    if value is None or value.const_value is None or value.const_value.size != 1:
        return False
    return abs(float(value.const_value.numpy().reshape(-1)[0]) - number) <= tolerance * abs(number)


def needed_nodes(
    nodes: Sequence[onnx_ir.Node], outputs: Sequence[onnx_ir.Value], finders: Sequence[Finder]
) -> tuple[list[onnx_ir.Node], dict[onnx_ir.Node, Fusion]]:
    """The nodes to lower, in their order, and those among them that end a fusion."""
    wanted = set(outputs)
    kept: list[onnx_ir.Node] = []
    fusions: dict[onnx_ir.Node, Fusion] = {}
    for node in reversed(nodes):
        made = [value for value in node.outputs if value.const_value is None]
        if not wanted.intersection(made):
            continue
        kept.append(node)
        fusion = next((found for finder in finders if (found := finder(node)) is not None), None)
        if fusion is not None:
            fusions[node] = fusion
        wanted.update(fusion.inputs if fusion is not None else (value for value in node.inputs if value is not None))
    return kept[::-1], fusions
