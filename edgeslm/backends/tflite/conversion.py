"""Running onnx2tf in its own environment, and telling what it refused."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from edgeslm.artifacts import OnnxModel
from edgeslm.backends.tflite.environment import python_of
from edgeslm.cache import cache_folder
from edgeslm.errors import InternalError, ToolFailedError, UnsupportedOpError
from edgeslm.formats.onnx_file import load_onnx
from edgeslm.toolchain import run_tool

SCRIPT = Path(__file__).parent / "onnx2tf_script.py"
REFUSED = re.compile(r"\bop=(?P<op>\S+) node=(?P<node>\S*) reason_code=(?P<reason>\S+)(?: message=(?P<message>.*))?")
"""How onnx2tf's flatbuffer_direct says that it cannot take a node."""
LAYER = "edgeslm.layer"
"""A node's metadata that holds the checkpoint's module it comes from."""
SMALL = 200_000_000  # bytes of weights up to which several lengths are converted at a time
TRIM_LESS = {"MALLOC_TRIM_THRESHOLD_": str(2**33), "MALLOC_MMAP_THRESHOLD_": str(2**33)}
"""glibc keeps what onnx2tf frees, whole copies of the weights, instead of asking the kernel again: a quarter faster."""


def convert(model: OnnxModel, lengths: list[int], work: Path, *, simplify: bool) -> dict[int, Path]:
    """onnx2tf's float32 file of each length's graph, below the folder `work`.

    `simplify` sends the graphs through onnx-simplifier first, which takes several times as long; without it, only
    those that onnx2tf fails on. Raises UnsupportedOpError for a node that it refuses, ToolFailedError else.
    """
    folders = {length: work / str(length) for length in lengths}
    job = work / "job.json"
    # Each conversion holds the weights about ten times over.
    small = model.path(lengths[0]).with_name(model.weights).stat().st_size <= SMALL
    at_once = min(len(lengths), len(os.sched_getaffinity(0)), 4) if small else 1
    graphs = [[str(model.path(length).resolve()), str(folders[length])] for length in lengths]
    job.write_text(
        json.dumps(
            {"graphs": graphs, "keep": [spec.name for spec in model.inputs], "simplify": simplify, "at_once": at_once}
        )
    )
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


def reject_custom_operators(part: Any, model: OnnxModel, length: int) -> None:
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
