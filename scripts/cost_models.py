"""Whole models of a bundle as a cost model sees them: calls, and how matrices are stored."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeslm.artifacts import TensorChoice
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.kernel_calls import kernel_calls
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.bundle.manifest import Manifest
from edgeslm.cost.kernels import LINEAR, KernelCall
from edgeslm.cost.predict import Task
from edgeslm.device.probe.sections import reference_length
from edgeslm.formats.archive import open_archive
from edgeslm.formats.tflite import read_tflite, schema

MOST = 1 << 30
STEP = "step_"
NIBBLES = "4 bits"


@dataclass(frozen=True)
class BuiltModel:
    """One run of a bundle's model: an inference of `tokens` tokens, or a step at that depth."""

    task: Task
    tokens: int
    calls: tuple[KernelCall, ...]
    choices: dict[str, TensorChoice]
    backend: str = "tflite"


def read_built(bundle: Path) -> BuiltModel:
    """At the length that a probe's headline is of."""
    manifest = inspect_bundle(bundle).manifest
    if manifest.backend == "openvino":
        return _read_ir(bundle, manifest)
    name = f"model/{Path(manifest.model.files[0]).name}"
    with open_archive(bundle) as archive, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(archive.read(name, MOST))
        model = read_tflite(path)
    signatures = {one.signatureKey.decode(): one.subgraphIndex for one in model.signatureDefs}
    if manifest.task == "generation":
        task: Task = "decoder"
        tokens, chosen = 64, next(key for key in signatures if key.startswith(STEP))
    else:
        task, found = "encoder", reference_length(manifest.model.lengths)
        assert found is not None
        tokens, chosen = found, manifest.model.signatures[str(found)]
    graph = Graph(model, signatures[chosen])
    names = {graph.name(tensor): (graph.name(tensor),) for tensor in range(len(graph.subgraph.tensors))}
    return BuiltModel(task, tokens, tuple(kernel_calls(graph, names)), _choices(graph))


def _read_ir(bundle: Path, manifest: Manifest) -> BuiltModel:
    """An encoder's. Weights have the names of the constants that hold their codes."""
    from edgeslm.backends.openvino.ir import constants, read_ir
    from edgeslm.backends.openvino.kernel_calls import graph_calls

    tokens = reference_length(manifest.model.lengths or (None,))
    assert tokens is not None
    with open_archive(bundle) as archive, tempfile.TemporaryDirectory() as folder:
        for file in manifest.model.files:
            (Path(folder) / Path(file).name).write_bytes(archive.read(file, MOST))
        graph = read_ir(Path(folder))
        stored = list(constants(graph))
        choices = {}
        for one in stored:
            kind, shape = one.get_element_type().get_type_name(), tuple(one.get_output_shape(0))
            if kind == "u4":
                choices[one.get_friendly_name()] = TensorChoice("int4", "", shape[-1])
            elif kind in ("i8", "u8", "f16"):
                choices[one.get_friendly_name()] = TensorChoice("fp16" if kind == "f16" else "int8", "")
        names = {one.get_friendly_name(): one.get_friendly_name() for one in stored}
        calls = tuple(map(_nibbles, graph_calls(graph, tokens, names)))
    blocks = next((one for one in choices.values() if one.precision == "int4"), None)
    if blocks is not None:
        choices[NIBBLES] = blocks
    return BuiltModel("encoder", tokens, calls, choices, "openvino")


def _nibbles(call: KernelCall) -> KernelCall:
    """OpenVINO packs codes of 4 bits anew, and then they have no name: a whole model has blocks of one size."""
    unnamed = call.kind.startswith(LINEAR) and not call.parameters
    return dataclasses.replace(call, parameters=(NIBBLES,)) if unnamed else call


def _choices(graph: Graph) -> dict[str, TensorChoice]:
    types = schema().TensorType
    found = {}
    for tensor in graph.subgraph.tensors:
        name, quantization = tensor.name.decode(), tensor.quantization
        if tensor.type == types.INT4:
            group = int(quantization.details.blockSize) if quantization.details is not None else None
            found[name] = TensorChoice("int4", "", group)
        elif tensor.type == types.INT8:
            found[name] = TensorChoice("int8", "")
    for operator in graph.operators:
        if graph.kind(operator) == "DEQUANTIZE" and graph.dtype(int(operator.inputs[0])) == "FLOAT16":
            found[graph.name(int(operator.outputs[0]))] = TensorChoice("fp16", "")
    return found
