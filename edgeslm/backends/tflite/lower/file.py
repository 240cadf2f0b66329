"""The graphs of all lengths in one .tflite: a signature each, one set of buffers."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeslm.artifacts import TensorSpec
from edgeslm.backends.tflite.graph import Array
from edgeslm.backends.tflite.lower import FINDERS, OPERATORS
from edgeslm.backends.tflite.lower.constants import Constants
from edgeslm.backends.tflite.lower.folding import fold_constants
from edgeslm.backends.tflite.lower.fusion import needed_nodes
from edgeslm.backends.tflite.lower.graph import TYPES, LoweringGraph, refuse
from edgeslm.backends.tflite.lower.packed import PackedMatrix
from edgeslm.errors import InternalError, UnsupportedError
from edgeslm.formats.tflite import LARGEST, schema, write_tflite_streamed

if TYPE_CHECKING:
    import onnx_ir


@dataclass(frozen=True)
class LoweredFile:
    """A model without its buffers' contents, which are `constants`."""

    model: Any
    constants: Constants
    graphs: tuple[LoweringGraph, ...]

    def write(self, path: Path) -> None:
        write_tflite_streamed(self.model, self.constants.arrays, path)


def lower_graphs(
    graphs: Iterable[tuple[str, onnx_ir.Graph]],
    inputs: Sequence[TensorSpec] | None,
    outputs: Sequence[TensorSpec] | None,
    tables: dict[str, Array] | None = None,
    packed: Mapping[str, PackedMatrix] | None = None,
) -> LoweredFile:
    """The graphs, each with its signature's name; taken one at a time, so that only one maps the weights.

    `inputs` and `outputs` are those of every signature; None takes each graph's own.

    Raises UnsupportedOpError for a node that LiteRT cannot take, UnsupportedError where the weights are too many for
    the format; nothing is written then.
    """
    fbs = schema()
    model = fbs.ModelT()
    model.version = 3
    model.description = b"edgeslm"
    model.subgraphs, model.operatorCodes, model.signatureDefs = [], [], []
    constants = Constants()
    lowered = []
    with _nothing_older_collected():
        for key, source in graphs:
            subgraph = fbs.SubGraphT()
            subgraph.name = key.encode()
            subgraph.tensors, subgraph.operators = [], []
            model.subgraphs.append(subgraph)
            graph = LoweringGraph(model, len(model.subgraphs) - 1, key, constants, tables, packed)
            _lower(source, graph)
            model.signatureDefs.append(
                _signature(source, graph, inputs or _specs(source.inputs), outputs or _specs(source.outputs))
            )
            graph.drop_unused()
            lowered.append(graph)
            del source
            gc.collect()  # an ONNX graph refers to itself, and maps the weights until it is gone
    if constants.bytes > LARGEST:
        raise UnsupportedError(
            f"the model's weights are {constants.bytes} bytes, a .tflite file holds {LARGEST}",
            "choose a smaller model",
        )
    model.buffers = [fbs.BufferT() for _ in constants.arrays]
    return LoweredFile(model, constants, tuple(lowered))


@contextlib.contextmanager
def _nothing_older_collected() -> Iterator[None]:
    """Inside, garbage is looked for among what was made inside, not in a million objects of torch and transformers."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _lower(source: onnx_ir.Graph, graph: LoweringGraph) -> None:
    fold_constants(source)
    kept, fusions = needed_nodes(list(source), list(source.outputs), FINDERS)
    for node in kept:
        if node not in fusions and (node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx")):
            refuse(node, "there is no lowering for it")
    for value in source.inputs:
        _enter(value, graph)
    for node in kept:
        lower = fusions[node].lower if node in fusions else OPERATORS[node.op_type]
        lower(node, graph)


def _enter(value: onnx_ir.Value, graph: LoweringGraph) -> None:
    """An input of the graph; one of 64-bit integers is narrowed behind it."""
    kind = value.dtype.name if value.dtype is not None else "none"
    if kind not in TYPES:
        raise UnsupportedError(f"input {value.name} is {kind.lower()}, which LiteRT does not take", "cast it inside")
    if kind != "INT64":
        graph.result(value)
        return
    wide = graph.add_tensor(str(value.name), graph.shape_of(value), np.int64)
    narrow = graph.between(value, "int32", graph.shape_of(value), np.int32)
    types = schema().TensorType
    graph.emit("CAST", [wide], narrow, "Cast", inDataType=types.INT64, outDataType=types.INT32)
    graph.same(value, narrow)
    graph.entered[str(value.name)] = wide


def _specs(values: Sequence[onnx_ir.Value]) -> list[TensorSpec]:
    return [
        TensorSpec(str(value.name), value.dtype.numpy().name, tuple(int(extent) for extent in value.shape.numpy()))
        for value in values
        if value.dtype is not None and value.shape is not None
    ]


def _signature(
    source: onnx_ir.Graph, graph: LoweringGraph, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> Any:
    """Inputs and outputs under their ONNX names, in the order of the specs."""
    fbs = schema()
    given = {str(value.name): value for value in source.inputs}
    made = {str(value.name): value for value in source.outputs}
    for known, specs in ((given, inputs), (made, outputs)):
        missing = [spec.name for spec in specs if spec.name not in known]
        if missing:
            raise InternalError(f"the graph has no {', '.join(missing)}, only {', '.join(known)}")
    signature = fbs.SignatureDefT()
    signature.signatureKey = graph.key.encode()
    signature.subgraphIndex = len(graph.model.subgraphs) - 1
    first = [graph.entered.get(spec.name, graph.tensor(given[spec.name])) for spec in inputs]
    taken = set(first)
    last = []
    for spec in outputs:
        last.append(_leave(made[spec.name], spec, graph, taken))
        taken.add(last[-1])
    signature.inputs = [_entry(spec.name, tensor) for spec, tensor in zip(inputs, first, strict=True)]
    signature.outputs = [_entry(spec.name, tensor) for spec, tensor in zip(outputs, last, strict=True)]
    graph.subgraph.inputs = np.array(first, dtype=np.int32)
    graph.subgraph.outputs = np.array(last, dtype=np.int32)
    return signature


def _leave(value: onnx_ir.Value, spec: TensorSpec, graph: LoweringGraph, taken: set[int]) -> int:
    """The output's tensor: of the type it is meant to have, made by an operator, and nobody else's."""
    tensor = graph.tensor(value)
    if spec.dtype == "int64":
        types = schema().TensorType
        wide = graph.add_tensor(f"{value.name}/int64", graph.shape(tensor), np.int64)
        return graph.emit("CAST", [tensor], wide, "Cast", inDataType=types.INT32, outDataType=types.INT64)
    made = {int(output) for operator in graph.operators for output in operator.outputs}
    if tensor in taken or tensor not in made:
        copy = graph.between(value, "copy", graph.shape(tensor), graph.type_of(value))
        return graph.reshaped(tensor, graph.shape(tensor), f"{value.name}/copy", copy)
    return tensor


def _entry(name: str, tensor: int) -> Any:
    entry = schema().TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), tensor
    return entry
