"""A text encoder's graph as what is done for one token, and in which order for all of them.

Most of an encoder looks at one token at a time. What does not is attention, which wants keys and values of all tokens
first, and pooling. So a layer is two loops over the tokens there are: keys and values; then everything else. No token
is ever padded, and RAM holds a row for each token of three things alone: what goes from layer to layer, keys, values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from edgeslm.errors import UnsupportedOpError
from edgeslm.ir import nodes
from edgeslm.ir.graph import Constant, Graph, Node, Tensor, reject_broken
from edgeslm.ir.rewrite import drop_unread

POSITION = "position"
"""The input that says which token of the text this is."""
AGAIN = "/again"
"""What keys want as well as queries is computed in both loops."""
HINT = "a model of another family, or a target that runs Linux"
BY_TOKEN = (
    *(nodes.Embedding, nodes.Linear, nodes.RmsNorm, nodes.LayerNorm, nodes.UnitNorm, nodes.Gated, nodes.SoftCap),
    *(nodes.Scale, nodes.Unary, nodes.Binary, nodes.Cast),
)
"""Kinds that look at one token at a time."""


@dataclass(frozen=True)
class Step:
    """A node, and where it is done: in `part` (0 before all layers, 1 … the layers, one more after them), in which loop
    over tokens (0: once for the text)."""

    node: Node
    part: int
    loop: int


@dataclass(frozen=True)
class TokenGraph:
    """`graph` is of one token: what was (1, T, n) is (1, n) for the values named in `rows`; the others are the text's.

    Its nodes are in the order of `steps`. `tables` are constants with a row for each position of a text.
    """

    graph: Graph
    rows: frozenset[str]
    steps: tuple[Step, ...]
    tables: frozenset[str]
    layers: int
    tokens: int  # that the longest text has

    @property
    def by_token(self) -> bool:
        """Whether each token has an output, or the text."""
        return self.graph.outputs[0] in self.rows

    @property
    def vocabulary(self) -> int:
        """Tokens that there are rows for."""
        ids = self.graph.inputs[0].name
        tables = [node.inputs[0] for node in self.graph.readers(ids) if isinstance(node.kind, nodes.Embedding)]
        return min(self.graph.tensor(name).shape[0] for name in tables)

    def kept(self, name: str) -> bool:
        """Whether the value of every token is there until another loop reads it; keys and values are stored apart."""
        if name not in self.rows:
            return False
        places = {(step.part, step.loop) for step in self.steps if step.node.name == name or name in _read(step.node)}
        return len(places) > 1


def token_graph(graph: Graph, is_numbered: Callable[[Node], bool]) -> TokenGraph:
    """`graph` is a fused text encoder's of one length, with fixed token types; `is_numbered` tells nodes of layers.

    Raises UnsupportedOpError, with node and layer, for what looks at several tokens at once and has no kernel.
    """
    cut = _Cut(graph)
    for node in graph.nodes:
        cut.take(node)
    rows = frozenset(cut.rows)
    made = replace(
        graph,
        inputs=(Tensor(cut.ids, (1,), "int32"), Tensor(POSITION, (1,), "int32")),
        constants=(*graph.constants, *cut.tables.values()),
        nodes=tuple(cut.nodes),
    )
    if len(graph.outputs) != 1:
        raise UnsupportedOpError("output", graph.name, None, "cortexm", "an encoder has one output", HINT)
    made = drop_unread(made)
    steps, layers = _arranged(made, rows, is_numbered)
    made = replace(made, nodes=tuple(step.node for step in steps))
    reject_broken(made)
    again = {step.node.name for step in steps if step.node.name.endswith(AGAIN)}
    tables = frozenset(cut.tables)
    return TokenGraph(made, rows | again, tuple(steps), tables, layers, cut.tokens)


def _read(node: Node) -> tuple[str, ...]:
    return node.inputs[:1] if isinstance(node.kind, nodes.Attention) else node.inputs


def refused(node: Node, detail: str) -> UnsupportedOpError:
    return UnsupportedOpError(
        type(node.kind).__name__, node.origin or node.name, node.layer or None, "cortexm", detail, HINT
    )


# ---- One token -------------------------------------------------------------------------------------------------------


class _Cut:
    """Takes the nodes in order, and leaves the axis of tokens out of those that look at one at a time."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ids, *self.masks = [tensor.name for tensor in graph.inputs]
        self.tokens = graph.tensor(self.ids).shape[1]
        self.rows = {self.ids, POSITION}
        self.nodes: list[Node] = []
        self.tables: dict[str, Constant] = {}

    def take(self, node: Node) -> None:
        kind = node.kind
        of_tokens = [name for name in node.inputs if name in self.rows]
        if isinstance(kind, nodes.Attention):
            self._row(node, inputs=self._of_tokens(node, 3))
        elif isinstance(kind, nodes.Pool):
            self.nodes.append(replace(node, inputs=self._of_tokens(node, 1)))
        elif not of_tokens:
            if any(name in self.masks for name in node.inputs):
                raise refused(node, "no kernel computes with a mask of tokens")
            self.nodes.append(node)
        elif isinstance(kind, nodes.Slice) and kind.axis == 1:
            if (kind.start, kind.stop) != (0, 1):
                raise refused(node, "no kernel moves tokens")
            self.nodes.append(node)
        elif isinstance(kind, nodes.Slice):
            self._row(node, kind=replace(kind, axis=kind.axis - 1))
        elif isinstance(kind, BY_TOKEN) or (isinstance(kind, nodes.Reshape) and node.output.shape[1] == self.tokens):
            self._row(node, inputs=tuple(self._operand(node, name) for name in node.inputs))
        else:
            raise refused(node, "no kernel does it with the tokens of a text")

    def _of_tokens(self, node: Node, count: int) -> tuple[str, ...]:
        """The node's operands without its mask: no token of a text is masked."""
        given = node.inputs[:count]
        if any(name not in self.rows for name in given) or any(name not in self.masks for name in node.inputs[count:]):
            raise refused(node, "what it looks at is no text")
        return given

    def _operand(self, node: Node, name: str) -> str:
        """A constant that has a row for each token is a table of positions."""
        constant = self.graph.constant(name)
        if (
            constant is None
            or not isinstance(node.kind, nodes.Binary)
            or constant.tensor.shape[:-1] != (1, self.tokens)
        ):
            return name
        columns = constant.tensor.shape[-1]

        def read() -> NDArray[Any]:
            return constant.read().reshape(self.tokens, columns)

        self.tables[f"{name}/table"] = Constant(
            Tensor(f"{name}/table", (self.tokens, columns)), constant.parameters, constant.storage, read=read
        )
        row = Tensor(f"{name}/row", (1, columns))
        self.nodes.append(replace(node, kind=nodes.Embedding(), inputs=(f"{name}/table", POSITION), output=row))
        self.rows.add(row.name)
        return row.name

    def _row(self, node: Node, **changes: Any) -> None:
        shape = (node.output.shape[0], *node.output.shape[2:])
        self.nodes.append(replace(node, output=replace(node.output, shape=shape), **changes))
        self.rows.add(node.name)


