"""A step's graph as calls of kernels in order: embedding, layers (those of equal shape in one loop), output layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.cortexm.buffers import Buffers, Region
from edgeslm.backends.cortexm.program import (
    LOGITS,
    Activation,
    AttentionShape,
    Field,
    Part,
    Program,
    Struct,
    Use,
    Weight,
    identifier,
)
from edgeslm.backends.cortexm.quantize import Floats, MatrixFormat
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.backends.cortexm.writer import Matrix, PartWriter
from edgeslm.errors import InternalError, UnsupportedOpError
from edgeslm.ir import nodes
from edgeslm.ir.graph import Constant, Graph, Node

if TYPE_CHECKING:
    from edgeslm.backends import LimitsOf, MomentsOf

GATES = {"silu": "edgeslm_silu_mul", "gelu_tanh": "edgeslm_gelu_tanh_mul"}
"""Of one kernel; other gates are a UNARY one and a product."""
UNARY = {
    "silu": "edgeslm_silu",
    "gelu": "edgeslm_gelu_erf",
    "gelu_tanh": "edgeslm_gelu_tanh",
    "relu": "edgeslm_relu",
    "tanh": "edgeslm_tanh",
}
IN_LAYER = re.compile(r"(?:^|\.)(\d+)\.")
"""A layer's number in its modules' names: "model.layers.3.mlp"."""
NUMBERED = re.compile(r"^(?:.*?\.)?\d+\.")
"""What stands before a layer's own names: "model.layers.3."."""
INPUTS = {"tokens": "token", "position": "position"}
"""The graph's inputs, and what edgeslm_step calls them."""
EMBEDDING, OUTPUT = "Embedding", "Output layer"
HINT = "a model of another family, or a target that runs Linux"


def write_program(graph: Graph, variant: Variant, moments: MomentsOf, limits: LimitsOf | None = None) -> Program:
    """`moments` are those of what flows into a checkpoint's parameter's layer, or None; with all values they are read
    when the C is written. `limits` are given where activations are quantized for static ranges.

    Raises UnsupportedOpError, with node and layer, for what no kernel computes.
    """
    return GraphWriter(graph, variant, moments, limits).write()


