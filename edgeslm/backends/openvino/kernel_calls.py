"""Which kernels one run of an IR calls, and with which shapes: read from what OpenVINO makes of it here.

OpenVINO joins operators as it compiles a graph, by the shapes, the processor and its release. So the graph is compiled
and run once, and the plugin is asked what it ran (2026.4.1 tells shapes after a run). Kinds are those of kernel_file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeslm.backends.openvino.installed import import_openvino
from edgeslm.backends.openvino.ir import read_ir
from edgeslm.cost.kernels import ACTIVATED, STATIC, KernelCall
from edgeslm.cost.law import PRODUCT, SELF_ATTENTION

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

Shape = tuple[int, ...]

ACTIVATIONS = frozenset({"Gelu", "Erf", "Tanh", "Relu", "Sigmoid", "Swish", "HSwish", "Mish", "Elu", "PRelu"})
INTEGERS = frozenset({"int8", "uint8"})
VIEWS = frozenset({"Reshape", "ShapeOf", "Broadcast", "Range"})
"""They compute a shape, or nothing."""
NONE = frozenset({"Input", "Const", "Output", "Result", "Parameter"})
ELEMENTWISE, NORM, MOVED = "add both", "mvn", "transpose"


def run_calls(root: Path, tokens: int, parameter_of: Mapping[str, str]) -> tuple[KernelCall, ...]:
    """The calls of one run at `tokens` tokens, in the order they run. `parameter_of`: constant's name -> parameter."""
    return graph_calls(read_ir(root), tokens, parameter_of)


def graph_calls(graph: openvino.Model, tokens: int, parameter_of: Mapping[str, str]) -> tuple[KernelCall, ...]:
    """The same of a graph in memory. Its sides that are symbolic are as long as a text."""
    kinds = {operation.get_friendly_name(): operation.get_type_name() for operation in graph.get_ordered_ops()}
    nodes = [node for node in _nodes_run(graph, tokens) if _told(node, "layerType") not in NONE]
    part = _parts(nodes, kinds)
    return tuple(
        call
        for node in nodes
        if node.get_friendly_name() not in part
        for call in _calls(node, tokens, kinds, parameter_of)
    )


def _nodes_run(graph: openvino.Model, tokens: int) -> Sequence[Any]:
    """The compiled graph's operations after one run, which have shapes then."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}
    compiled = import_openvino().Core().compile_model(graph, "CPU", settings)
    given = {}
    for one in compiled.inputs:
        shape = [tokens if side.is_dynamic else side.get_length() for side in one.get_partial_shape()]
        given[one.get_any_name()] = np.ones(shape, one.get_element_type().to_dtype())
    compiled.create_infer_request().infer(given)
    nodes: Sequence[Any] = compiled.get_runtime_model().get_ordered_ops()
    return nodes


def _parts(nodes: Sequence[Any], kinds: Mapping[str, str]) -> set[str]:
    """Nodes that a kernel was measured with: what scales and shifts a norm's result, and what scales and turns keys."""
    found = set()
    for node in nodes:
        if _told(node, "layerType") == "Eltwise" and any(
            _told(one, "layerType") == "MVN" and _only_read_by(one, node) for one in _sources(node)
        ):
            found.add(node.get_friendly_name())
        if _is_attention(node, kinds):
            turned = [one for one in _sources(node) if _told(one, "layerType") == "Transpose"]
            scaled = [one for key in turned for one in _behind_views(key) if _told(one, "layerType") == "Eltwise"]
            found |= {one.get_friendly_name() for one in (*turned, *scaled)}
    return found


def _sources(node: Any) -> list[Any]:
    return [value.get_node() for value in node.input_values()]


def _only_read_by(node: Any, reader: Any) -> bool:
    readers = {one.get_node().get_friendly_name() for one in node.output(0).get_target_inputs()}
    return readers == {reader.get_friendly_name()}


def _behind_views(node: Any) -> list[Any]:
    return [
        further for one in _sources(node) for further in (_sources(one) if _told(one, "layerType") in VIEWS else [one])
    ]


def _is_attention(node: Any, kinds: Mapping[str, str]) -> bool:
    joined = _joined(node, kinds)
    return "Softmax" in joined and len(joined) > 1 and len(_shape(node.inputs()[0])) == 4


def _joined(node: Any, kinds: Mapping[str, str]) -> list[str]:
    """Kinds of the graph's operations that one node carries out."""
    return [_kind_of(name, kinds) for name in _told(node, "originalLayersNames").split(",")]


def _calls(node: Any, tokens: int, kinds: Mapping[str, str], parameter_of: Mapping[str, str]) -> Iterator[KernelCall]:
    kind = _told(node, "layerType")
    if kind in VIEWS:
        return
    given = [_shape(port) for port in node.inputs()]
    made = _shape(node.output(0))
    if kind == "FullyConnected":
        (*rest, inputs), outputs = given[0], given[1][0]
        rows = math.prod(rest)
        word = "gemv" if rows == 1 else "gemm"
        if str(node.get_input_element_type(0).to_dtype()) in INTEGERS:
            word += STATIC
        elif ACTIVATIONS.intersection(_joined(node, kinds)):
            word += ACTIVATED
        yield KernelCall(word, rows, inputs, outputs, parameters=_parameters(node.input_value(1), parameter_of))
    elif kind == "Gather" and len(given[0]) == 2:
        yield KernelCall(
            "lookup",
            math.prod(given[1]),
            1,
            given[0][1],
            parameters=_parameters(node.input_value(0), parameter_of),
        )
    elif _is_attention(node, kinds):
        heads, depth = _heads(given[0], tokens)
        yield KernelCall(SELF_ATTENTION, tokens, depth, tokens, batch=heads)
    elif kind == "MatMul" and len(made) > 1:
        batch, (rows, outputs) = math.prod(made[:-2]), made[-2:]
        yield KernelCall(PRODUCT, rows, math.prod(given[0]) // max(1, batch * rows), outputs, batch=batch)
    elif kind in {"MVN", "Softmax"}:
        word = NORM if kind == "MVN" else "softmax"
        yield KernelCall(word, math.prod(given[0][:-1]), given[0][-1], 1)
    elif math.prod(made) > 1:
        moved = kind in {"Transpose", "Reorder", "Gather", "Concatenation", "Split", "StridedSlice", "Pad"}
        yield KernelCall(MOVED if moved else ELEMENTWISE, 1, 1, math.prod(made))


def _told(node: Any, key: str) -> str:
    found = node.get_rt_info()
    return str(found[key].astype(str)) if key in found else ""


def _kind_of(name: str, kinds: Mapping[str, str]) -> str:
    """Of an operation that a pass made, as its name begins with it: Softmax_5748."""
    return kinds.get(name) or name.partition("_")[0]


def _shape(port: Any) -> Shape:
    shape = port.get_partial_shape()
    return tuple(side.get_length() for side in shape) if shape.is_static else ()


def _parameters(value: Any, parameter_of: Mapping[str, str]) -> tuple[str, ...]:
    """The checkpoint's, behind what makes floats of them or packs them."""
    node = value.get_node()
    for name in _told(node, "originalLayersNames").split(","):
        if name in parameter_of:
            return (parameter_of[name],)
    inputs = node.input_values()
    return _parameters(inputs[0], parameter_of) if inputs else ()


def _heads(shape: Shape, tokens: int) -> tuple[int, int]:
    """(heads, numbers of each) of queries [1, tokens, heads, numbers] in any order that leaves heads before numbers."""
    sides = list(shape[1:])
    sides.remove(tokens)
    heads, depth = sides
    return heads, depth
