"""Products with a constant matrix are linear layers, whose weight is [out, in]; what is added to them is their bias."""

from __future__ import annotations

from dataclasses import replace

from edgeslm.ir.graph import Constant, Graph, Node, Tensor
from edgeslm.ir.match import made_by, pairs
from edgeslm.ir.nodes import Linear, MatMul, Transpose
from edgeslm.ir.passes.fold_constants import computed
from edgeslm.ir.rewrite import Change, rewrite


def fuse_linear(graph: Graph) -> Graph:
    return rewrite(_Weights().apply(graph), _with_bias)


class _Weights:
    """Weights are transposed once each, and are then called after the parameter they hold, if the name is free.

    A table that is also a head, stored both ways, becomes one constant again.
    """

    def __init__(self) -> None:
        self.made: dict[str, Constant] = {}

    def apply(self, graph: Graph) -> Graph:
        return rewrite(graph, self._linear)

    def _linear(self, node: Node, graph: Graph) -> Change | None:
        if not isinstance(node.kind, MatMul):
            return None
        weight = graph.constant(node.inputs[1])
        if weight is None or len(weight.tensor.shape) != 2:
            return None
        tied = self._tied(weight, graph)
        made: list[Node | Constant] = []
        if tied is None:
            tied = self.made.get(weight.name)
        if tied is None:
            tied = self.made[weight.name] = _transposed(weight)
            made.append(tied)
        return [*made, replace(node, kind=Linear(), inputs=(node.inputs[0], tied.name))]

    def _tied(self, weight: Constant, graph: Graph) -> Constant | None:
        """The constant that holds the same parameter as [out, in] already."""
        if len(weight.parameters) != 1:
            return None
        rows, columns = weight.tensor.shape
        for one in graph.constants:
            if one.parameters == weight.parameters and one.name != weight.name and one.tensor.shape == (columns, rows):
                return one
        return None


def _transposed(weight: Constant) -> Constant:
    rows, columns = weight.tensor.shape
    output = Tensor(f"{weight.name} [out, in]", (columns, rows), weight.tensor.dtype)
    return computed(Node(Transpose((1, 0)), (weight.name,), output), [weight])


def _with_bias(node: Node, graph: Graph) -> Change | None:
    for x, bias in pairs(node, "add"):
        linear = made_by(graph, x, Linear)
        constant = graph.constant(bias)
        if linear is None or constant is None or len(linear.inputs) > 2 or len(graph.readers(x)) > 1:
            continue
        if constant.tensor.shape == graph.tensor(linear.inputs[1]).shape[:1]:
            return [replace(node, kind=linear.kind, inputs=(*linear.inputs, bias), layer=linear.layer or node.layer)]
    return None