@dataclass
class GraphWriter:
    graph: Graph
    variant: Variant
    moments: MomentsOf
    limits: LimitsOf | None = None
    parts: list[PartWriter] = field(default_factory=list)
    weights: dict[str, tuple[Matrix, Weight]] = field(default_factory=dict)  # shared ones, by constant
    angles: dict[tuple[tuple[float, ...], float], Use] = field(default_factory=dict)
    owner: dict[str, PartWriter] = field(default_factory=dict)  # of the buffer that was called so last
    added: set[str] = field(default_factory=set)  # sums that a matrix has made already

    def write(self) -> Program:
        graph, count = self.graph, layer_count(self.graph)
        self.buffers = Buffers(graph)
        first = PartWriter(self.variant, shared=True)
        layers = [PartWriter(self.variant, f"layer_{number}_", first) for number in range(count)]
        last = PartWriter(self.variant, "", first, shared=True)
        self.parts = [first, *layers, last]
        self.part = first
        for node in graph.nodes:
            if isinstance(node.kind, nodes.Rotary):
                self._turn(node.kind)
        for number, node in layered(graph):
            self.part = self.parts[number]
            if node.name not in self.added and not self.buffers.is_view(node):
                RULES.get(type(node.kind), reject)(self, node)
        shared = shared_activations(self.parts)
        runs, structs = loops(layers, shared)
        return Program(
            parts=(part_of(EMBEDDING, first, shared), *runs, part_of(OUTPUT, last, shared)),
            activations=tuple(shared.values()),
            arrays=tuple(array for part in self.parts for array in part.arrays),
            fields=(*first.fields, *last.fields),
            values=(*first.values, *last.values),
            structs=structs,
            attention=attention_shape(graph),
        )

    # ---- Values ----

    def use(self, name: str) -> Use:
        """Raises InternalError for what another layer keeps to itself."""
        use = self.buffers[name].use
        if self.owner[use.name] not in (self.part, self.parts[0]):
            raise InternalError(f"graph {self.graph.name}: {name} is read in another layer than it is made in")
        return use

    def count(self, name: str) -> int:
        return prod(self.graph.tensor(name).shape)

    def make(self, node: Node, role: str) -> Use:
        """A new buffer for the node's result."""
        name = LOGITS if _becomes_output(self.graph, node.name) else role
        use = self.part.real(name, *node.output.shape[1:] or (1,))
        self.owner[use.name] = self.part
        self.buffers.enter(node.name, Region(use.name, 0, self.count(node.name)))
        return use

    def replace(self, node: Node, operand: str) -> Use:
        """The operand's own place, where nobody reads it any more."""
        if not self.buffers.is_last_reader(node, operand):
            raise _unsupported(node, "what it changes is read again later")
        region = self.buffers[operand]
        self.buffers.enter(node.name, region)
        return self.use(operand)

    def replace_or_make(self, node: Node, operand: str, role: str) -> Use:
        if self.buffers.is_last_reader(node, operand):
            return self.replace(node, operand)
        return self.make(node, role)

    def constant(self, name: str, node: Node) -> Constant:
        found = self.graph.constant(name)
        if found is None:
            raise _unsupported(node, "a weight that is computed")
        return found

    # ---- Weights ----

    def matrix(self, node: Node, name: str, bias: str | None = None) -> tuple[Matrix, Weight]:
        """The packed matrix of a constant. Those outside of layers are kept once, as tied embeddings are."""
        if name in self.weights and bias is None:
            return self.weights[name]
        constant = self.constant(name, node)
        offsets = None if bias is None else self.constant(bias, node)
        storage, (rows, columns) = constant.storage, constant.tensor.shape
        precision = storage.precision if storage else "fp32"
        if precision == "fp32" and self.variant.fixed:
            raise _unsupported(node, "a core without an FPU takes no float32 matrices", "--scheme int8 or int4")
        group = (storage.group or 0) if storage and precision == "int4" else 0
        form = MatrixFormat(precision, rows, columns, offsets is not None, group)
        parameters = constant.parameters

        def moments() -> Floats | None:
            return self.moments(parameters[0]) if parameters else None

        limit = self.limits(parameters[0]) if self.limits and parameters and precision == "int8" else None
        matrix = Matrix(parameters, form, constant.read, offsets.read if offsets else None, moments, limit)
        weight = self.part.matrix(matrix, field_name(parameters or (name,)))
        if self.part.shared and bias is None:
            self.weights[name] = matrix, weight
        return matrix, weight

    def vector(self, node: Node, name: str) -> Weight:
        constant = self.constant(name, node)
        label = field_name(constant.parameters or (name,))
        return self.part.vector(label, constant.parameters, self.count(name), constant.read)

    # ---- Rotary positions ----

    def _turn(self, kind: nodes.Rotary) -> None:
        """Cosines and sines of this token's position, once for all layers."""
        key = (kind.frequencies, kind.scale)
        if key in self.angles:
            return
        half, number = len(kind.frequencies), f"_{len(self.angles) + 1}" if self.angles else ""
        angles = self.angles[key] = self.part.real(f"angles{number}", 2, half)
        self.owner[angles.name] = self.part
        weight = self.part.frequencies(f"rotary{number}", kind.frequencies)
        self.part.call("edgeslm_rope_angles", angles, weight, half, "position")
        if kind.scale != 1:
            self.part.call("edgeslm_scale", angles, _real(kind.scale), 2 * half)


# ---- One rule for each kind of node ----------------------------------------------------------------------------------


def _embedding(writer: GraphWriter, node: Node) -> None:
    table, index = node.inputs
    if index not in INPUTS:
        raise _unsupported(node, "rows that are computed")
    matrix, weight = writer.matrix(node, table)
    writer.part.row(writer.make(node, "x"), matrix, weight, INPUTS[index])


def _linear(writer: GraphWriter, node: Node) -> None:
    x, name, *bias = node.inputs
    matrix, weight = writer.matrix(node, name, *bias)
    total = _sum_of(writer, node)
    if total is not None:
        other = next(one for one in total.inputs if one != node.name)
        writer.part.linear(writer.use(other), matrix, weight, writer.use(x), add=True)
        writer.buffers.enter(total.name, writer.buffers[other])
        writer.added.add(total.name)
        return
    writer.part.linear(writer.make(node, _role(writer.graph, node)), matrix, weight, writer.use(x))


