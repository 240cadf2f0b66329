"""One .tflite file from several: a subgraph and a signature for each, equal constants stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeslm.artifacts import TensorSpec
from edgeslm.backends.tflite.graph import Graph
from edgeslm.errors import InternalError
from edgeslm.formats.tflite import schema


def merge(models: Mapping[str, Any], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Any:
    """A ModelT with a subgraph and a SignatureDef per key of `models`, each of which holds one subgraph.

    The signatures' names are those of `inputs` and `outputs`, which onnx2tf has kept as tensor names. Every tensor
    is named "<signature>/<name>": the quantizer wants names that are unique in the file.
    """
    fbs = schema()
    merged = fbs.ModelT()
    merged.version = 3
    merged.description = b"edgeslm"
    merged.subgraphs, merged.operatorCodes, merged.signatureDefs = [], [], []
    merged.buffers = [fbs.BufferT()]  # the schema wants the first to be empty
    buffers: dict[bytes, int] = {}
    codes: dict[tuple[int, int, bytes], int] = {}
    for index, (key, model) in enumerate(models.items()):
        subgraph = model.subgraphs[0]
        signature = _signature(Graph(model), model, key, index, inputs, outputs)
        for operator in subgraph.operators:
            operator.opcodeIndex = _share_code(merged, codes, model.operatorCodes[operator.opcodeIndex])
        for tensor in subgraph.tensors:
            tensor.buffer = share_buffer(merged, buffers, model.buffers[tensor.buffer].data)
        _rename(subgraph, key)
        subgraph.name = key.encode()
        merged.subgraphs.append(subgraph)
        merged.signatureDefs.append(signature)
    return merged


def share_buffer(model: Any, known: dict[bytes, int], data: Any) -> int:
    """Index of the model's buffer with these bytes; `known` maps a digest to it."""
    if data is None or len(data) == 0:
        return 0
    digest = hashlib.sha256(data.tobytes()).digest()
    if digest not in known:
        buffer = schema().BufferT()
        buffer.data = data
        model.buffers.append(buffer)
        known[digest] = len(model.buffers) - 1
    return known[digest]


def share_buffers(model: Any) -> None:
    """Store equal constants once, and none that no tensor names."""
    old = model.buffers
    model.buffers = [schema().BufferT()]
    known: dict[bytes, int] = {}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.buffer = share_buffer(model, known, old[tensor.buffer].data)
    model.metadata = None  # tools' own remarks, kept in buffers


def _share_code(model: Any, known: dict[tuple[int, int, bytes], int], code: Any) -> int:
    key = (max(code.builtinCode, code.deprecatedBuiltinCode), code.version, code.customCode or b"")
    if key not in known:
        model.operatorCodes.append(code)
        known[key] = len(model.operatorCodes) - 1
    return known[key]


def _signature(
    graph: Graph, model: Any, key: str, index: int, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> Any:
    fbs = schema()
    definition = model.signatureDefs[0]
    signature = fbs.SignatureDefT()
    signature.signatureKey = key.encode()
    signature.subgraphIndex = index
    signature.inputs = [_named(graph, spec, definition.inputs, graph.subgraph.inputs) for spec in inputs]
    signature.outputs = [_named(graph, spec, definition.outputs, graph.subgraph.outputs) for spec in outputs]
    graph.subgraph.inputs = np.array([entry.tensorIndex for entry in signature.inputs], dtype=np.int32)
    graph.subgraph.outputs = np.array([entry.tensorIndex for entry in signature.outputs], dtype=np.int32)
    return signature


def _named(graph: Graph, spec: TensorSpec, entries: Sequence[Any], tensors: Sequence[int]) -> Any:
    """The signature's entry for one input or output, found by its ONNX name, checked for type and shape."""
    by_name = {entry.name.decode(): int(entry.tensorIndex) for entry in entries}
    by_name |= {graph.name(int(tensor)): int(tensor) for tensor in tensors}
    tensor = by_name.get(spec.name)
    if tensor is None:
        raise InternalError(f"onnx2tf's graph has no {spec.name!r}, only {', '.join(by_name)}")
    shape, wanted = graph.shape(tensor), spec.shape
    fits = len(shape) == len(wanted) and all(want in (-1, got) for want, got in zip(wanted, shape, strict=True))
    if not fits or graph.dtype(tensor).lower() != spec.dtype:
        made = f"{graph.dtype(tensor).lower()}{list(shape)}"
        raise InternalError(f"onnx2tf made {spec.name} {made}, it should be {spec.dtype}{list(wanted)}")
    entry = schema().TensorMapT()
    entry.name, entry.tensorIndex = spec.name.encode(), tensor
    return entry


def _rename(subgraph: Any, key: str) -> None:
    """Names unique in the file; onnx2tf and the rewrites may use one twice within a graph."""
    seen: dict[str, int] = {}
    for tensor in subgraph.tensors:
        name = tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name)
        count = seen[name] = seen.get(name, 0) + 1
        tensor.name = f"{key}/{name}{'' if count == 1 else f'#{count}'}".encode()
