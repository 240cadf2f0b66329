"""Convolutions and pooling: LiteRT wants the channels last, so axes are turned around each, and only there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeslm.backends.tflite.lower.graph import LoweringGraph, attribute, refuse

if TYPE_CHECKING:
    import onnx_ir

VALID = 1  # Padding


def lower_convolution(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """One axis or two. ONNX's filters are [out, in / groups, …]; a filter of its own for each channel is another
    operator."""
    value, weight, *rest = node.inputs
    assert value is not None
    assert weight is not None
    filters, shape, result = graph.values(weight), graph.shape_of(value), node.outputs[0]
    axes, groups = len(shape) - 2, int(attribute(node, "group", 1))
    if filters is None or axes not in (1, 2):
        refuse(node, "its filters are computed, or it goes over other than one or two axes")
    steps, dilations = (_pair(attribute(node, name), axes) for name in ("strides", "dilations"))
    filters = filters if axes == 2 else filters[:, :, None, :]
    depthwise = groups > 1 and groups == shape[1]
    if groups > 1 and not depthwise:
        refuse(node, f"{groups} groups of {shape[1]} channels")
    stored = filters.transpose(1, 2, 3, 0) if depthwise else filters.transpose(0, 2, 3, 1)
    inputs = [_channels_last(node, value, graph), graph.constant_of(str(weight.name), np.ascontiguousarray(stored))]
    bias = rest[0] if rest else None
    zeros = np.zeros(len(filters), dtype=np.float32)
    inputs.append(graph.constant_of(f"{weight.name}/bias", zeros) if bias is None else graph.tensor(bias))
    fields = {
        "padding": VALID,
        "strideH": steps[0],
        "strideW": steps[1],
        "dilationHFactor": dilations[0],
        "dilationWFactor": dilations[1],
    }
    output = _made(result, graph)
    if depthwise:
        many = len(filters) // groups
        graph.emit("DEPTHWISE_CONV_2D", inputs, output, "DepthwiseConv2D", depthMultiplier=many, **fields)
    else:
        graph.emit("CONV_2D", inputs, output, "Conv2D", **fields)
    _channels_first(output, result, graph)


def lower_pool(node: onnx_ir.Node, graph: LoweringGraph) -> None:
    """Windows that lie within the tensor: at an edge, ONNX and LiteRT may count differently."""
    (value,) = node.inputs
    assert value is not None
    result, shape = node.outputs[0], graph.shape_of(value)
    axes = len(shape) - 2
    if axes not in (1, 2) or any(_pads(node, axes)):
        refuse(node, "pooling over one or two axes without padding is what it may be")
    window, steps, dilations = (_pair(attribute(node, name), axes) for name in ("kernel_shape", "strides", "dilations"))
    extents = _pair(shape[2:], axes)
    made = _pair(graph.shape_of(result)[2:], axes)
    beyond = any((m - 1) * step + w > e for m, step, w, e in zip(made, steps, window, extents, strict=True))
    if beyond or dilations != [1, 1]:
        refuse(node, "its last window reaches beyond the tensor, or has gaps")
    kind = {"AveragePool": "AVERAGE_POOL_2D", "MaxPool": "MAX_POOL_2D"}[node.op_type]
    fields = {"filterHeight": window[0], "filterWidth": window[1], "strideH": steps[0], "strideW": steps[1]}
    output = _made(result, graph)
    graph.emit(kind, [_channels_last(node, value, graph)], output, "Pool2D", padding=VALID, **fields)
    _channels_first(output, result, graph)


def _channels_last(node: onnx_ir.Node, value: onnx_ir.Value, graph: LoweringGraph) -> int:
    """[batch, height, width, channels], with the node's padding around."""
    shape = graph.shape_of(value)
    axes, name = len(shape) - 2, f"{node.outputs[0].name}/input"
    turned = graph.transposed(graph.tensor(value), [0, *range(2, len(shape)), 1], name)
    turned = graph.reshaped(turned, [shape[0], *_pair(shape[2:], axes), shape[1]], f"{name}/plane")
    pads = _pads(node, axes)
    if not any(pads):
        return turned
    around = np.zeros((4, 2), dtype=np.int32)
    around[3 - axes : 3] = np.array(pads).reshape(2, axes).T
    padded = [extent + before + after for extent, (before, after) in zip(graph.shape(turned), around, strict=True)]
    output = graph.between(node.outputs[0], "padded", padded)
    return graph.emit("PAD", [turned, graph.index(f"{name}/amounts", around)], output, "Pad")


def _made(result: onnx_ir.Value, graph: LoweringGraph) -> int:
    shape = graph.shape_of(result)
    return graph.between(result, "plane", [shape[0], *_pair(shape[2:], len(shape) - 2), shape[1]])


def _channels_first(tensor: int, result: onnx_ir.Value, graph: LoweringGraph) -> None:
    shape = graph.shape_of(result)
    flat = graph.reshaped(tensor, [shape[0], *shape[2:], shape[1]], f"{result.name}/line")
    order = [0, len(shape) - 1, *range(1, len(shape) - 1)]
    graph.transposed(flat, order, str(result.name), graph.result(result))


def _pair(numbers: Sequence[int] | None, axes: int) -> list[int]:
    """Height and width; a line has height 1."""
    chosen = [1] * axes if numbers is None else list(numbers)
    return [1] * (2 - axes) + chosen


def _pads(node: onnx_ir.Node, axes: int) -> list[int]:
    if attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        refuse(node, f"auto_pad {attribute(node, 'auto_pad')}")
    return list(attribute(node, "pads", [0] * 2 * axes))