def _sum_of(writer: GraphWriter, node: Node) -> Node | None:
    """The sum that is all this matrix product is for, where its other operand may be added to at once."""
    readers = writer.graph.readers(node.name)
    if len(readers) != 1 or not is_sum(readers[0]) or node.name in writer.graph.outputs:
        return None
    (total,) = readers
    others = [one for one in total.inputs if one != node.name]
    if len(others) != 1 or others[0] not in writer.buffers or writer.count(others[0]) != writer.count(node.name):
        return None
    return total if writer.buffers.is_undisturbed(others[0], node, total) else None


def is_sum(node: Node) -> bool:
    return isinstance(node.kind, nodes.Binary) and node.kind.function == "add"


def _norm(writer: GraphWriter, node: Node) -> None:
    kind, (x, *names) = node.kind, node.inputs
    assert isinstance(kind, nodes.RmsNorm | nodes.LayerNorm)
    width = node.output.shape[-1]
    repeats = writer.count(x) // width
    vectors = [writer.vector(node, name) for name in names]
    if not vectors:
        ones = np.ones(width, np.float32)
        vectors = [writer.part.vector("ones", (), width, lambda: ones)]
    source = writer.use(x)
    y = writer.replace_or_make(node, x, "normed")
    if repeats > 1:
        y, source = (Use(use.name, use.offset, width) for use in (y, source))
    epsilon = f"EDGESLM_EPSILON({kind.epsilon:.9g})"
    if isinstance(kind, nodes.RmsNorm):
        writer.part.call("edgeslm_rmsnorm", y, source, vectors[0], width, epsilon, repeats=repeats)
    else:
        bias = vectors[1] if len(vectors) == 2 else "NULL"
        writer.part.call("edgeslm_layernorm", y, source, vectors[0], bias, width, epsilon, repeats=repeats)


def _rotary(writer: GraphWriter, node: Node) -> None:
    kind = node.kind
    assert isinstance(kind, nodes.Rotary)
    _, heads, dim = node.output.shape
    turned = writer.replace(node, node.inputs[0])
    angles = writer.angles[kind.frequencies, kind.scale]
    writer.part.call("edgeslm_rope", turned, angles, heads, dim, len(kind.frequencies))


def _attention(writer: GraphWriter, node: Node) -> None:
    kind, part = node.kind, writer.part
    assert isinstance(kind, nodes.CachedAttention)
    query, keys, values, _ = node.inputs
    part.call("edgeslm_cache_store", "state->keys[l]", writer.use(keys), "&attention", "position")
    part.call("edgeslm_cache_store", "state->values[l]", writer.use(values), "&attention", "position")
    context = writer.graph.tensor(kind.keys).shape[1]
    scores = part.real("scores", context)
    mixed = writer.replace(node, query)
    caches = ("state->keys[l]", "state->values[l]")
    first = _first_seen(writer, kind.window, context)
    kernel = "edgeslm_attention" if kind.cap is None else "edgeslm_capped_attention"
    part.call(kernel, mixed, mixed, *caches, scores, "&attention", first, "position + 1u")


def _first_seen(writer: GraphWriter, window: int | None, context: int) -> str:
    """The first position that is seen. Windows that differ from layer to layer are the layers' own numbers."""
    kinds = (node.kind for node in writer.graph.nodes)
    windows = {min(one.window or context, context) for one in kinds if isinstance(one, nodes.CachedAttention)}
    if windows == {context}:
        return "0u"
    if len(windows) == 1:
        return f"first_seen(position, {windows.pop()}u)"
    writer.part.number("window", min(window or context, context), "positions a token sees, itself among them")
    return "first_seen(position, layer->window)"


