"""ONNX -> OpenVINO's IR in float32, with a symbolic length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeslm.artifacts import Converter, LoweredModel, OnnxModel
from edgeslm.backends.openvino.installed import import_openvino
from edgeslm.backends.openvino.ir import FILES, constants, evaluate, save_ir, source_constants, values_of
from edgeslm.cache import cache_folder
from edgeslm.digest import files_digest
from edgeslm.errors import InternalError, UnsupportedOpError
from edgeslm.formats.onnx_file import load_onnx
from edgeslm.formats.quiet import quiet_output
from edgeslm.formats.weight_index import WeightIndex

if TYPE_CHECKING:
    import onnx_ir
    import openvino  # type: ignore[import-untyped]  # the package has no types

UNCONVERTED = re.compile(r"No conversion rule found for operations: (.+)")
FAILED_NODE = re.compile(r"<Node\((?P<op>[\w.]+)\)(?:: (?P<name>[^>]*))?>|name[:=] ?'?(?P<other>node_\w+)'?")
HINT = "try --backend tflite, or a model whose layers avoid this operator"


def lower(model: OnnxModel, out: Path, converter: Converter | None = None) -> LoweredModel:
    """OpenVINO's own converter carries it out, whatever another backend is told to use.

    Raises UnsupportedOpError, naming operator, node and layer, where OpenVINO cannot take the graph."""
    openvino = import_openvino()
    path = model.path(min(model.files))
    index = WeightIndex.of(model)
    with quiet_output(cache_folder() / "logs" / "openvino-lower.log"):
        try:
            graph = openvino.convert_model(str(path))
            _fold_einsums(graph)
            openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        except Exception as error:  # its C++ exceptions arrive as types of no common base
            raise _explained(str(error), path, model.parameter_of) from error
        _require_names(graph, model)
        tensors = _name_constants(graph, index)
        save_ir(graph, out, {})
    return LoweredModel(
        root=out,
        digest=files_digest(out, FILES),
        parent=model.digest,
        backend="openvino",
        files=FILES,
        tensors=tensors,
        lengths=model.lengths,
    )


def _fold_einsums(graph: openvino.Model) -> None:
    """Compute what Einsums make of constants here. OpenVINO 2026.4 folds one into the next with its axes swapped:
    Funnel's relative positions came out wrong (worst cosine 0.997)."""
    from openvino import opset13 as ops

    einsums = [
        operation
        for operation in graph.get_ordered_ops()
        if operation.get_type_name() == "Einsum" and source_constants(operation) is not None
    ]
    for einsum, values in zip(einsums, list(evaluate(einsums)), strict=True):
        folded = ops.constant(values)
        for target in list(einsum.output(0).get_target_inputs()):
            target.replace_source_output(folded.output(0))


def _require_names(graph: openvino.Model, model: OnnxModel) -> None:
    for ports, specs in ((graph.inputs, model.inputs), (graph.outputs, model.outputs)):
        got, wanted = [port.get_names() for port in ports], [spec.name for spec in specs]
        if len(got) != len(wanted) or any(name not in names for name, names in zip(wanted, got, strict=True)):
            raise InternalError(f"OpenVINO made {got} of the tensors {wanted}")


def _name_constants(graph: openvino.Model, index: WeightIndex) -> dict[str, str]:
    """Give constants that hold a checkpoint parameter its name, and let equal ones be one again: the converter copies
    what layers share (ALBERT's, a tied decoder's). A copy that lies transposed gets a number.

    Returns constant's name -> parameter.
    """
    parameter_of: dict[str, str] = {}
    named: dict[str, openvino.Node] = {}
    for constant in list(constants(graph)):
        if str(constant.get_element_type().to_dtype()) != "float32" or constant.get_output_size() == 0:
            continue
        parameter = index.parameter(values_of(constant))
        if parameter is None:
            continue
        name, copy = parameter, 1
        while name in named and not _is_equal(named[name], constant):
            copy += 1
            name = f"{parameter}#{copy}"
        if name in named:
            for target in list(constant.output(0).get_target_inputs()):
                target.replace_source_output(named[name].output(0))
            continue
        constant.set_friendly_name(name)
        named[name] = constant
        parameter_of[name] = parameter
    return parameter_of


def _is_equal(one: openvino.Node, other: openvino.Node) -> bool:
    return np.array_equal(values_of(one), values_of(other))


def _explained(message: str, path: Path, parameter_of: dict[str, str]) -> UnsupportedOpError:
    """The conversion error as ours: the operator it names, the first node of that kind, the layer it lies in."""
    graph = load_onnx(path).graph
    found = UNCONVERTED.search(message)
    failed = FAILED_NODE.search(message)
    if found:
        op = found[1].split(",")[0].strip().rsplit("-", 1)[0]
        node = next((node for node in graph if op in {node.op_type, f"{node.domain}.{node.op_type}"}), None)
        detail = "OpenVINO has no conversion for it"
    else:
        name = (failed["name"] or failed["other"] or "").strip() if failed else ""
        node = next((node for node in graph if node.name == name), None)
        op = node.op_type if node else (failed["op"] or "unknown") if failed else "unknown"
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        detail = lines[-1] if lines else "OpenVINO gave no reason"
    layer = next(_layers_above(node, parameter_of), None) if node else None
    return UnsupportedOpError(op, (node.name if node else None) or "unknown", layer, "openvino", detail, HINT)


def _layers_above(node: onnx_ir.Node, parameter_of: dict[str, str]) -> Iterator[str]:
    """Module paths of the parameters that flow into a node, the nearest first."""
    waiting, seen = [node], {node}
    while waiting:
        current = waiting.pop(0)
        for value in current.inputs:
            if value is None:
                continue
            if value.name in parameter_of:
                yield parameter_of[value.name].rpartition(".")[0]
            producer = value.producer()
            if producer is not None and producer not in seen:
                seen.add(producer)
                waiting.append(producer)
