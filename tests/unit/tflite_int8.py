"""Small static-int8 .tflite nets by hand, and what runtimes say of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.tflite.graph import Graph
from edgeslm.formats.tflite import pack_tflite, parse_tflite, schema
from tests.unit.tflite_models import a_model

Array = NDArray[Any]


class Net:
    """Operators in the order in which they are added. Tensors are indices."""

    def __init__(self) -> None:
        self.model = a_model()
        self.graph = Graph(self.model)
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    def input(self, shape: Sequence[int], scale: float | None = None, zero: int = 0, dtype: Any = np.int8) -> int:
        index = self.tensor(f"in{len(self.inputs)}", shape, scale, zero, dtype)
        self.inputs.append(index)
        return index

    def tensor(self, name: str, shape: Sequence[int], scale: float | None, zero: int = 0, dtype: Any = np.int8) -> int:
        index = self.graph.add_tensor(name, shape, dtype)
        if scale is not None:
            self.scale(index, [scale], [zero])
        return index

    def constant(
        self, values: Array, scales: Sequence[float] | None = None, zeros: Sequence[int] = (0,), axis: int = 0
    ) -> int:
        index = self.graph.add_constant(f"c{len(self.graph.subgraph.tensors)}", values)
        if scales is not None:
            self.scale(index, scales, list(zeros) * len(scales) if len(zeros) == 1 else zeros, axis)
        return index

    def scale(self, index: int, scales: Sequence[float], zeros: Sequence[int], axis: int = 0) -> None:
        quantization = schema().QuantizationParametersT()
        quantization.scale = np.array(scales, np.float32)
        quantization.zeroPoint = np.array(zeros, np.int64)
        quantization.quantizedDimension = axis
        self.graph.subgraph.tensors[index].quantization = quantization

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        scale: float | None = None,
        zero: int = 0,
        dtype: Any = np.int8,
        **options: Any,
    ) -> int:
        """`options` are the fields of the schema's options, and `options_of` names those where it is not the kind's."""
        output = self.tensor(f"t{len(self.graph.subgraph.tensors)}", shape, scale, zero, dtype)
        self.place(kind, inputs, [output], **options)
        return output

    def place(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        name = options.pop("options_of", "".join(part.title() for part in kind.split("_")) + "Options")
        given = getattr(schema(), name + "T", lambda: None)()
        for field, value in options.items():
            assert hasattr(given, field), field
            setattr(given, field, value)
        self.graph.subgraph.operators.append(self.graph.make(kind, inputs, outputs, given))

    def pack(self, *outputs: int) -> bytes:
        """The file, its outputs these or those that were set."""
        self.graph.subgraph.inputs = np.array(self.inputs, np.int32)
        self.graph.subgraph.outputs = np.array(outputs or self.outputs, np.int32)
        return bytes(pack_tflite(self.model))


def run_micro(raw: bytes, sets: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """By TensorFlow Lite Micro's own interpreter and its reference kernels: the outputs for each set of inputs."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(raw, arena_size=1 << 20)
    count = int(schema().Model.GetRootAs(raw, 0).Subgraphs(0).OutputsLength())
    results = []
    for inputs in sets:
        for index, values in enumerate(inputs):
            interpreter.set_input(values, index)
        interpreter.invoke()
        results.append([interpreter.get_output(index).copy() for index in range(count)])
    return results


def run_reference(raw: bytes, sets: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """By LiteRT's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # type: ignore[import-untyped]

    interpreter = Interpreter(model_content=raw, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    results = []
    for inputs in sets:
        for one, values in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(one["index"], values)
        interpreter.invoke()
        results.append([interpreter.get_tensor(one["index"]).copy() for one in interpreter.get_output_details()])
    return results


def run_by_parts(raw: bytes, sets: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """GELU, which TensorFlow Lite Micro has not, by LiteRT's reference kernel, and what is between by the former.

    A whole net is not LiteRT's to judge: its FULLY_CONNECTED with weights by channel rounds once.
    """
    model = parse_tflite(raw, "net")
    graph = Graph(model)
    operators, ends = graph.operators, ([int(one) for one in graph.subgraph.inputs], list(graph.subgraph.outputs))
    known = [dict(zip(ends[0], inputs, strict=True)) for inputs in sets]
    gelus = [place for place, one in enumerate(operators) if graph.kind(one) == "GELU"]
    cuts = [0, *(cut for place in gelus for cut in (place, place + 1)), len(operators)]
    for first, last in pairwise(cuts):
        part = operators[first:last]
        made = [int(index) for one in part for index in one.outputs]
        read = dict.fromkeys(int(index) for one in part for index in one.inputs if index >= 0)
        graph.subgraph.inputs = np.array([index for index in read if index in known[0]], np.int32)
        graph.subgraph.outputs = np.array(made, np.int32)
        graph.subgraph.operators = part
        given = [[values[int(index)] for index in graph.subgraph.inputs] for values in known]
        runtime = run_reference if first in gelus else run_micro
        for values, results in zip(known, runtime(bytes(pack_tflite(model)), given), strict=True):
            values.update(zip(made, results, strict=True))
    return [[values[int(index)] for index in ends[1]] for values in known]


def sample(shape: Sequence[int], seed: int) -> Array:
    """Random int8, and all the extremes: seed 0 is all -128, 1 all 127, 2 both mixed, 3 a ramp of all 256."""
    if seed < 2:
        return np.full(shape, (-128, 127)[seed], np.int8)
    random = np.random.default_rng(seed)
    if seed == 2:
        return random.choice(np.array([-128, 127], np.int8), shape)
    if seed == 3:
        return (np.arange(np.prod(shape, dtype=int)) - 128).astype(np.int8).reshape(shape)
    return random.integers(-128, 128, shape).astype(np.int8)
