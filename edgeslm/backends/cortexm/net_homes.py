"""Where values are made at once, so that moving them costs nothing: a part of a Concat in its place of it, what a
Transpose turns already turned.

From the end to the beginning: what a value has to look like for its one reader is asked of the kernel that makes it.
"""

from __future__ import annotations

from edgeslm.backends.cortexm.net_view import View, dense
from edgeslm.ir import nodes
from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.integer_passes.limits import without_limits


def find_homes(graph: Graph) -> dict[str, View]:
    """The views of values that have another place than a buffer of their own."""
    homes: dict[str, View] = {}
    for node in reversed(graph.nodes):
        own = homes.get(node.name)
        match node.kind:
            case nodes.Concat():
                own = homes.setdefault(node.name, dense(node.name, node.output.shape))
                for name, part in zip(node.inputs, parts_of(graph, node, own), strict=True):
                    _move_in(graph, homes, node, name, part)
            case nodes.Reshape() if own is not None:
                _move_in(graph, homes, node, node.inputs[0], operand_home(graph, node, own))
            case nodes.Transpose():
                own = own or dense(node.name, node.output.shape)
                if _move_in(graph, homes, node, node.inputs[0], operand_home(graph, node, own)):
                    homes[node.name] = own
    return homes


def parts_of(graph: Graph, node: Node, whole: View) -> list[View]:
    """Of a Concat, the part that each operand is."""
    assert isinstance(node.kind, nodes.Concat)
    axis, start, parts = node.kind.axis, 0, []
    for name in node.inputs:
        extent = graph.tensor(name).shape[axis]
        parts.append(whole.sliced(axis, start, start + extent))
        start += extent
    return parts


def turned_back(order: tuple[int, ...]) -> tuple[int, ...]:
    """The order that undoes an order."""
    return tuple(order.index(axis) for axis in range(len(order)))


def operand_home(graph: Graph, node: Node, home: View) -> View | None:
    """Where the operand of a Reshape or Transpose would be, if the result is at `home`."""
    if isinstance(node.kind, nodes.Transpose):
        return home.transposed(turned_back(node.kind.order))
    return home.reshaped(graph.tensor(node.inputs[0]).shape)


def _move_in(graph: Graph, homes: dict[str, View], reader: Node, name: str, home: View | None) -> bool:
    if home is None or not _can_write(graph, reader, name, home):
        return False
    homes[name] = home
    return True


def _can_write(graph: Graph, reader: Node, name: str, home: View) -> bool:
    """Whether the value can be made there: nobody else reads it, and its kernel writes with such strides."""
    node = graph.producer(name)
    if node is None or name in graph.outputs or graph.readers(name) != (reader,) or reader.inputs.count(name) > 1:
        return False
    kind = without_limits(node.kind)[0]
    if isinstance(kind, nodes.Transpose | nodes.Reshape):
        inner = operand_home(graph, node, home)
        return inner is not None and _can_write(graph, node, node.inputs[0], inner)
    if isinstance(kind, nodes.Concat):
        return True
    if isinstance(kind, nodes.Slice):
        return False
    if isinstance(kind, nodes.MatMul):
        return home.strides[-1] == 1 or home.shape[-1] == 1
    return home.is_dense
