"""The symbolic length is called `tokens`: the exporter numbers its symbols, not always the same way."""

from __future__ import annotations

import onnx_ir
from onnx_ir.passes import InPlacePass, PassResult

LENGTH = "tokens"


class NameLength(InPlacePass):
    """Rename the one symbol of the inputs everywhere; shapes with an expression of it are forgotten."""

    def call(self, model: onnx_ir.Model) -> PassResult:
        graph = model.graph
        symbols = {str(d) for value in graph.inputs for d in value.shape or () if not isinstance(d, int)}
        values = [*graph.inputs, *(value for node in graph.all_nodes() for value in node.outputs)]
        for value in values:
            if value.shape is None or value.shape.is_static():
                continue
            if all(isinstance(d, int) or str(d) in symbols for d in value.shape):
                value.shape = onnx_ir.Shape([d if isinstance(d, int) else LENGTH for d in value.shape])
            elif not value.is_graph_output():
                value.shape = None
        return PassResult(model, modified=bool(symbols))
