"""A whole model before it is built: the kernels that each of its graphs calls, the matrices in its file, and the bytes
of everything else there.

Both kinds of model are read from what their lowering writes, so a cost model sees the operators that will run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeslm.artifacts import LoweredModel
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.kernel_calls import kernel_calls
from edgeslm.backends.tflite.lower.file import lower_graphs
from edgeslm.backends.tflite.lower.packed import PackedMatrix
from edgeslm.backends.tflite.treatment import FEWEST_ELEMENTS, FEWEST_ROWS, WEIGHT_INPUT
from edgeslm.cost.kernels import KernelCall
from edgeslm.cost.sizes import DECODER_BLOCKS, ENCODER_BLOCKS, ModelShape, StoredMatrix
from edgeslm.formats.tflite import ALIGNMENT, packed_size, read_tflite

if TYPE_CHECKING:
    import onnx_ir

    from edgeslm.backends import GraphOf

SEPARATOR = "+"  # between the parameters in a decoder's initializer


def encoder_shape(lowered: LoweredModel) -> ModelShape:
    """Of a lowered model of floats, whose signatures are its length buckets."""
    path = lowered.root / lowered.files[0]
    model = read_tflite(path)
    names = {name: (parameter,) for name, parameter in lowered.tensors.items()}
    graphs = {
        signature.signatureKey.decode(): Graph(model, signature.subgraphIndex)
        for signature in model.signatureDefs or []
    }
    sizes = [0 if buffer.data is None else int(buffer.data.nbytes) for buffer in model.buffers]
    return _shape(graphs, names, sizes, path.stat().st_size)


def decoder_shape(
    graph_of: GraphOf, signatures: Sequence[tuple[str, int, int]], segments: Sequence[int], places: int
) -> ModelShape:
    """Of a decoder: `signatures` are (name, tokens, segments of the cache that are read). No matrix is read.

    `graph_of` and `places` as in write_language.
    """
    first = graph_of(1, segments[:1], places)
    packed = dict(_hollow(first))
    graphs = ((name, graph_of(tokens, segments[:count], places)) for name, tokens, count in signatures)
    lowered = lower_graphs(graphs, None, None, packed=packed)
    names: dict[str, tuple[str, ...]] = {}
    for graph in lowered.graphs:
        for tensor in range(len(graph.subgraph.tensors)):
            name = graph.name(tensor).removeprefix(f"{graph.key}/").split("#")[0]
            if name in packed:
                names[graph.name(tensor)] = tuple(name.split(SEPARATOR))
    sizes = [int(values.nbytes) for values in lowered.constants.arrays]
    whole = packed_size(lowered.model, sizes)
    return _shape({graph.key: graph for graph in lowered.graphs}, names, sizes, whole, hollow=True)


def _hollow(graph: onnx_ir.Graph) -> Iterable[tuple[str, PackedMatrix]]:
    """Every matrix without its numbers: what is laid out does not depend on them."""
    for name, value in graph.initializers.items():
        tensor = value.const_value
        if tensor is None or value.dtype is None or value.dtype.name != "FLOAT" or " " in name:
            continue
        shape = tensor.shape.numpy()
        if len(shape) == 2:
            rows, columns = (int(extent) for extent in shape)
            yield name, PackedMatrix("fp32", columns, np.zeros((rows, 0), np.float32), np.zeros(0, np.float32))


def _shape(
    graphs: Mapping[str, Graph],
    names: Mapping[str, tuple[str, ...]],
    sizes: Sequence[int],
    file_bytes: int,
    *,
    hollow: bool = False,
) -> ModelShape:
    """`hollow`: the matrices are in none of the `sizes` and not in `file_bytes`."""
    found: dict[tuple[str, ...], StoredMatrix] = {}
    calls: dict[str, tuple[KernelCall, ...]] = {}
    stored = 0
    counted: set[int] = set()
    activations: dict[str, int] = {}
    for signature, graph in graphs.items():
        calls[signature] = tuple(kernel_calls(graph, names))
        activations[signature] = _activations(graph)
        for operator in graph.operators:
            kind = graph.kind(operator)
            if kind not in WEIGHT_INPUT or kind.endswith("CONV_2D"):
                continue
            tensor = int(operator.inputs[WEIGHT_INPUT[kind]])
            buffer = graph.subgraph.tensors[tensor].buffer
            parameters = names.get(graph.name(tensor))
            shape = graph.shape(tensor)
            if parameters is None or (not hollow and not buffer):
                continue
            use = "table" if kind == "EMBEDDING_LOOKUP" else "linear"
            uses = {use, *(found[parameters].uses if parameters in found else ())}
            times = 1 + (found[parameters].tensors if parameters in found else 0)
            small = shape[0] * shape[1] < FEWEST_ELEMENTS or (use == "table" and shape[0] < FEWEST_ROWS)
            found[parameters] = StoredMatrix(parameters, shape[0], shape[1], frozenset(uses), times, fixed=small)
            if not hollow and buffer not in counted:
                counted.add(buffer)
                stored += sizes[buffer] + (-sizes[buffer]) % ALIGNMENT
    return ModelShape(
        calls=calls,
        matrices=tuple(found.values()),
        other_bytes=file_bytes - stored,
        block_bytes=DECODER_BLOCKS if hollow else ENCODER_BLOCKS,
        activation_bytes=activations,
    )


def _activations(graph: Graph) -> int:
    """Bytes of the largest operator's inputs and outputs that are no constants: what lives at once, at least."""
    made = {int(tensor) for operator in graph.operators for tensor in operator.outputs}
    made |= {int(tensor) for tensor in graph.subgraph.inputs}
    return max((_live(graph, operator, made) for operator in graph.operators), default=0)


def _live(graph: Graph, operator: Any, made: set[int]) -> int:
    tensors = {int(tensor) for tensor in (*operator.inputs, *operator.outputs)} & made
    return sum(4 * int(np.prod(graph.shape(tensor), dtype=np.int64)) for tensor in tensors)
