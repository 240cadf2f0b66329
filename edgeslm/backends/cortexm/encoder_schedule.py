"""A text encoder as calls of kernels in order: two loops over the tokens for each layer, then one row for the text, or
one for each token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgeslm.backends.cortexm import schedule
from edgeslm.backends.cortexm.buffers import Buffers, Region
from edgeslm.backends.cortexm.program import AttentionShape, Program, Use, Weight
from edgeslm.backends.cortexm.token_graph import POSITION, TokenGraph, refused, token_graph
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.backends.cortexm.writer import Matrix, PartWriter
from edgeslm.errors import InternalError
from edgeslm.ir import nodes
from edgeslm.ir.graph import Graph, Node

if TYPE_CHECKING:
    from edgeslm.backends import MomentsOf

OUT = "out"
"""The activation that a caller has a place of its own for: outputs of the text, or of a token."""
COUNT, TOKEN = "state->count", "state->ids[t]"
POOLINGS: dict[nodes.Pooling, str] = {
    "mean": "EDGESLM_POOL_MEAN",
    "weightedmean": "EDGESLM_POOL_WEIGHTED",
    "mean_sqrt_len_tokens": "EDGESLM_POOL_SQRT",
    "max": "EDGESLM_POOL_MAX",
    "lasttoken": "EDGESLM_POOL_LAST",
}
IN_PLACE = (nodes.LayerNorm, nodes.RmsNorm, nodes.UnitNorm, nodes.Unary, nodes.Scale, nodes.SoftCap, nodes.Reshape)
"""Kinds whose result takes its operand's place where nobody else reads that."""
EMBEDDING, OUTPUT = "Embedding", "Output"


@dataclass(frozen=True)
class EncoderProgram:
    """`outputs`: reals of the text, or of each token where `by_token`."""

    program: Program
    tokens: int
    layers: int
    width: int
    outputs: int
    by_token: bool


def per_token(graph: Graph) -> TokenGraph:
    """The fused graph of one length as what is done for a token. Raises UnsupportedOpError."""
    return token_graph(graph, lambda node: schedule.layer_of(node) is not None)


def write_encoder_program(tokens: TokenGraph, variant: Variant, moments: MomentsOf) -> EncoderProgram:
    """See schedule.write_program. Raises UnsupportedOpError, with node and layer, for what no kernel computes."""
    return _EncoderWriter(tokens.graph, variant, moments, text=tokens).write_encoder()


