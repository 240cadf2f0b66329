"""From nodes of static int8 to calls of kernels: a rule for each kind. `firmware_templates/kernels/edgeslm_integers.h`
says what each kernel computes."""

from __future__ import annotations

from math import prod

import numpy as np

from edgeslm.backends.cortexm import integer_packing
from edgeslm.backends.cortexm.c_text import real
from edgeslm.backends.cortexm.net_homes import parts_of
from edgeslm.backends.cortexm.net_places import NetPlaces, Rule
from edgeslm.backends.cortexm.net_products import write_linear, write_matmul
from edgeslm.backends.cortexm.net_structs import integers, struct, whole
from edgeslm.backends.cortexm.net_view import View, are_same, collapsed, dense, filled_up
from edgeslm.errors import UnsupportedOpError
from edgeslm.ir import nodes
from edgeslm.ir.fixed_point import Multiplier
from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.integer_passes.limits import without_limits
from edgeslm.ir.requantize import (
    SumScaling,
    mean_multiplier,
    product_multiplier,
    scale_of,
    softmax_scaling,
    squared_difference_scaling,
    sum_scaling,
    zero_of,
)

PAIR_AXES = 3
"""Axes that kernels of two operands have loops for."""
MOST_KEPT = 96
"""Powers of a softmax in flash; of more than that, computing them takes less of it."""
NO_KERNEL = "no kernel computes it"


def write_steps(places: NetPlaces) -> None:
    """The calls of a graph that the passes for integers have been over, in order.

    Raises UnsupportedOpError, with the operator of the file, for what no kernel computes.
    """
    for node in places.graph.nodes:
        kind = without_limits(node.kind)[0]
        rule = RULES.get(type(kind))
        if rule is None:
            raise refused(places.graph, node, NO_KERNEL)
        rule(places, node)
    last = places.graph.nodes[-1]
    for name in dict.fromkeys(places.graph.outputs):
        view = places.view(name)
        if view.buffer in places.arrays or not view.is_dense or places.graph.producer(name) is None:
            places.enter(name, places.copied(last, f"{name}#out", view, places.graph.tensor(name)))


def refused(graph: Graph, node: Node, detail: str) -> UnsupportedOpError:
    return UnsupportedOpError(
        type(without_limits(node.kind)[0]).__name__,
        f"{node.name} of {graph.name}, {node.origin}",
        None,
        "cortexm",
        detail,
        "docs/ir.md lists the operators that can be compiled",
    )


# ---- Arithmetic ------------------------------------------------------------------------------------------------------


def _binary(places: NetPlaces, node: Node) -> None:
    kind = without_limits(node.kind)[0]
    assert isinstance(kind, nodes.Binary)
    a, b = (places.graph.tensor(name) for name in node.inputs)
    fields: dict[str, object] = {"a_zero": zero_of(a), "b_zero": zero_of(b)}
    scaling: SumScaling | Multiplier
    if kind.function == "mul":
        fields["result"] = scaling = product_multiplier(a, b, node.output)
    elif kind.function in ("add", "sub", "squared_difference"):
        of = squared_difference_scaling if kind.function == "squared_difference" else sum_scaling
        scaling = by = of(a, b, node.output)
        fields |= {"first": by.first, "second": by.second, "result": by.result, "shift": by.shift}
    else:
        raise refused(places.graph, node, NO_KERNEL)
    extents, views = _joined(places, node)
    shape = {"extents": extents, "a": views[0], "b": views[1], **fields, "out": integers(node)}
    shape["form"] = int(integer_packing.pair_form(kind.function, views[0][-1], views[1][-1], scaling))
    operands = [places.at(places.view(name)) for name in node.inputs]
    if len(_axes(places, node)[0]) > PAIR_AXES:
        operands = [places.at(_spread(places, node, name)) for name in node.inputs]
    y = places.result(
        node, [name for name in node.inputs if places.graph.tensor(name).elements == node.output.elements]
    )
    places.step(node, f"edgeslm_{kind.function}_s8", places.at(y), *operands, struct("edgeslm_pair_shape", shape))


def _axes(places: NetPlaces, node: Node) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    shape = node.output.shape
    return collapsed(
        shape, *(places.view(name).broadcast(shape).strides for name in node.inputs), dense("", shape).strides
    )


def _joined(places: NetPlaces, node: Node) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Extents and the operands' strides; of operands that are laid out for it, where there are too many axes."""
    extents, strides = _axes(places, node)
    if len(extents) > PAIR_AXES:
        extents, strides = (node.output.elements,), ((1,), (1,), (1,))
    # One number is read as a row of one.
    return filled_up(extents, strides[:2], PAIR_AXES) if extents else filled_up((1,), ((1,), (1,)), PAIR_AXES)


def _spread(places: NetPlaces, node: Node, name: str) -> View:
    """An operand with a number for each of the result's."""
    view = places.view(name).broadcast(node.output.shape)
    tensor = places.graph.tensor(name)
    return view if view.is_dense else places.copied(node, f"{node.name}#{node.inputs.index(name)}", view, tensor)


