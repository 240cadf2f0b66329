"""The nouns of the graph that a compiler sees: every shape is known, every value is made once, before it is read.

A graph is a step: from its inputs and states to its outputs. Values are called by name. Constants know which checkpoint
parameters they hold and read them when they are asked, one at a time; states (a KV cache) live from step to step.
Everything is frozen: a pass makes another graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

from numpy.typing import NDArray

from edgeslm.artifacts import Precision
from edgeslm.errors import InternalError
from edgeslm.ir.nodes import Kind

Dtype = Literal["float32", "float16", "int32", "int16", "int8", "bool"]


@dataclass(frozen=True)
class Quantization:
    """Which reals the integers of a tensor stand for: real = scale · (integer - zero point).

    Per tensor: one scale and no axis. Per channel: a scale for each index along `axis`. Blockwise: a scale for each run
    of `block` numbers along the last axis, in the tensor's order. `zero_points` are as many as `scales`, or none.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...] = ()
    axis: int | None = None
    block: int | None = None


@dataclass(frozen=True)
class Storage:
    """How a constant of floats is to be kept: the plan's wish, carried out when it is packed.

    Integers are symmetric, with a scale for each row of [out, in], or for each `group` numbers of a row.
    """

    precision: Precision
    group: int | None = None


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: Dtype = "float32"
    quantization: Quantization | None = None  # of integers alone, and known: for graphs with static ranges

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Constant:
    """A tensor whose values are known. `parameters` are those of the checkpoint that it holds rows of, in order, or
    none. `read` gives the values at every call anew; whoever wants to keep them does."""

    tensor: Tensor
    parameters: tuple[str, ...] = ()
    storage: Storage | None = None
    read: Callable[[], NDArray[Any]] = field(kw_only=True, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.tensor.name


@dataclass(frozen=True)
class Node:
    """What a value is made by. `kind` says what it does, and in which order `inputs` come."""

    kind: Kind
    inputs: tuple[str, ...]  # names of values; those that may be left out come last
    output: Tensor
    layer: str = ""  # the checkpoint's module it comes from ("model.layers.3.mlp.down_proj"), several joined by "+"
    origin: str = ""  # the node of the imported file, for errors; of fused ones the last

    @property
    def name(self) -> str:
        return self.output.name


@dataclass(frozen=True)
class Graph:
    """`nodes` are in an order in which they can run. Inputs, states, constants and nodes share one space of names."""

    name: str
    inputs: tuple[Tensor, ...]
    states: tuple[Tensor, ...]
    constants: tuple[Constant, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name]

    def constant(self, name: str) -> Constant | None:
        return self._constants.get(name)

    def producer(self, name: str) -> Node | None:
        """The node that makes the value; None for inputs, states and constants."""
        return self._producers.get(name)

    def readers(self, name: str) -> tuple[Node, ...]:
        return self._readers.get(name, ())

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        return {one.name: one for one in self._all_tensors()}

    @cached_property
    def _constants(self) -> dict[str, Constant]:
        return {one.name: one for one in self.constants}

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _readers(self) -> dict[str, tuple[Node, ...]]:
        found: dict[str, tuple[Node, ...]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name] = (*found.get(name, ()), node)
        return found

    def _all_tensors(self) -> Iterator[Tensor]:
        yield from self.inputs
        yield from self.states
        yield from (one.tensor for one in self.constants)
        yield from (node.output for node in self.nodes)


def reject_broken(graph: Graph) -> None:
    """Raises InternalError where a name is given twice, or a value is read that nothing has made before."""
    known: set[str] = set()

    def enter(name: str) -> None:
        if name in known:
            raise InternalError(f"graph {graph.name}: two values are called {name!r}")
        known.add(name)

    for tensor in (*graph.inputs, *graph.states, *(one.tensor for one in graph.constants)):
        enter(tensor.name)
    for node in graph.nodes:
        missing = [name for name in (*node.inputs, *node.kind.states) if name not in known]
        if missing:
            raise InternalError(f"graph {graph.name}: {node.name} reads {missing[0]!r}, which is not made before it")
        enter(node.name)
    left = [name for name in graph.outputs if name not in known]
    if left:
        raise InternalError(f"graph {graph.name}: output {left[0]!r} is made by nothing")
