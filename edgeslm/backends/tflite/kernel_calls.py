"""Which kernels a signature's graph calls, and with which shapes: what a cost model is asked about.

Kinds are LiteRT's operators in lower case. Arithmetic of two tensors is told apart by what the innermost loop reads:
"add both" two rows, "add one" a row and a single number; an axis that both sides have is one with the axis before it.
What only moves numbers is counted in runs of numbers that lie together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgeslm.backends.tflite.graph import Graph
from edgeslm.cost.kernels import STATIC, KernelCall

Shape = tuple[int, ...]

BINARY = frozenset({"ADD", "SUB", "MUL", "DIV", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE", "POW"})
REDUCTIONS = frozenset({"MEAN", "SUM", "REDUCE_MAX"})
SOFTMAX = frozenset({"SOFTMAX", "LOG_SOFTMAX"})
VIEWS = frozenset({"RESHAPE", "EXPAND_DIMS", "SQUEEZE"})
SQUARED = "mean squared"
"""MUL of a tensor by itself and the MEAN behind it, which XNNPACK computes at once."""


def kernel_calls(graph: Graph, parameters: Mapping[str, tuple[str, ...]] | None = None) -> list[KernelCall]:
    """The calls of one run, in the graph's order. `parameters`: constant's name -> the checkpoint's."""
    squares = _squares(graph)
    calls: list[KernelCall] = []
    for operator in graph.operators:
        if int(operator.outputs[0]) in squares or _expands_weights(graph, operator):
            continue
        calls += _calls(graph, operator, parameters or {}, squares)
    return calls


def _expands_weights(graph: Graph, operator: Any) -> bool:
    """Whether it makes floats of a constant of halves: a part of the product behind it."""
    return graph.kind(operator) == "DEQUANTIZE" and graph.constant(int(operator.inputs[0])) is not None


def _calls(
    graph: Graph, operator: Any, parameters: Mapping[str, tuple[str, ...]], squares: set[int]
) -> Iterator[KernelCall]:
    kind = graph.kind(operator)
    inputs = [int(tensor) for tensor in operator.inputs if tensor >= 0]
    made = graph.shape(int(operator.outputs[0]))
    name = kind.lower()
    if kind == "FULLY_CONNECTED":
        rows, columns = _rows(made), graph.shape(inputs[1])[1]
        known = parameters.get(graph.name(inputs[1]), ())
        word = ("gemv" if rows == 1 else "gemm") + (STATIC if graph.dtype(inputs[0]) == "INT8" else "")
        yield KernelCall(word, rows, columns, made[-1], parameters=known)
    elif kind == "EMBEDDING_LOOKUP":
        yield KernelCall("lookup", _rows(made), 1, made[-1], parameters=parameters.get(graph.name(inputs[1]), ()))
    elif kind == "BATCH_MATMUL":
        options = operator.builtinOptions
        left = graph.shape(inputs[0])
        deep = left[-2] if options.adjX else left[-1]
        word = name + (" adjoint" if options.adjY else "") + (" vector" if made[-2] == 1 else "")
        yield KernelCall(word, made[-2], deep, made[-1], batch=_size(made[:-2]))
    elif kind in BINARY:
        yield _binary(name, graph.shape(inputs[0]), graph.shape(inputs[1]), made)
    elif kind in REDUCTIONS:
        word = SQUARED if inputs[0] in squares else name
        yield _reduction(word, graph.shape(inputs[0]), graph.constant(inputs[1]))
    elif kind in SOFTMAX:
        yield KernelCall(name, _rows(made), made[-1], 1)
    elif kind == "TRANSPOSE":
        yield _transposition(graph.shape(inputs[0]), graph.constant(inputs[1]))
    elif kind == "CONCATENATION":
        axis = operator.builtinOptions.axis % max(1, len(made))
        for tensor in inputs:
            yield KernelCall(name, _size(made[:axis]), 1, _size(graph.shape(tensor)[axis:]))
    elif kind in {"SLICE", "STRIDED_SLICE", "SPLIT", "PAD"}:
        shape = graph.shape(inputs[1 if kind == "SPLIT" else 0])
        for tensor in map(int, operator.outputs):
            yield _moved(name, shape, graph.shape(tensor))
    elif kind in VIEWS:
        yield KernelCall("reshape", 1, 1, 1)
    else:
        floats = name == "quantize" or graph.dtype(int(operator.outputs[0])) == "FLOAT32"
        word = name if floats else f"{name} integers"
        yield KernelCall(word, 1, 1, _size(made))