def _gated(writer: GraphWriter, node: Node) -> None:
    kind, (gate, x) = node.kind, node.inputs
    assert isinstance(kind, nodes.Gated)
    if kind.activation not in GATES:
        function, count = _activation(node, kind.activation), writer.count(gate)
        y = writer.replace(node, gate)
        writer.part.call(function, y, count)
        writer.part.call("edgeslm_mul", y, writer.use(x), count)
        return
    place = gate if writer.buffers.is_last_reader(node, gate) else x
    y = writer.replace(node, place)
    writer.part.call(GATES[kind.activation], y, writer.use(gate), writer.use(x), writer.count(x))


def _unary(writer: GraphWriter, node: Node) -> None:
    kind = node.kind
    assert isinstance(kind, nodes.Unary)
    function = _activation(node, kind.function)
    y = writer.replace(node, node.inputs[0])
    writer.part.call(function, y, writer.count(node.name))


def _activation(node: Node, function: str) -> str:
    """Its kernel, in place."""
    if function not in UNARY:
        raise _unsupported(node, f"{function} has no kernel; {', '.join(UNARY)} have one")
    return UNARY[function]


def write_sum(writer: GraphWriter, node: Node) -> None:
    if not is_sum(node):
        reject(writer, node)
    one, other = node.inputs
    if one not in writer.buffers or other not in writer.buffers or writer.count(one) != writer.count(other):
        raise _unsupported(node, "a sum of unlike shapes")
    first, second = (one, other) if writer.buffers.is_last_reader(node, one) else (other, one)
    added = writer.use(second)
    y = writer.replace(node, first)
    writer.part.call("edgeslm_add", y, added, writer.count(node.name))


def _scale(writer: GraphWriter, node: Node) -> None:
    kind = node.kind
    assert isinstance(kind, nodes.Scale)
    if kind.offset:
        raise _unsupported(node, "no kernel adds a number to a row")
    y = writer.replace(node, node.inputs[0])
    writer.part.call("edgeslm_scale", y, _real(kind.factor), writer.count(node.name))


def _soft_cap(writer: GraphWriter, node: Node) -> None:
    kind, count = node.kind, writer.count(node.name)
    assert isinstance(kind, nodes.SoftCap)
    y = writer.replace(node, node.inputs[0])
    writer.part.call("edgeslm_soft_cap", y, _real(kind.cap), count)


def reject(writer: GraphWriter, node: Node) -> None:
    raise _unsupported(node, "no kernel computes it")


RULES: dict[type[nodes.Kind], Callable[[GraphWriter, Node], None]] = {
    nodes.Embedding: _embedding,
    nodes.Linear: _linear,
    nodes.RmsNorm: _norm,
    nodes.LayerNorm: _norm,
    nodes.Rotary: _rotary,
    nodes.CachedAttention: _attention,
    nodes.Gated: _gated,
    nodes.Unary: _unary,
    nodes.Binary: write_sum,
    nodes.Scale: _scale,
    nodes.SoftCap: _soft_cap,
}


# ---- Layers ----------------------------------------------------------------------------------------------------------


def layer_count(graph: Graph) -> int:
    return 1 + max((number for number in map(layer_of, graph.nodes) if number is not None), default=-1)


def layered(graph: Graph) -> list[tuple[int, Node]]:
    """(0 for what comes before the layers, 1 … for their nodes, one more for what follows; node). What has no number
    of its own belongs to the layer around it."""
    numbers = [layer_of(node) for node in graph.nodes]
    last = max((place for place, number in enumerate(numbers) if number is not None), default=-1)
    found, part = [], 0
    for place, (node, number) in enumerate(zip(graph.nodes, numbers, strict=True)):
        part = layer_count(graph) + 1 if place > last else part if number is None else number + 1
        found.append((part, node))
    return found


def layer_of(node: Node) -> int | None:
    found = IN_LAYER.search(node.layer.split("+")[0])
    return int(found[1]) if found else None


def attention_shape(graph: Graph) -> AttentionShape | None:
    """Of all layers. Raises UnsupportedOpError where they differ, or where a layer does not have one."""
    found = [(part, node) for part, node in layered(graph) if isinstance(node.kind, nodes.CachedAttention)]
    shapes = []
    for _, node in found:
        kind = node.kind
        assert isinstance(kind, nodes.CachedAttention)
        shapes.append(AttentionShape(kind.heads, kind.kv_heads, kind.head_dim, kind.scale, kind.cap))
        if shapes[-1] != shapes[0]:
            raise _unsupported(node, "its heads are not those of the layers before it")
    if [part for part, _ in found] != list(range(1, layer_count(graph) + 1)):
        raise UnsupportedOpError("attention", graph.name, None, "cortexm", "not one in each layer", HINT)
    return shapes[0] if shapes else None