@dataclass
class _EncoderWriter(schedule.GraphWriter):
    text: TokenGraph = field(kw_only=True)
    widths: dict[str, int] = field(default_factory=dict)  # of a row, of buffers that have one for each token
    arrays: dict[tuple[str, str | None], tuple[PartWriter, str, Matrix, Weight]] = field(default_factory=dict)
    vectors: dict[tuple[int, str], Weight] = field(default_factory=dict)
    stores: dict[int, tuple[Use, Use]] = field(default_factory=dict)  # of a part's keys, and of its values
    stored: set[tuple[int, str]] = field(default_factory=set)  # in which part, which key or value

    def write_encoder(self) -> EncoderProgram:
        graph, text = self.graph, self.text
        self.buffers = Buffers(graph)
        first = PartWriter(self.variant, shared=True)
        layers = [PartWriter(self.variant, f"layer_{number}_", first) for number in range(text.layers)]
        last = PartWriter(self.variant, "", first, shared=True)
        self.parts = [first, *layers, last]
        loop = (-1, 0)
        for step in text.steps:
            if (step.part, step.loop) != loop:
                self._enter(loop, (step.part, step.loop))
                loop = step.part, step.loop
            if step.node.name not in self.added and not self.buffers.is_view(step.node):
                RULES.get(type(step.node.kind), schedule.reject)(self, step.node)
            for reader in graph.readers(step.node.name):
                if isinstance(reader.kind, nodes.Attention) and step.node.name in reader.inputs[1:]:
                    _store(self, step.node, reader)
        self._require_output(last)
        shared = schedule.shared_activations(self.parts)
        shared |= {name: one for name, one in last.activations.items() if name == OUT}
        runs, structs = schedule.loops(layers, shared)
        program = Program(
            parts=(
                schedule.part_of(EMBEDDING, first, shared),
                *runs,
                schedule.part_of(OUTPUT, last, shared),
            ),
            activations=tuple(shared.values()),
            arrays=tuple(array for part in self.parts for array in part.arrays),
            fields=(*first.fields, *last.fields),
            values=(*first.values, *last.values),
            structs=structs,
            attention=self._attention_shape(),
        )
        width = max(self.widths.values(), default=0)
        outputs = self.count(graph.outputs[0])
        return EncoderProgram(program, text.tokens, text.layers, width, outputs, text.by_token)

    def _enter(self, before: tuple[int, int], now: tuple[int, int]) -> None:
        """A part, and a loop of it."""
        self.part = self.parts[now[0]]
        self.part.begin_loop(now[1])

    @property
    def in_output(self) -> bool:
        """Whether what is written is asked for token by token, perhaps more than once."""
        return self.text.by_token and self.part is self.parts[-1]

    # ---- Values ----

    def use(self, name: str) -> Use:
        """See GraphWriter; a row of it, where there is one for each token."""
        use = super().use(name)
        return Use(use.name, use.offset, row=self.widths.get(use.name, 0))

    def make(self, node: Node, role: str) -> Use:
        """A new buffer: with a row for each token, where another loop reads it."""
        count = self.count(node.name)
        if _ends_as(self.graph, node.name, lambda name: name in self.graph.outputs):
            use = self.part.real(OUT, count)
        elif _ends_as(self.graph, node.name, self.text.kept):
            use = self.part.real(role, self.text.tokens, count)
            self.widths[use.name] = count
        else:
            use = self.part.real(role, *node.output.shape[1:] or (1,))
        self.owner[use.name] = self.part
        self.buffers.enter(node.name, Region(use.name, 0, count))
        return self.use(node.name)

    def replace(self, node: Node, operand: str) -> Use:
        """See GraphWriter. What every token keeps is not changed by asking for an output."""
        if self.in_output and self.buffers[operand].buffer in self.widths:
            raise refused(node, "it changes what other outputs are computed from")
        return super().replace(node, operand)

    def replace_or_make(self, node: Node, operand: str, role: str) -> Use:
        if self.in_output and self.buffers[operand].buffer in self.widths:
            return self.make(node, role)
        return super().replace_or_make(node, operand, role)

    def _require_output(self, last: PartWriter) -> None:
        for kept in filter(self.text.kept, self.text.rows):
            if kept in self.buffers and self.buffers[kept].buffer not in {*self.widths, OUT}:
                node = self.graph.producer(kept)
                assert node is not None
                raise refused(node, "it is read in another layer than it is made in")
        name = self.graph.outputs[0]
        if name not in self.buffers or self.buffers[name].buffer != OUT:
            node = self.graph.producer(name)
            assert node is not None
            raise refused(node, "its result has no place of its own")
        if self.in_output and any(
            isinstance(call.arguments[0], Use) and call.arguments[0].row for call in last.calls if call.arguments
        ):
            raise InternalError(f"graph {self.graph.name}: an output changes what others are computed from")

    # ---- Weights ----

    def matrix(self, node: Node, name: str, bias: str | None = None) -> tuple[Matrix, Weight]:
        """See GraphWriter. A table that is the output's matrix too is kept with the biases of that one; what several
        layers have in common is kept once."""
        bias = bias or self._bias_of_table(name)
        known = self.arrays.get((name, bias))
        if known is None:
            matrix, weight = super().matrix(node, name, bias)
            (place,) = [at for at, one in enumerate(self.part.fields) if one.name == weight.name]
            self.arrays[name, bias] = self.part, self.part.values[place], matrix, weight
            return matrix, weight
        part, array, matrix, weight = known
        if part is self.part or part.shared:
            return matrix, weight
        label = schedule.field_name(matrix.parameters or (name,))
        return matrix, self.part.again(array, label, part, weight)

    def _bias_of_table(self, name: str) -> str | None:
        linear = [node for node in self.graph.readers(name) if isinstance(node.kind, nodes.Linear)]
        tables = any(isinstance(node.kind, nodes.Embedding) for node in self.graph.readers(name))
        return linear[0].inputs[2] if tables and len(linear) == 1 and len(linear[0].inputs) > 2 else None

    def vector(self, node: Node, name: str) -> Weight:
        """Once for each part."""
        key = id(self.part), name
        if key not in self.vectors:
            self.vectors[key] = super().vector(node, name)
        return self.vectors[key]

    def _attention_shape(self) -> AttentionShape | None:
        shapes = []
        for node in self.graph.nodes:
            if isinstance(kind := node.kind, nodes.Attention):
                shapes.append(AttentionShape(kind.heads, kind.kv_heads, kind.head_dim, kind.scale))
                if shapes[-1] != shapes[0]:
                    raise refused(node, "its heads are not those of the layers before it")
        return shapes[0] if shapes else None


# ---- Rules that decoders do not have ---------------------------------------------------------------------------------


def _embedding(writer: _EncoderWriter, node: Node) -> None:
    table, index = node.inputs
    if index != POSITION and index != writer.graph.inputs[0].name:
        raise refused(node, "rows that are computed")
    matrix, weight = writer.matrix(node, table)
    y = writer.make(node, "place" if index == POSITION else "x")
    writer.part.row(y, matrix, weight, "t" if index == POSITION else TOKEN)