def _squares(graph: Graph) -> set[int]:
    """Tensors that are MUL of a tensor by itself and read by a MEAN alone."""
    readers = graph.readers()
    found = set()
    for operator in graph.operators:
        inputs = [int(tensor) for tensor in operator.inputs]
        if graph.kind(operator) == "MUL" and inputs[0] == inputs[1]:
            reading = readers.get(int(operator.outputs[0]), [])
            if len(reading) == 1 and reading[0] is not None and graph.kind(reading[0]) == "MEAN":
                found.add(int(operator.outputs[0]))
    return found


def _binary(name: str, left: Shape, right: Shape, made: Shape) -> KernelCall:
    """Loops over the innermost axes that have the same pattern of repetition on both sides."""
    rank = len(made)
    sides = [(1,) * (rank - len(shape)) + shape for shape in (left, right)]
    groups: list[list[Any]] = []  # pattern, length
    for extent, one, other in zip(made, *sides, strict=True):
        if extent == 1:
            continue
        pattern = (one == extent, other == extent)
        if groups and groups[-1][0] == pattern:
            groups[-1][1] *= extent
        else:
            groups.append([pattern, extent])
    if not groups:
        return KernelCall(f"{name} one", 1, 1, 1)
    pattern, inner = groups[-1]
    form = "both" if pattern == (True, True) else "one"
    outer = [length for _, length in groups[:-1]]
    return KernelCall(f"{name} {form}", _size(outer[-1:]), 1, inner, batch=_size(outer[:-1]))


def _reduction(name: str, shape: Shape, axes: Any) -> KernelCall:
    """Over the last axes: `rows` of `inputs` numbers. Else `rows` times `inputs` additions of `outputs` numbers."""
    reduced = {int(axis) % len(shape) for axis in np.asarray(axes).reshape(-1)} if axes is not None else set()
    count = _size([shape[axis] for axis in reduced])
    last = [axis for axis, extent in enumerate(shape) if extent > 1][-1:] or [len(shape) - 1]
    if last[0] in reduced:
        return KernelCall(name, _size(shape) // max(1, count), count, 1)
    inner = _size(shape[max(reduced, default=-1) + 1 :])
    return KernelCall(f"{name} outer", _size(shape) // inner, 1, inner)


def _transposition(shape: Shape, order: Any) -> KernelCall:
    """Runs of numbers that stay together; "transpose" alone where there are none."""
    places = [int(axis) for axis in np.asarray(order).reshape(-1)]
    moved = [axis for axis in places if shape[axis] > 1]
    if moved == sorted(moved):
        return KernelCall("reshape", 1, 1, 1)
    run, tail = 1, len(shape)
    kept = [axis for axis, extent in enumerate(shape) if extent > 1]
    while kept and moved and kept[-1] == moved[-1]:
        run *= shape[kept.pop()]
        moved.pop()
        tail -= 1
    if run == 1:
        return KernelCall("transpose", 1, 1, _size(shape))
    return KernelCall("transpose runs", _size(shape) // run, 1, run)


def _moved(name: str, shape: Shape, made: Shape) -> KernelCall:
    """A part of `shape`, or more than it: runs end at the last axis that differs."""
    differs = [axis for axis, (one, other) in enumerate(zip(shape, made, strict=False)) if one != other]
    first = differs[-1] if differs else 0
    smaller = [min(one, other) for one, other in zip(shape, made, strict=False)]
    return KernelCall(name, _size(smaller[:first]), 1, _size(smaller[first:]))


def _rows(shape: Shape) -> int:
    return _size(shape[:-1])


def _size(shape: Any) -> int:
    return int(np.prod(list(shape), dtype=np.int64))
