"""A graph's matrices as a plan wants them: the precision of each, and the values that are left of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from edgeslm.artifacts import TensorChoice
from edgeslm.ir.graph import Constant, Graph, Node, Storage
from edgeslm.ir.nodes import Embedding, Linear
from edgeslm.quantize.plan import BITS
from edgeslm.quantize.symmetric import round_values


def plan_constants(graph: Graph, choices: Mapping[str, TensorChoice]) -> Graph:
    """The graph whose tables and weights say how they are to be stored; of matrices side by side the finest wins.

    `choices` are a QuantPlan's, by checkpoint parameter. What the plan does not know stays as it is.
    """
    matrices = {node.inputs[place] for node in graph.nodes for place in _matrix(node)}
    return replace(
        graph, constants=tuple(_planned(one, choices) if one.name in matrices else one for one in graph.constants)
    )


def stored_values(constant: Constant, moments: NDArray[Any] | None = None) -> NDArray[Any]:
    """What a kernel computes with: the constant's values, rounded as its storage says.

    `moments` (in, in) of the inputs, where they are known: errors of int4 are fed back then.
    """
    values, storage = constant.read(), constant.storage
    if storage is None or storage.precision == "fp32":
        return values
    return round_values(values, (storage.precision, storage.group), moments)


def _matrix(node: Node) -> tuple[int, ...]:
    """Which of the node's inputs are matrices."""
    return (0,) if isinstance(node.kind, Embedding) else (1,) if isinstance(node.kind, Linear) else ()


def _planned(constant: Constant, choices: Mapping[str, TensorChoice]) -> Constant:
    if not constant.parameters or not all(name in choices for name in constant.parameters):
        return constant
    finest = max((choices[name] for name in constant.parameters), key=lambda choice: BITS[choice.precision])
    group = finest.group if finest.precision == "int4" else None
    return replace(constant, storage=Storage(finest.precision, group))
