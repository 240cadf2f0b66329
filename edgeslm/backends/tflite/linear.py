"""Linear layers as FULLY_CONNECTED: what XNNPACK runs fastest and the quantizer knows best.

onnx2tf writes a matrix product with a constant right-hand side as BATCH_MATMUL, [in, out], and its bias as an ADD
behind it. ai-edge-quantizer's blockwise int4 silently skips BATCH_MATMUL.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeslm.backends.tflite.graph import Array, Graph
from edgeslm.formats.tflite import schema

PADDED = "/padded"


def connect_fully(graph: Graph) -> None:
    """BATCH_MATMUL by a constant, with the bias behind it where there is one -> FULLY_CONNECTED."""
    readers = graph.readers()
    replacements: dict[int, list[Any]] = {}
    for product in graph.operators:
        weight = _weight(graph, product)
        if weight is None:
            continue
        rows, result = int(product.inputs[0]), int(product.outputs[0])
        bias, addition = _bias(graph, result, weight.shape[0], readers)
        options = schema().FullyConnectedOptionsT()
        options.keepNumDims = True
        if addition is not None:
            result = int(addition.outputs[0])
            if addition.builtinOptions is not None:
                options.fusedActivationFunction = addition.builtinOptions.fusedActivationFunction
            replacements[id(addition)] = []
        inputs = [rows, graph.add_constant(graph.name(int(product.inputs[1])), weight), bias]
        replacements[id(product)] = [graph.make("FULLY_CONNECTED", inputs, [result], options)]
    graph.replace(replacements)


def pad_inner(graph: Graph, group: int, layers: set[int]) -> dict[int, int]:
    """Zero-pad the inner dimension of FULLY_CONNECTED layers to a multiple of `group`, weights and activations.

    `layers` are the weight tensors to look at. Returns padded weight tensor -> columns that were added. The padded
    columns meet padded zeros, so the result is the same.
    """
    added: dict[int, int] = {}
    replacements: dict[int, list[Any]] = {}
    padded_rows: dict[int, int] = {}
    for operator in graph.operators:
        if graph.kind(operator) != "FULLY_CONNECTED" or int(operator.inputs[1]) not in layers:
            continue
        rows, weight = int(operator.inputs[0]), int(operator.inputs[1])
        values = graph.constant(weight)
        if values is None or values.shape[1] % group == 0:
            continue
        extra = -values.shape[1] % group
        wide = graph.add_constant(f"{graph.name(weight)}{PADDED}", np.pad(values, ((0, 0), (0, extra))))
        added[wide] = extra
        before = []
        if rows not in padded_rows:
            padded_rows[rows], pad = _padded(graph, rows, extra)
            before = [pad]
        operator.inputs = np.array([padded_rows[rows], wide, *operator.inputs[2:]], dtype=np.int32)
        replacements[id(operator)] = [*before, operator]
    graph.replace(replacements)
    return added


def _weight(graph: Graph, operator: Any) -> Array | None:
    """The constant right-hand side as [out, in], or None where the operator is no linear layer."""
    if graph.kind(operator) != "BATCH_MATMUL" or operator.builtinOptions.adjX:
        return None
    values = graph.constant(int(operator.inputs[1]))
    rows = graph.shape(int(operator.inputs[0]))
    if values is None or values.dtype != np.float32 or values.ndim < 2 or len(rows) < 2:
        return None
    if values.size != values.shape[-1] * values.shape[-2]:
        return None  # another matrix for each batch
    matrix: Array = values.reshape(values.shape[-2:])
    return matrix if operator.builtinOptions.adjY else matrix.T


def _bias(graph: Graph, result: int, width: int, readers: dict[int, list[Any]]) -> tuple[int, Any]:
    """The bias added to `result` and to nothing else, with the ADD it comes from; (-1, None) without one."""
    read_by = readers.get(result, [])
    if len(read_by) != 1 or read_by[0] is None or graph.kind(read_by[0]) != "ADD":
        return -1, None
    addition = read_by[0]
    other = next((int(tensor) for tensor in addition.inputs if int(tensor) != result), result)
    values = graph.constant(other)
    if values is None or values.size != width or graph.shape(int(addition.outputs[0])) != graph.shape(result):
        return -1, None
    if values.shape and values.shape[-1] != width:
        return -1, None
    if values.ndim == 1:
        return other, addition
    return graph.add_constant(graph.name(other), values.reshape(width)), addition


def _padded(graph: Graph, rows: int, extra: int) -> tuple[int, Any]:
    shape = graph.shape(rows)
    amounts = np.zeros((len(shape), 2), dtype=np.int32)
    amounts[-1, 1] = extra
    name = f"{graph.name(rows)}/padded"
    if any(graph.name(tensor) == name for tensor in range(len(graph.subgraph.tensors))):
        name += f"/{shape[-1] + extra}"  # filled up to blocks of several sizes: quantizers go by name
    output = graph.add_tensor(name, [*shape[:-1], shape[-1] + extra])
    return output, graph.make(
        "PAD", [rows, graph.add_constant(f"{name}/amounts", amounts)], [output], schema().PadOptionsT()
    )