def _attention(writer: _EncoderWriter, node: Node) -> None:
    """Keys and values of all tokens are there: the loop before has stored them."""
    part, query = writer.part, node.inputs[0]
    if not all((id(part), name) in writer.stored for name in node.inputs[1:]):
        raise refused(node, "its keys and values are not computed from what goes through the layers")
    keys, values = writer.stores[id(part)]
    scores = part.real("scores", writer.text.tokens)
    mixed = writer.replace(node, query)
    part.call("edgeslm_attention", mixed, mixed, keys, values, scores, "&attention", "0u", COUNT)


def _store(writer: _EncoderWriter, node: Node, attention: Node) -> None:
    """A key or a value, where attention looks for it."""
    kind, part = attention.kind, writer.part
    assert isinstance(kind, nodes.Attention)
    if id(part) not in writer.stores:
        extents = (kind.kv_heads, writer.text.tokens, kind.head_dim)
        writer.stores[id(part)] = part.real("keys", *extents), part.real("values", *extents)
    for place, where in enumerate(writer.stores[id(part)], 1):
        if attention.inputs[place] == node.name:
            part.call("edgeslm_cache_store", where, writer.use(node.name), "&attention", "t")
    writer.stored.add((id(part), node.name))


def _pool(writer: _EncoderWriter, node: Node) -> None:
    kind = node.kind
    assert isinstance(kind, nodes.Pool)
    source = writer.use(node.inputs[0])
    width = writer.count(node.name)
    if source.row != width or source.offset:
        raise refused(node, "no kernel pools a part of a row")
    y = writer.make(node, "pooled")
    writer.part.call("edgeslm_pool", y, Use(source.name), COUNT, width, POOLINGS[kind.mode])


def _slice(writer: _EncoderWriter, node: Node) -> None:
    """The first token's row stands for the text."""
    source = writer.use(node.inputs[0])
    if not source.row or node.name in writer.text.rows:
        raise refused(node, "no kernel takes every other element")
    y = writer.make(node, "first")
    width = writer.count(node.name)
    writer.part.call("edgeslm_pool", y, Use(source.name, source.offset), 1, width, "EDGESLM_POOL_LAST")


def _unit_norm(writer: _EncoderWriter, node: Node) -> None:
    kind = node.kind
    assert isinstance(kind, nodes.UnitNorm)
    y = writer.replace(node, node.inputs[0])
    writer.part.call("edgeslm_unit_norm", y, writer.count(node.name), f"EDGESLM_EPSILON({kind.least:.9g})")


def write_sum(writer: _EncoderWriter, node: Node) -> None:
    """Of two rows, or of a row and a constant one."""
    constants = [name for name in node.inputs if writer.graph.constant(name) is not None]
    if not constants or not schedule.is_sum(node):
        if any(writer.buffers[name].buffer in writer.widths for name in node.inputs[1:] if name in writer.buffers):
            node = replace(node, inputs=node.inputs[::-1])  # into what all tokens have a row of
        schedule.write_sum(writer, node)
        return
    (other,) = [name for name in node.inputs if name not in constants]
    if writer.count(constants[0]) != writer.count(node.name):
        raise refused(node, "a sum of unlike shapes")
    y = writer.replace(node, other)
    writer.part.call("edgeslm_add", y, writer.vector(node, constants[0]), writer.count(node.name))


def _ends_as(graph: Graph, name: str, wanted: Callable[[str], bool]) -> bool:
    """Whether the value is wanted, or is only changed in place until it is."""
    count = graph.tensor(name).elements
    seen = {name}
    while not wanted(name):
        readers = graph.readers(name)
        follower = readers[-1] if readers else None
        if follower is None or follower.output.elements != count or follower.name in seen:
            return False
        if not (isinstance(follower.kind, IN_PLACE) and len(readers) == 1) and not _changes(graph, follower, name):
            return False
        name = follower.name
        seen.add(name)
    return True


def _changes(graph: Graph, total: Node, name: str) -> bool:
    """Whether the last reader is a sum that is made where the value is: with a constant, or with what is made later."""
    if not schedule.is_sum(total):
        return False
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    others = [one for one in total.inputs if one != name]
    return all(graph.constant(one) is not None or places.get(one, -1) > places.get(name, -1) for one in others)


RULES: dict[type[nodes.Kind], Callable[[_EncoderWriter, Node], None]] = {
    **schedule.RULES,
    nodes.Embedding: _embedding,
    nodes.Attention: _attention,
    nodes.Pool: _pool,
    nodes.Slice: _slice,
    nodes.UnitNorm: _unit_norm,
    nodes.Binary: write_sum,
}