def _softmax(places: NetPlaces, node: Node) -> None:
    kind, (name,) = node.kind, node.inputs
    assert isinstance(kind, nodes.Softmax)
    x, tensor = places.dense_view(node, name), places.graph.tensor(name)
    powers = integer_packing.softmax_powers(tensor, kind.beta)
    length = len(powers)
    if length > MOST_KEPT:
        table, by = places.scratch(powers.nbytes), softmax_scaling(tensor, kind.beta)
        numbers = str(by.by.mantissa), whole(by.by.shift), whole(min(by.end, 255)), whole(length)
        places.step(node, "edgeslm_powers", table, *numbers)
    else:
        table = places.at_array(places.table(f"powers of {node.name}", powers))
    given = places.at(x)
    y = places.result(node, [name])
    columns = node.output.shape[-1]
    sizes = whole(x.elements // columns), whole(columns), table, whole(length)
    places.step(node, "edgeslm_softmax_s8", places.at(y), given, *sizes)


def _mean(places: NetPlaces, node: Node) -> None:
    kind, (name,) = without_limits(node.kind)[0], node.inputs
    if not isinstance(kind, nodes.Reduce) or kind.function != "mean":
        raise refused(places.graph, node, NO_KERNEL)
    x, tensor = places.view(name), places.graph.tensor(name)
    axes = [axis for axis in kind.axes if x.shape[axis] > 1] or list(kind.axes[:1])
    first, last = axes[0], axes[-1]
    if axes != list(range(first, last + 1)):  # one behind the other, then
        rest = [axis for axis in range(len(x.shape)) if axis not in axes]
        x = places.copied(node, f"{node.name}#turned", x.transposed((*rest, *axes)), tensor)
        first, last = len(rest), len(x.shape) - 1
    elif not x.is_dense:
        x = places.dense_view(node, name)
    outer, count, inner = (prod(one) for one in (x.shape[:first], x.shape[first : last + 1], x.shape[last + 1 :]))
    y, by = places.result(node), mean_multiplier(tensor, node.output, count)
    sizes = (whole(number) for number in (outer, count, inner))
    multiplier = f"(edgeslm_multiplier){{{by.mantissa}, {by.shift}}}"
    places.step(
        node, "edgeslm_mean_s8", places.at(y), places.at(x), *sizes, str(zero_of(tensor)), multiplier,
        integers(node),
    )  # fmt: skip


def _table(places: NetPlaces, node: Node) -> None:
    name, table = node.inputs
    constant = places.graph.constant(table)
    assert constant is not None
    x = places.at(places.dense_view(node, name))
    numbers = places.at_array(places.table(table, constant.read().astype(np.int8)))
    y = places.result(node, [name])
    places.step(node, "edgeslm_table_s8", places.at(y), x, numbers, whole(node.output.elements))


def _quantize(places: NetPlaces, node: Node) -> None:
    """Into int8 or out of it; between two of them it is a table."""
    (name,) = node.inputs
    x = places.dense_view(node, name)
    tensor, y = places.graph.tensor(name), places.result(node)
    is_out = node.output.dtype == "float32"
    of = tensor if is_out else node.output
    kernel = "edgeslm_from_s8" if is_out else "edgeslm_to_s8"
    numbers = whole(x.elements), real(scale_of(of)), str(zero_of(of))
    places.step(node, kernel, places.at(y), places.at(x), *numbers)


# ---- Elements moved --------------------------------------------------------------------------------------------------


def _view(places: NetPlaces, node: Node) -> None:
    """Another view of the same numbers; a copy where it is to be in a certain place and is not."""
    kind, (name, *_) = node.kind, node.inputs
    home, view = places.homes.get(node.name), places.view(name)
    match kind:
        case nodes.Transpose():
            made: View | None = view.transposed(kind.order)
        case nodes.Slice():
            made = view.sliced(kind.axis, kind.start, kind.stop, kind.step)
        case nodes.Broadcast():
            made = view.broadcast(node.output.shape)
        case _:
            made = view.reshaped(node.output.shape)
    if made is None:
        made = places.dense_view(node, name).reshaped(node.output.shape)
        assert made is not None  # what lies one behind the other has any shape
    if home is not None and not are_same(home, made):
        places.copy(node, places.result(node), made)
    else:
        places.enter(node.name, made)


def _concat(places: NetPlaces, node: Node) -> None:
    """Parts that are there already stay."""
    whole_view = places.result(node)
    for name, part in zip(node.inputs, parts_of(places.graph, node, whole_view), strict=True):
        if not are_same(places.view(name), part):
            places.copy(node, part, places.view(name))


def _pad(places: NetPlaces, node: Node) -> None:
    kind, (name,) = node.kind, node.inputs
    assert isinstance(kind, nodes.Pad)
    view, y = places.view(name), places.result(node)
    if not y.is_dense:
        raise refused(places.graph, node, NO_KERNEL)
    zero = zero_of(node.output) if node.output.quantization and node.output.dtype == "int8" else 0
    places.step(node, "edgeslm_fill_s8", places.at(y), str(zero), whole(y.elements * places.width(y.buffer)))
    inside = y
    for axis, (before, extent) in enumerate(zip(kind.before, view.shape, strict=True)):
        inside = inside.sliced(axis, before, before + extent)
    places.copy(node, inside, view)


def _gather(places: NetPlaces, node: Node) -> None:
    axis = node.kind.axis if isinstance(node.kind, nodes.Gather) else 0
    x, ids = (places.dense_view(node, name) for name in node.inputs)
    outer, extent, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    y = places.result(node)
    sizes = (whole(number) for number in (outer, ids.elements, extent, inner * places.width(y.buffer)))
    places.step(node, "edgeslm_gather", places.at(y), places.at(x), places.at(ids), *sizes, holds=True)


RULES: dict[type[nodes.Kind], Rule] = {
    nodes.Linear: write_linear,
    nodes.MatMul: write_matmul,
    nodes.Binary: _binary,
    nodes.Softmax: _softmax,
    nodes.Reduce: _mean,
    nodes.Table: _table,
    nodes.Quantize: _quantize,
    nodes.Reshape: _view,
    nodes.Transpose: _view,
    nodes.Slice: _view,
    nodes.Broadcast: _view,
    nodes.Concat: _concat,
    nodes.Pad: _pad,
    nodes.Embedding: _gather,
    nodes.Gather: _gather,
}