def loops(layers: Sequence[PartWriter], shared: dict[str, Activation]) -> tuple[tuple[Part, ...], tuple[Struct, ...]]:
    """Layers that follow each other with the same calls are one loop; those with the same fields share a struct."""
    kinds: dict[tuple[Field, ...], list[PartWriter]] = {}
    for layer in layers:
        kinds.setdefault(tuple(layer.fields), []).append(layer)
    structs: dict[tuple[Field, ...], Struct] = {}
    places: dict[int, int] = {}
    for number, (fields, members) in enumerate(kinds.items()):
        suffix = f"_{number + 1}" if number else ""
        rows = tuple(tuple(member.values) for member in members)
        structs[fields] = Struct(f"edgeslm_layer{suffix}", f"layers{suffix}", fields, rows)
        places.update({id(member): place for place, member in enumerate(members)})
    runs = []
    for _, run in groupby(enumerate(layers), key=lambda one: (one[1].fields, one[1].calls)):
        numbered = list(run)
        (first, writer), (last, _) = numbered[0], numbered[-1]
        title = f"Layers {first} to {last}" if last > first else f"Layer {first}"
        runs.append(
            replace(
                part_of(title, writer, shared),
                layers=range(first, last + 1),
                struct=structs[tuple(writer.fields)],
                start=places[id(writer)],
            )
        )
    return tuple(runs), tuple(structs.values())


def shared_activations(parts: Sequence[PartWriter]) -> dict[str, Activation]:
    """What the first part makes and others use, and the logits."""
    first, *others = parts
    used = {name for part in others for call in part.calls for name in call.uses}
    shared = {name: one for name, one in first.activations.items() if name in used}
    return shared | {name: one for name, one in parts[-1].activations.items() if name == LOGITS}


def part_of(title: str, writer: PartWriter, shared: dict[str, Activation]) -> Part:
    own = tuple(one for name, one in writer.activations.items() if name not in shared)
    return Part(title, tuple(writer.calls), own)


# ---- Names -----------------------------------------------------------------------------------------------------------


def field_name(parameters: Sequence[str]) -> str:
    """A C identifier for checkpoint parameters: "self_attn_q_proj_k_proj_v_proj"."""
    names = [NUMBERED.sub("", name).removesuffix(".weight").split(".") for name in parameters]
    shared = 0
    while all(len(name) > shared + 1 and name[shared] == names[0][shared] for name in names):
        shared += 1
    words = [*names[0][:shared], *(word for name in names for word in name[shared:])]
    return identifier("_".join(words))


def _role(graph: Graph, node: Node) -> str:
    """What a matrix product's result is called: "qkv" where attention reads it, else after its module."""
    readers, seen = list(graph.readers(node.name)), 0
    while seen < len(readers):
        one = readers[seen]
        if isinstance(one.kind, nodes.CachedAttention):
            return "qkv"
        if isinstance(one.kind, nodes.Reshape | nodes.Slice | nodes.Rotary | nodes.RmsNorm | nodes.LayerNorm):
            readers += graph.readers(one.name)
        seen += 1
    return identifier(node.layer.split("+")[0].rpartition(".")[2].removesuffix("_proj") or "product")


def _becomes_output(graph: Graph, name: str) -> bool:
    """Whether the value is an output, or is only changed in place until it is one."""
    while name not in graph.outputs:
        readers = graph.readers(name)
        if len(readers) != 1 or not isinstance(readers[0].kind, nodes.SoftCap | nodes.Scale | nodes.Reshape):
            return False
        name = readers[0].name
    return True


def _unsupported(node: Node, detail: str, hint: str = HINT) -> UnsupportedOpError:
    return UnsupportedOpError(
        type(node.kind).__name__, node.origin or node.name, node.layer or None, "cortexm", detail, hint
    )


def _real(value: float) -> str:
    return f"EDGESLM_REAL({value:.9g})"
