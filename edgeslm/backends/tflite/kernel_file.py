"""Single kernels as a .tflite: a signature each, over a grid of shapes of small models; what a cost model rests on.

Values do not matter, as no kernel looks at them. Shapes that a law is not fitted to but held against are `held_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeslm.artifacts import Precision
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.kernel_calls import kernel_calls
from edgeslm.backends.tflite.kernel_graphs import (
    binary,
    chained,
    concatenated,
    dequantized,
    linear,
    lookup,
    mean_squared,
    product,
    quantized,
    reduced,
    sliced,
    softmax,
    static_linear,
    transposed,
    unary,
)
from edgeslm.backends.tflite.kernel_shapes import (
    HELD_MATRICES,
    HELD_ORDERS,
    HELD_PAIRS,
    HELD_PRODUCTS,
    HELD_ROWS,
    HELD_RUNS,
    HELD_TABLES,
    HELD_VECTORS,
    MATRICES,
    ORDERS,
    PAIRS,
    PRECISIONS,
    PRODUCTS,
    QUICK,
    ROWS,
    RUNS,
    TABLE_ROWS,
    TABLES,
    VECTORS,
)
from edgeslm.backends.tflite.lower.constants import Constants
from edgeslm.backends.tflite.lower.graph import LoweringGraph
from edgeslm.cost.kernels import BASELINE_EVERY, CHAIN, EMPTY, LINEAR, MOST_COPIES, WIDE, Kernel, copies_of
from edgeslm.formats.tflite import schema, write_tflite_streamed

Shape = Sequence[int]

UNARY = ("LOGISTIC", "GELU", "RSQRT", "SQRT", "TANH", "EXP", "CAST")
ARITHMETIC = ("ADD", "MUL", "DIV")
FEW = 2


Write = Callable[[LoweringGraph, int], tuple[list[int], int]]


@dataclass
class _Grid:
    """The file while it is written."""

    model: Any
    repeat: bool
    constants: Constants = field(default_factory=Constants)
    kernels: list[Kernel] = field(default_factory=list)

    def add(
        self,
        write: Write,
        precision: Precision = "fp32",
        group: int | None = None,
        *,
        held: bool = False,
        name: str | None = None,
        below: int | None = None,
        copies: int = 1,
    ) -> None:
        """`write(graph, number)` gives the inputs and the output of the copy with that number."""
        fbs = schema()
        subgraph = fbs.SubGraphT()
        signature = name or f"kernel_{len(self.kernels)}"
        subgraph.name, subgraph.tensors, subgraph.operators = signature.encode(), [], []
        self.model.subgraphs.append(subgraph)
        graph = LoweringGraph(self.model, len(self.model.subgraphs) - 1, signature, self.constants)
        inputs, output = write(graph, 0)
        subgraph.inputs, subgraph.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        calls = tuple(kernel_calls(graph)) if name is None else ()
        copies = copies_of(calls[0]) if self.repeat and calls else copies
        outputs = [output]
        chained = bool(calls) and calls[0].kind not in LINEAR and _is_alike(graph, inputs[0], output)
        for number in range(1, copies):
            first = outputs[-1] if chained else inputs[0]
            outputs.append(_write_copy(graph, [first, *inputs[1:]], partial(write, graph, number)))
        outputs = outputs[-1:] if chained else outputs
        subgraph.outputs = np.array(outputs, np.int32)
        described = fbs.SignatureDefT()
        described.signatureKey, described.subgraphIndex = signature.encode(), len(self.model.subgraphs) - 1
        described.inputs = [_entry(f"x{place}", tensor) for place, tensor in enumerate(inputs)]
        described.outputs = [_entry(f"y{place}", tensor) for place, tensor in enumerate(outputs)]
        self.model.signatureDefs.append(described)
        given = tuple(_described(graph, f"x{place}", tensor, below) for place, tensor in enumerate(inputs))
        made = tuple(_described(graph, f"y{place}", tensor, None) for place, tensor in enumerate(outputs))
        calls *= copies
        graph.drop_unused()
        self.kernels.append(Kernel(signature, calls, precision, group, held, given, made))
        if self.repeat and calls and len(self.kernels) % BASELINE_EVERY == 0:
            self.add_baseline()

    def add_baseline(self) -> None:
        one = partial(unary, kind="LOGISTIC", shape=(1,))
        for name, copies in ((EMPTY, 1), (WIDE, MOST_COPIES)):
            self.add(one, name=f"{name}_{len(self.kernels)}", copies=copies)


def write_kernels(path: Path, small: bool = False, repeat: bool = False) -> tuple[Kernel, ...]:
    """Write the grid to `path`. `small`: a few shapes of each precision's matrices and of sums, for a quick look.
    `repeat`: several copies of what takes little time, as a clock sees little of one beside the run around it.
    """
    model = schema().ModelT()
    model.version, model.description = 3, b"edgeslm kernels"
    model.subgraphs, model.operatorCodes, model.signatureDefs = [], [], []
    grid = _Grid(model, repeat)
    grid.add_baseline()
    grid.add(partial(chained, count=MOST_COPIES), name=CHAIN)
    for precision, group in QUICK if small else PRECISIONS:
        _add_weighted(grid, precision, group, small)
    if not small:
        _add_arithmetic(grid)
        _add_movement(grid)
    grid.add_baseline()
    model.buffers = [schema().BufferT() for _ in grid.constants.arrays]
    write_tflite_streamed(model, grid.constants.arrays, path)
    return tuple(grid.kernels)


def _write_copy(graph: LoweringGraph, inputs: Sequence[int], write: Callable[[], tuple[list[int], int]]) -> int:
    """Emit a copy that reads these inputs. Its result, which is to be read by another copy or to be the run's: XNNPACK
    leaves out what nobody reads."""
    before = len(graph.subgraph.operators)
    own, result = write()
    given = dict(zip(own, inputs, strict=True))
    for operator in graph.subgraph.operators[before:]:
        operator.inputs = np.array([given.get(int(tensor), int(tensor)) for tensor in operator.inputs], np.int32)
    return result


def _is_alike(graph: LoweringGraph, one: int, other: int) -> bool:
    return (graph.shape(one), graph.dtype(one)) == (graph.shape(other), graph.dtype(other))


def _add_weighted(grid: _Grid, precision: Precision, group: int | None, small: bool) -> None:
    vectors = [(1, *shape) for shape in VECTORS], [(1, *shape) for shape in HELD_VECTORS]
    for fitted, held in (vectors, (MATRICES, HELD_MATRICES)):
        for shapes, is_held in ((fitted, False), (held, True)):
            for rows, inner, columns in shapes[:FEW] if small else shapes:
                if group is None or inner % group == 0:
                    grid.add(
                        partial(linear, rows=rows, inner=inner, columns=columns, precision=precision, group=group),
                        precision,
                        group,
                        held=is_held,
                    )
                if precision == "int8" and not small:
                    static = partial(static_linear, rows=rows, inner=inner, columns=columns)
                    grid.add(static, precision, group, held=is_held)
    if precision in ("fp32", "int8") or group == 32:
        for tables, is_held in ((TABLES, False), (HELD_TABLES, True)):
            for rows, width in tables[:FEW] if small else tables:
                grid.add(
                    partial(lookup, rows=rows, width=width, precision=precision, group=group),
                    precision,
                    group,
                    held=is_held,
                    below=TABLE_ROWS,
                )


def _add_arithmetic(grid: _Grid) -> None:
    for held, pairs, rows, products in (
        (False, PAIRS, ROWS, PRODUCTS),
        (True, HELD_PAIRS, HELD_ROWS, HELD_PRODUCTS),
    ):
        for kind in ARITHMETIC:
            for left, right in pairs:
                grid.add(partial(binary, kind=kind, left=left, right=right), held=held)
        for shape in rows:
            for kind in UNARY:
                grid.add(partial(unary, kind=kind, shape=shape), held=held)
            grid.add(partial(softmax, shape=shape), held=held)
            for kind, axis in (("MEAN", -1), ("SUM", -1), ("SUM", 0)):
                grid.add(partial(reduced, kind=kind, shape=shape, axis=axis), held=held)
            grid.add(partial(mean_squared, shape=shape), held=held)
            for changed in (dequantized, quantized):
                grid.add(partial(changed, shape=shape), held=held)
        for sizes in products:
            for adjoint in (False, True):
                grid.add(partial(product, shape=sizes, adjoint=adjoint), held=held)


def _add_movement(grid: _Grid) -> None:
    for held, runs, orders in ((False, RUNS, ORDERS), (True, HELD_RUNS, HELD_ORDERS)):
        for shape, part in runs:
            grid.add(partial(sliced, shape=shape, part=part), held=held)
            axis = next(place for place, (one, other) in enumerate(zip(shape, part, strict=True)) if one != other)
            grid.add(partial(concatenated, shape=part, axis=axis), held=held)
        for shape, order in orders:
            grid.add(partial(transposed, shape=shape, order=order), held=held)


def _entry(name: str, tensor: int) -> Any:
    entry = schema().TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), tensor
    return entry


def _described(graph: Graph, name: str, tensor: int, below: int | None) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": name,
        "dtype": graph.dtype(tensor).lower(),
        "shape": list(graph.shape(tensor)),
    }
    return described | ({"below": below} if below is not None else {})
