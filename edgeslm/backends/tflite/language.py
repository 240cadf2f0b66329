"""A decoder -> one .tflite: every signature over one set of integers, which go from the checkpoint into the file one
matrix at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import CompiledModel, LanguageSpec, Precision, QuantPlan, StoredTensor
from edgeslm.backends.tflite.cache_writers import CacheShape, add_cache_writers
from edgeslm.backends.tflite.language_windows import CHUNKS, cache_segments, language_signatures
from edgeslm.backends.tflite.lower.file import lower_graphs
from edgeslm.backends.tflite.lower.packed import PackedMatrix
from edgeslm.decoder import Decoder
from edgeslm.digest import files_digest
from edgeslm.quantize.plan import BITS
from edgeslm.quantize.symmetric import round_matrix

if TYPE_CHECKING:
    import onnx_ir

    from edgeslm.backends import GraphOf, MomentsOf

FILE = "model.tflite"
SEPARATOR = "+"  # between the parameters in an initializer's name
COPY_BYTES = 16 << 20


def write_language(
    decoder: Decoder, graph_of: GraphOf, plan: QuantPlan, moments: MomentsOf, out: Path, parent: str
) -> CompiledModel:
    """Write `out`/model.tflite.

    `graph_of(tokens, segments, places)` is the decoder's ONNX graph, whose weights are read when they are asked for.
    `moments(parameter)` are the second moments of what flows into its layer, or None.

    Raises UnsupportedError where the weights are too many for the format.
    """
    (context,) = plan.lengths
    segments, signatures = cache_segments(context), language_signatures(context)
    places = context + CHUNKS[-1]
    graphs = ((one.name, graph_of(one.tokens, segments[: one.segments], places)) for one in signatures)
    first = graph_of(1, segments[:1], places)
    with tempfile.TemporaryDirectory(prefix="weights-", dir=out) as spool:
        with (Path(spool) / "codes").open("w+b") as codes:
            packed = dict(_packed_matrices(first, plan, moments, codes))
            lowered = lower_graphs(graphs, None, None, packed=packed)
        if plan.cache_writers:
            shape = CacheShape(len(decoder.layers), decoder.kv_heads, decoder.head_dim, plan.kv_cache)
            add_cache_writers(lowered, shape, segments, {one.tokens for one in signatures})
        lowered.write(out / FILE)
        stored = tuple(_stored(first, packed))
        del lowered, packed  # they map the spool
    return CompiledModel(
        root=out,
        digest=files_digest(out, [FILE]),
        parent=parent,
        backend="tflite",
        scheme=plan.scheme,
        runtime="ai-edge-litert",
        files=(FILE,),
        lengths=(),
        stored=stored,
        kept_float=(),
        language=LanguageSpec(
            context=context,
            vocabulary=decoder.vocabulary,
            layers=len(decoder.layers),
            kv_heads=decoder.kv_heads,
            head_dim=decoder.head_dim,
            kv_cache=plan.kv_cache,
            segments=segments,
            signatures=signatures,
        ),
    )


def _packed_matrices(
    graph: onnx_ir.Graph, plan: QuantPlan, moments: MomentsOf, codes: BinaryIO
) -> Iterator[tuple[str, PackedMatrix]]:
    """Every matrix that the plan knows, rounded as it wants and mapped from `codes`."""
    for name, value in graph.initializers.items():
        tensor = value.const_value
        parameters = name.split(SEPARATOR)
        if tensor is None or len(tensor.shape) != 2 or not all(parameter in plan.choices for parameter in parameters):
            continue
        choices = [plan.choices[parameter] for parameter in parameters]
        chosen = max(choices, key=lambda choice: BITS[choice.precision])  # of matrices side by side the finest
        values = tensor.numpy()
        group = chosen.group if chosen.precision == "int4" else None
        precision: Precision = chosen.precision
        if group and values.shape[1] % group:
            precision, group = "int8", None  # LiteRT has no part of a block
        if precision == "fp32":
            yield name, PackedMatrix("fp32", values.shape[1], _spooled(values, codes), np.zeros(0, np.float32))
            continue
        known = moments(parameters[0]) if precision == "int4" else None
        if known is not None:  # what was added to fill a block is given nothing
            known = np.pad(known, (0, values.shape[1] - len(known)))
        rounded = round_matrix(values, BITS[precision], group, known)
        if precision == "int8":
            yield name, PackedMatrix("int8", values.shape[1], _spooled(rounded.codes, codes), rounded.scales[:, 0])
        else:
            halves = rounded.codes.astype(np.uint8) & 15
            nibbles = halves[:, ::2] | halves[:, 1::2] << 4
            scales = rounded.scales.astype(np.float16)
            yield name, PackedMatrix("int4", values.shape[1], _spooled(nibbles, codes), scales, group)


def _spooled(values: NDArray[Any], codes: BinaryIO) -> NDArray[Any]:
    """The same values, mapped from the end of the file."""
    start = codes.seek(0, 2)
    codes.write(np.ascontiguousarray(values).data)
    codes.flush()
    return np.memmap(codes, values.dtype, "r", start, values.shape)


def _stored(graph: onnx_ir.Graph, packed: Mapping[str, PackedMatrix]) -> Iterator[StoredTensor]:
    """One entry for each parameter; those side by side share their bytes evenly by name."""
    for name, value in graph.initializers.items():
        tensor = value.const_value
        if tensor is None or value.dtype is None or value.dtype.name != "FLOAT" or " " in name:
            continue
        parameters = name.split(SEPARATOR)
        matrix = packed.get(name)
        size = tensor.size * 4 if matrix is None else matrix.bytes
        precision: Precision = "fp32" if matrix is None else matrix.precision
        for parameter in parameters:
            yield StoredTensor(parameter, name, precision, size // len(parameters))
