"""ONNX -> one float .tflite: by our own lowering, or onnx2tf converts each length's graph, and our rewrites and a merge
make them one file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Converter, LoweredModel, OnnxModel
from edgeslm.backends.tflite.conversion import convert, reject_custom_operators
from edgeslm.backends.tflite.embedding import look_up_tables, restore_tables
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.linear import connect_fully
from edgeslm.backends.tflite.lower.file import lower_graphs
from edgeslm.backends.tflite.merge import merge
from edgeslm.backends.tflite.parity import same_results
from edgeslm.backends.tflite.repair import repair_running_sums
from edgeslm.backends.tflite.weights import orientations
from edgeslm.cache import cache_folder
from edgeslm.digest import files_digest
from edgeslm.errors import InternalError
from edgeslm.formats.onnx_file import load_onnx
from edgeslm.formats.quiet import quiet_output
from edgeslm.formats.tflite import read_tflite, write_tflite
from edgeslm.formats.weight_index import WeightIndex

FILE = "model.tflite"


def signature_names(lengths: tuple[int, ...]) -> dict[int, str]:
    """Length bucket -> signature of the .tflite; key 0 for a plain module."""
    return {length: f"tokens_{length}" for length in lengths} or {0: "run"}


def lower(model: OnnxModel, out: Path, converter: Converter | None) -> LoweredModel:
    """Write `out`/model.tflite. Raises UnsupportedOpError where a graph cannot be lowered, ToolFailedError where
    onnx2tf fails."""
    index = WeightIndex.of(model)
    with quiet_output(cache_folder() / "logs" / "tflite-lower.log"):
        graphs = _convert(model, index, out) if converter == "onnx2tf" else _lower(model, index, out)
    return LoweredModel(
        root=out,
        digest=files_digest(out, [FILE]),
        parent=model.digest,
        backend="tflite",
        files=(FILE,),
        tensors=name_tensors(graphs, index),
        lengths=model.lengths,
    )


def _lower(model: OnnxModel, index: WeightIndex, out: Path) -> Sequence[Graph]:
    """By our own operators; the graphs of the file."""
    sources = ((name, load_onnx(model.path(length)).graph) for length, name in signature_names(model.lengths).items())
    lowered = lower_graphs(sources, model.inputs, model.outputs, _tables(model, index))
    lowered.write(out / FILE)
    _require_opens(out / FILE, model)
    if not same_results(model, out / FILE, signature_names(model.lengths)):
        raise InternalError("the lowered model computes something else than its ONNX graph", "--converter onnx2tf")
    return lowered.graphs


def _convert(model: OnnxModel, index: WeightIndex, out: Path) -> Sequence[Graph]:
    """By onnx2tf; the graphs of the file."""
    merged = _write(model, index, out, simplify=False)
    if not same_results(model, out / FILE, signature_names(model.lengths)):
        # onnx2tf may get a pattern wrong that onnx-simplifier writes differently.
        merged = _write(model, index, out, simplify=True)
    return [Graph(merged, position) for position in range(len(merged.subgraphs))]


def _write(model: OnnxModel, index: WeightIndex, out: Path, *, simplify: bool) -> Any:
    """Convert, rewrite, merge; the ModelT that lies in `out` then."""
    signatures = signature_names(model.lengths)
    tables = _tables(model, index)
    with tempfile.TemporaryDirectory(prefix="onnx2tf-", dir=out) as work:
        converted = convert(model, list(signatures), Path(work), simplify=simplify)
        parts: dict[str, Any] = {}
        for length, signature in signatures.items():
            parts[signature] = read_tflite(converted[length])
            reject_custom_operators(parts[signature], model, length)
            graph = Graph(parts[signature])
            repair_running_sums(graph)
            connect_fully(graph)
            look_up_tables(graph)
            restore_tables(graph, tables)
            graph.drop_unused()
    merged = merge(parts, model.inputs, model.outputs)
    write_tflite(merged, out / FILE)
    _require_opens(out / FILE, model)
    return merged


def name_tensors(graphs: Sequence[Graph], index: WeightIndex) -> dict[str, str]:
    """Constant's name in the .tflite -> checkpoint parameter with its values."""
    names: dict[str, str] = {}
    known: dict[int, str | None] = {}
    for graph in graphs:
        for tensor in range(len(graph.subgraph.tensors)):
            buffer = graph.subgraph.tensors[tensor].buffer
            if buffer and buffer not in known:
                values = graph.constant(tensor)
                known[buffer] = None if values is None or values.dtype != np.float32 else _parameter(index, values)
            parameter = known.get(buffer)
            if parameter is not None:
                names[graph.name(tensor)] = parameter
    return names


def _parameter(index: WeightIndex, values: NDArray[np.float32]) -> str | None:
    found = (index.parameter(one) for one in orientations(values))
    return next((parameter for parameter in found if parameter is not None), None)


def _tables(model: OnnxModel, index: WeightIndex) -> dict[str, NDArray[np.float32]]:
    """The checkpoint's matrices that the graphs look rows up in, by parameter."""
    graph = load_onnx(model.path()).graph
    looked_up = {node.inputs[0].name for node in graph.all_nodes() if node.op_type == "Gather" and node.inputs[0]}
    parameters = dict.fromkeys(model.parameter_of[name] for name in looked_up if name in model.parameter_of)
    matrices = {parameter: index.values(parameter) for parameter in sorted(parameters)}
    return {parameter: values for parameter, values in matrices.items() if values.ndim == 2}


def _require_opens(path: Path, model: OnnxModel) -> None:
    """The runtime opens the file and sees the inputs as they are meant."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # the package has no types

    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        signatures = interpreter.get_signature_list()
    except (RuntimeError, ValueError) as error:
        raise InternalError(f"LiteRT does not open the lowered model: {error}") from error
    for length, name in signature_names(model.lengths).items():
        expected = {spec.name for spec in model.inputs}, {spec.name for spec in model.outputs}
        found = set(signatures[name]["inputs"]), set(signatures[name]["outputs"])
        if found != expected:
            raise InternalError(f"signature {name} (length {length}) has {found}, it should have {expected}")
