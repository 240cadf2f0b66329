"""ONNX -> Graph, one node after the other: nothing is fused here, and nothing of a weight is read.

What is taken is what exporters write for transformers; every shape must be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeslm.ir.graph import Graph, reject_broken
from edgeslm.ir.onnx_operators import OPERATORS
from edgeslm.ir.onnx_reader import OnnxReader

if TYPE_CHECKING:
    import onnx_ir


def import_onnx(model: onnx_ir.Graph, backend: str, parameter_of: Mapping[str, str] | None = None) -> Graph:
    """The graph in plain kinds.

    `parameter_of` says which checkpoint parameter an initializer holds; where it is None, initializers are called after
    them, joined by "+" (export/decoder_graph.py).

    Raises UnsupportedOpError for an operator, or a form of it, that has no kind, and for a shape that is not known; in
    the name of `backend`.
    """
    reader = OnnxReader(model, backend, parameter_of)
    inputs = tuple(reader.tensor(value, None) for value in model.inputs if value.name not in model.initializers)
    for node in model:
        if any(value.uses() or value.is_graph_output() for value in node.outputs):
            operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
            if operator is None:
                reader.refuse(node, "the graph for compilers has no such operator")
            operator(reader, node)
    outputs = tuple(reader.value(value) for value in model.outputs)
    graph = Graph(model.name or "", inputs, (), tuple(reader.constants.values()), tuple(reader.nodes), outputs)
    reject_broken(graph)
    return graph
