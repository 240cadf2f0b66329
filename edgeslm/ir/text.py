"""A graph as text, the same for the same graph: for tests, for people, for error messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from edgeslm.ir.graph import Constant, Graph, Node, Quantization, Tensor
from edgeslm.ir.nodes import Kind


def print_graph(graph: Graph) -> str:
    """A line for each input, state, constant, node and output."""
    return "\n".join(_lines(graph)) + "\n"


def describe_kind(kind: Kind) -> str:
    """`Slice(axis=1, start=0, stop=4)`: what differs from the defaults; of long tuples the ends."""
    given = [
        f"{one.name}={_value(getattr(kind, one.name))}"
        for one in fields(kind)
        if getattr(kind, one.name) != one.default
    ]
    return f"{type(kind).__name__}({', '.join(given)})" if given else type(kind).__name__


def _lines(graph: Graph) -> Iterator[str]:
    yield f"graph {graph.name}"
    for title, tensors in (("input", graph.inputs), ("state", graph.states)):
        for tensor in tensors:
            yield f"  {title} {_tensor(tensor)}"
    for constant in graph.constants:
        yield f"  constant {_constant(constant)}"
    for node in graph.nodes:
        yield f"  {_node(node)}"
    for name in graph.outputs:
        yield f"  output %{name}"


def _node(node: Node) -> str:
    inputs = ", ".join(f"%{name}" for name in node.inputs)
    return f"{_tensor(node.output)} = {describe_kind(node.kind)} {inputs}" + (f"  # {node.layer}" if node.layer else "")


def _constant(constant: Constant) -> str:
    text = _tensor(constant.tensor)
    if constant.storage is not None:
        group = f"-g{constant.storage.group}" if constant.storage.group else ""
        text += f" as {constant.storage.precision}{group}"
    return text + (f" of {' + '.join(constant.parameters)}" if constant.parameters else "")


def _tensor(tensor: Tensor) -> str:
    shape = ", ".join(str(extent) for extent in tensor.shape)
    return f"%{tensor.name} {tensor.dtype}[{shape}]{_quantization(tensor.quantization)}"


def _quantization(quantization: Quantization | None) -> str:
    if quantization is None:
        return ""
    spread = f" by {quantization.block}" if quantization.block else ""
    spread = f" along {quantization.axis}" if quantization.axis is not None else spread
    return f" scale {_value(quantization.scales)} zero {_value(quantization.zero_points or (0,))}{spread}"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        shown = [_value(one) for one in value]
        return f"({', '.join(shown if len(shown) <= 6 else [*shown[:3], '…', *shown[-2:]])})"
    return f"{value:.9g}" if isinstance(value, float) else str(value)
