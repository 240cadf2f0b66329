"""Matrix products as calls: by packed weights, or of any two values by their strides, so that heads need no copies."""

from __future__ import annotations

import numpy as np

from edgeslm.backends.cortexm import integer_packing
from edgeslm.backends.cortexm.net_places import NetPlaces
from edgeslm.backends.cortexm.net_program import Argument, Known
from edgeslm.backends.cortexm.net_structs import integers, struct
from edgeslm.backends.cortexm.net_view import View, collapsed, filled_up
from edgeslm.ir.fixed_point import Multiplier
from edgeslm.ir.graph import Constant, Node
from edgeslm.ir.requantize import linear_multipliers, product_multiplier, zero_of


def write_linear(places: NetPlaces, node: Node) -> None:
    """Weights are packed where there is a packed form of them; others are a factor as any."""
    graph = places.graph
    x_name, weight_name, *bias_name = node.inputs
    constant, weight = graph.constant(weight_name), graph.tensor(weight_name)
    bias = graph.constant(bias_name[0]) if bias_name else None
    packed = None if constant is None else _packed(places, node, constant, bias)
    if packed is None:
        _by_factor(places, node, bias)
        return
    rows, columns = weight.shape
    x = places.dense_view(node, x_name)
    count = x.elements // columns
    matrix, by = packed
    given = places.at(x)
    y = places.result(node)
    size = integer_packing.linear_scratch(places.variant, count, columns)
    shape = {"count": count, "rows": rows, "columns": columns, "by": by, "out": integers(node)}
    told = struct("edgeslm_linear_shape", shape)
    places.step(node, "edgeslm_linear_s8", places.at(y), matrix, given, places.scratch(size), told)


def _packed(
    places: NetPlaces, node: Node, constant: Constant, bias: Constant | None
) -> tuple[Argument, Multiplier] | None:
    """Rows and biases in one matrix, and the factor that all rows have."""
    x, weight = places.graph.tensor(node.inputs[0]), constant.tensor
    is_by_row = weight.quantization is not None and weight.quantization.axis is not None
    made = integer_packing.pack_linear(
        constant.read().astype(np.int8),
        None if bias is None else bias.read().astype(np.int32),
        linear_multipliers(x, weight, node.output),
        zero_of(x),
        places.variant,
        zero_point=0 if is_by_row else zero_of(weight),
    )
    if made is None:
        return None
    content, by = made
    comment = f"{weight.name} {list(weight.shape)}, int8" + (f", with {bias.name}" if bias else "")
    tensors = (weight.name, *([bias.name] if bias else []))
    return places.at_array(places.packed(node.name, content, comment, tensors)), by


def _by_factor(places: NetPlaces, node: Node, bias: Constant | None) -> None:
    """Weights that are computed, that have a zero point, or that are beyond what a packed matrix holds."""
    x_name, weight_name, *_ = node.inputs
    weight = places.view(weight_name).transposed((1, 0))
    terms, columns = weight.shape
    x = places.dense_view(node, x_name)
    rows = x.reshaped((x.elements // terms, terms))
    assert rows is not None  # as of all that lies one behind the other
    biases = places.at(places.view(bias.name)) if bias else "NULL"
    tensors = places.graph.tensor(x_name), places.graph.tensor(weight_name)
    factors = linear_multipliers(*tensors, node.output)
    y = places.result(node)
    flat = y.reshaped((rows.shape[0], columns))
    assert flat is not None
    zeros = zero_of(tensors[0]), 0 if len(factors) > 1 else zero_of(tensors[1])
    each: Argument | None = None
    if len(factors) > 1:
        numbers = np.array([(one.mantissa, one.shift) for one in factors], np.int32)
        each = places.at_array(places.table(f"factors of {node.name}", numbers))
    _multiply(places, node, (flat, rows, weight), zeros, biases, factors[0], each)


def write_matmul(places: NetPlaces, node: Node) -> None:
    a, b = (places.graph.tensor(name) for name in node.inputs)
    views = [places.view(name) for name in node.inputs]
    y = places.result(node)
    zeros = zero_of(a), zero_of(b)
    _multiply(places, node, (y, *views), zeros, "NULL", product_multiplier(a, b, node.output))


def _multiply(
    places: NetPlaces,
    node: Node,
    views: tuple[View, ...],
    zeros: tuple[int, int],
    bias: Argument,
    by: Multiplier,
    each: Argument | None = None,
) -> None:
    """A call for all of a batch that steps evenly; else one for each index of the axes before."""
    y, a, b = views
    rows, terms, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    lead = y.shape[:-2]
    steps = [one.broadcast((*lead, *one.shape[-2:])).strides[:-2] for one in (y, a, b)]
    extents, strides = filled_up(*collapsed(lead, *steps), 1)
    outer, (ys, as_, bs) = extents[:-1], strides
    shape: dict[str, object] = {
        "batch": extents[-1], "rows": rows, "terms": terms, "columns": columns,
        "a_batch": as_[-1], "a_row": a.strides[-2], "a_term": a.strides[-1],
        "b_batch": bs[-1], "b_term": b.strides[-2], "b_column": b.strides[-1],
        "y_batch": ys[-1], "y_row": y.strides[-2],
        "a_zero": zeros[0], "b_zero": zeros[1], "by": by, "out": integers(node),
    }  # fmt: skip
    if isinstance(each, Known):
        shape["each"] = f"(const void *){each.array}"
    told = struct("edgeslm_matmul_shape", shape)
    size = integer_packing.matmul_scratch(places.variant, rows, terms)
    for index in np.ndindex(outer):
        starts = [sum(place * step for place, step in zip(index, one, strict=False)) for one in (ys, as_, bs)]
        operands = [places.at(view, start) for view, start in zip(views, starts, strict=True)]
        places.step(node, "edgeslm_matmul_s8", *operands, bias, places.scratch(size), told)
