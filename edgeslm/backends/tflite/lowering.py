"""ONNX -> one float .tflite: onnx2tf converts each length's graph, our rewrites and a merge make them one file."""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import LoweredModel, OnnxModel
from edgeslm.backends.tflite.embedding import look_up_tables, restore_tables
from edgeslm.backends.tflite.environment import python_of
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.linear import connect_fully
from edgeslm.backends.tflite.merge import merge
from edgeslm.cache import cache_folder
from edgeslm.digest import files_digest
from edgeslm.errors import InternalError, ToolFailedError, UnsupportedOpError
from edgeslm.formats.onnx_file import load_onnx
from edgeslm.formats.tflite import read_tflite, write_tflite
from edgeslm.formats.weight_index import WeightIndex
from edgeslm.toolchain import run_tool

FILE = "model.tflite"
SCRIPT = Path(__file__).parent / "onnx2tf_script.py"
REFUSED = re.compile(r"\bop=(?P<op>\S+) node=(?P<node>\S*) reason_code=(?P<reason>\S+)(?: message=(?P<message>.*))?")
"""How onnx2tf's flatbuffer_direct says that it cannot take a node."""
LAYER = "edgeslm.layer"
"""A node's metadata that holds the checkpoint's module it comes from."""
TRIM_LESS = {"MALLOC_TRIM_THRESHOLD_": str(2**33), "MALLOC_MMAP_THRESHOLD_": str(2**33)}
"""glibc keeps what onnx2tf frees, whole copies of the weights, instead of asking the kernel again: a quarter faster."""


def signature_names(lengths: tuple[int, ...]) -> dict[int, str]:
    """Length bucket -> signature of the .tflite; key 0 for a plain module."""
    return {length: f"tokens_{length}" for length in lengths} or {0: "run"}


def lower(model: OnnxModel, out: Path) -> LoweredModel:
    """Write `out`/model.tflite. Raises UnsupportedOpError or ToolFailedError where onnx2tf cannot convert a graph."""
    signatures = signature_names(model.lengths)
    index = WeightIndex.of(model)
    tables = _tables(model, index)
    with tempfile.TemporaryDirectory(prefix="onnx2tf-", dir=out) as work:
        converted = _convert(model, list(signatures), Path(work))
        parts: dict[str, Any] = {}
        for length, signature in signatures.items():
            parts[signature] = read_tflite(converted[length])
            _reject_custom_operators(parts[signature], model, length)
            graph = Graph(parts[signature])
            connect_fully(graph)
            look_up_tables(graph)
            restore_tables(graph, tables)
            graph.drop_unused()
        merged = merge(parts, model.inputs, model.outputs)
        write_tflite(merged, out / FILE)
    _require_opens(out / FILE, model)
    return LoweredModel(
        root=out,
        digest=files_digest(out, [FILE]),
        parent=model.digest,
        backend="tflite",
        files=(FILE,),
        tensors=name_tensors(merged, index),
        lengths=model.lengths,
    )


def name_tensors(model: Any, index: WeightIndex) -> dict[str, str]:
    """Constant's name in the .tflite -> checkpoint parameter with its values."""
    names: dict[str, str] = {}
    known: dict[int, str | None] = {}
    for position in range(len(model.subgraphs)):
        graph = Graph(model, position)
        for tensor in range(len(graph.subgraph.tensors)):
            buffer = graph.subgraph.tensors[tensor].buffer
            if buffer and buffer not in known:
                values = graph.constant(tensor)
                known[buffer] = None if values is None or values.dtype != np.float32 else index.parameter(values)
            parameter = known.get(buffer)
            if parameter is not None:
                names[graph.name(tensor)] = parameter
    return names


def _tables(model: OnnxModel, index: WeightIndex) -> dict[str, NDArray[np.float32]]:
    """The checkpoint's matrices that the graphs look rows up in, by parameter."""
    graph = load_onnx(model.path()).graph
    looked_up = {node.inputs[0].name for node in graph.all_nodes() if node.op_type == "Gather" and node.inputs[0]}
    parameters = dict.fromkeys(model.parameter_of[name] for name in looked_up if name in model.parameter_of)
    matrices = {parameter: index.values(parameter) for parameter in sorted(parameters)}
    return {parameter: values for parameter, values in matrices.items() if values.ndim == 2}


def _convert(model: OnnxModel, lengths: list[int], work: Path) -> dict[int, Path]:
    """onnx2tf's float32 file of each length's graph."""
    folders = {length: work / str(length) for length in lengths}
    job = work / "job.json"
    graphs = [[str(model.path(length).resolve()), str(folders[length])] for length in lengths]
    job.write_text(json.dumps({"graphs": graphs, "keep": [spec.name for spec in model.inputs]}))
    python = python_of("onnx2tf")
    # The log outlives this stage, whose folder is removed when it fails.
    log = cache_folder() / "logs" / f"onnx2tf-{model.digest[:12]}-{secrets.token_hex(4)}.log"
    try:
        run_tool(
            # Isolated from this environment's packages, and without a bytecode cache beside the script.
            [str(python), "-I", "-B", str(SCRIPT), str(job)],
            log,
            env={"PATH": f"{python.parent}:/usr/bin:/bin", "TQDM_DISABLE": "1", **TRIM_LESS},
            cwd=work,
        )
    except ToolFailedError as error:
        refused = list(REFUSED.finditer(log.read_text(errors="replace")))
        if refused:
            raise _unsupported(model, lengths[0], log=log, **refused[-1].groupdict()) from error
        raise
    return {length: _float_file(folder, log) for length, folder in folders.items()}


def _float_file(folder: Path, log: Path) -> Path:
    found = sorted(folder.glob("*_float32.tflite"))
    if len(found) != 1:
        raise InternalError(f"onnx2tf left {len(found)} float32 files in place of one", f"the whole log is in {log}")
    return found[0]


def _reject_custom_operators(part: Any, model: OnnxModel, length: int) -> None:
    """onnx2tf writes what it does not know as a custom operator, which no runtime has."""
    for code in part.operatorCodes:
        if code.customCode:
            operator = code.customCode.decode().removeprefix("ONNX_")
            graph = load_onnx(model.path(length)).graph
            nodes = [node for node in graph.all_nodes() if node.op_type.upper() == operator.upper()]
            name = nodes[0].op_type if nodes else operator
            raise _unsupported(model, length, name, str(nodes[0].name) if nodes else "?", "no such TFLite operator")


def _unsupported(
    model: OnnxModel, length: int, op: str, node: str, reason: str, message: str | None = None, log: Path | None = None
) -> UnsupportedOpError:
    nodes = load_onnx(model.path(length)).graph.all_nodes()
    layers = {str(known.name): known.metadata_props.get(LAYER) for known in nodes}
    detail = f"onnx2tf says {reason}" + (f": {message.strip()}" if message else "")
    hint = "the openvino backend may take it: --backend openvino" + (f"; onnx2tf's log: {log}" if log else "")
    return UnsupportedOpError(op, node, layers.get(node), "tflite", detail, hint)


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