# ---- The order for all tokens ----------------------------------------------------------------------------------------


def _arranged(graph: Graph, rows: frozenset[str], is_numbered: Callable[[Node], bool]) -> tuple[list[Step], int]:
    """Steps in order, and how many layers there are."""
    place = {node.name: number for number, node in enumerate(graph.nodes)}
    attentions = [node for node in graph.nodes if isinstance(node.kind, nodes.Attention)]
    before = [_only_for(graph, node, place, rows) for node in attentions]
    tail = _tail(graph, rows, is_numbered)
    last, by_token = len(attentions) + 1, graph.outputs[0] in rows
    parts: list[list[Node]] = [[] for _ in range(last + 1)]
    for node in graph.nodes:
        owner = next((number for number, names in enumerate(before) if node.name in names), None)
        if owner is None:
            passed = sum(place[one.name] <= place[node.name] for one in attentions)
            parts[last if place[node.name] >= tail else passed].append(node)
    steps = [Step(node, 0, 1) for node in parts[0]]
    for number, attention in enumerate(attentions):
        names, part = before[number], number + 1
        mine = [node for node in graph.nodes if node.name in names]
        for_keys = _behind(graph, attention.inputs[1:], names)
        for_query = _behind(graph, attention.inputs[:1], names)
        steps += [Step(node, part, 1) for node in mine if node.name in for_keys]
        renamed = {name: name + AGAIN for name in for_keys & for_query}
        second = [node for node in mine if node.name in for_query] + parts[part]
        steps += [Step(_renamed(node, renamed, attention), part, 2) for node in second]
    for node in parts[last]:
        steps.append(Step(node, last, 1 if by_token or node.name in rows else 0))
    return steps, len(attentions)


def _only_for(graph: Graph, attention: Node, place: dict[str, int], rows: frozenset[str]) -> set[str]:
    """What is computed for this attention alone."""
    names: set[str] = set()
    for node in reversed(graph.nodes[: place[attention.name]]):
        readers = graph.readers(node.name)
        if readers and all(one is attention or one.name in names for one in readers) and node.name in rows:
            names.add(node.name)
    return names


def _tail(graph: Graph, rows: frozenset[str], is_numbered: Callable[[Node], bool]) -> int:
    """Where the last layer is over: behind its last node; what is the text's comes later in any case."""
    numbered = [place for place, node in enumerate(graph.nodes) if node.name in rows and is_numbered(node)]
    once = (place for place, node in enumerate(graph.nodes) if node.name not in rows)
    return numbered[-1] + 1 if numbered else next(once, len(graph.nodes))


def _behind(graph: Graph, names: tuple[str, ...], within: set[str]) -> set[str]:
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.name in within and (node.name in names or any(one.name in found for one in graph.readers(node.name))):
            found.add(node.name)
    return found


def _renamed(node: Node, renamed: dict[str, str], attention: Node) -> Node:
    """In the second loop; the keys and values of its attention stay those of the first one."""
    if node.name == attention.name:
        query = node.inputs[0]
        return replace(node, inputs=(renamed.get(query, query), *node.inputs[1:]))
    inputs = tuple(renamed.get(name, name) for name in node.inputs)
    name = renamed.get(node.name, node.name)
    return replace(node, inputs=inputs, output=replace(node.output, name=name))
