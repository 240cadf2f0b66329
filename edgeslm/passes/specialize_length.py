"""One text length instead of a symbolic one."""

from __future__ import annotations

import onnx_ir
from onnx_ir.passes import InPlacePass, PassResult


class SpecializeLength(InPlacePass):
    """Every symbolic dimension of the inputs is `length` tokens; derived shapes are forgotten, to be inferred again."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def call(self, model: onnx_ir.Model) -> PassResult:
        graph = model.graph
        for value in graph.inputs:
            assert value.shape is not None
            value.shape = onnx_ir.Shape([d if isinstance(d, int) else self.length for d in value.shape])
        for node in graph.all_nodes():
            for value in node.outputs:
                if value.shape is not None and not value.shape.is_static():
                    # A shape with one symbol, the length itself, is known; one with an expression of it is inferred.
                    value.shape = None
        return PassResult(model, modified=True)
