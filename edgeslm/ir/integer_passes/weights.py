"""A product with a constant matrix is a linear layer, whose weight is [out, in] and is packed for the kernel that reads
it. Converters write dense layers both ways; the factors are the same."""

from __future__ import annotations

from dataclasses import replace

from edgeslm.ir.graph import Constant, Graph, Node, Tensor
from edgeslm.ir.integer_passes.fold_constants import computed
from edgeslm.ir.nodes import Linear, MatMul, Reshape, Transpose
from edgeslm.ir.requantize import zero_of
from edgeslm.ir.rewrite import Change, rewrite


def multiply_by_weights(graph: Graph) -> Graph:
    """A weight with a zero point stays a factor."""
    made: dict[str, Constant] = {}

    def rule(node: Node, before: Graph) -> Change | None:
        weight = before.constant(node.inputs[1]) if isinstance(node.kind, MatMul) else None
        if weight is None or zero_of(weight.tensor):
            return None
        *lead, terms, columns = weight.tensor.shape
        x = before.tensor(node.inputs[0])
        if any(extent != 1 for extent in lead) or len(lead) > len(x.shape) - 2:
            return None
        new = [] if weight.name in made else [made.setdefault(weight.name, _turned(weight, terms, columns))]
        return [*new, replace(node, kind=Linear(), inputs=(x.name, made[weight.name].name))]

    return rewrite(graph, rule)


def _turned(weight: Constant, terms: int, columns: int) -> Constant:
    given = weight.tensor
    flat = Tensor(f"{given.name} [in, out]", (terms, columns), given.dtype, given.quantization)
    turned = Tensor(f"{given.name} [out, in]", (columns, terms), given.dtype, given.quantization)
    inner = computed(Node(Reshape(), (given.name,), flat), [weight])
    return computed(Node(Transpose((1, 0)), (flat.name,), turned), [inner])
