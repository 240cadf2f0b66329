"""Small ONNX graphs, written node by node, run by ONNX Runtime and as graphs for compilers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir
import onnxruntime
from numpy.typing import NDArray

from edgeslm.export.graph_writer import GraphWriter, extents
from edgeslm.ir.graph import Graph
from edgeslm.ir.import_onnx import import_onnx
from edgeslm.ir.interpret import Interpreter
from edgeslm.ir.passes import fuse

Array = NDArray[Any]
Value = onnx_ir.Value


class Sketch(GraphWriter):
    """Arithmetic in few words."""

    def mul(self, a: Value, b: Value | float) -> Value:
        return self._binary("Mul", a, b)

    def plus(self, a: Value, b: Value | float) -> Value:
        return self._binary("Add", a, b)

    def minus(self, a: Value, b: Value | float) -> Value:
        return self._binary("Sub", a, b)

    def over(self, a: Value, b: Value | float) -> Value:
        return self._binary("Div", a, b)

    def power(self, a: Value, b: float) -> Value:
        return self._binary("Pow", a, b)

    def apply(self, operator: str, x: Value) -> Value:
        return self.add(operator, [x], extents(x))

    def reduce(self, operator: str, x: Value, axis: int = -1, *, keep: bool = True) -> Value:
        shape = list(extents(x))
        shape[axis] = 1
        left = shape if keep else [extent for place, extent in enumerate(shape) if place != axis % len(shape)]
        axes = self.constant(f"integers [{axis}]", np.array([axis], np.int64))
        return self.add(operator, [x, axes], left, keepdims=int(keep))

    def _binary(self, operator: str, a: Value, b: Value | float) -> Value:
        return self.binary(operator, a, scalar(f"{b!r}", b) if isinstance(b, float) else b)


Write = Callable[[Sketch], Value]


def written(write: Write) -> onnx_ir.Model:
    """The graph whose output `y` is what `write` returns."""
    graph = Sketch("small")
    graph.layer = "model.part"
    graph.output("y", write(graph))
    model = graph.model()
    for node in model.graph:
        for value in node.inputs:  # those that `known` made
            if value is not None and value.const_value is not None and value.name not in model.graph.initializers:
                model.graph.initializers[str(value.name)] = value
    return model


def ask_runtime(model: onnx_ir.Model, feed: Mapping[str, Array]) -> Array:
    data = onnx_ir.serde.serialize_model(model).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    answer: Array = session.run(None, dict(feed))[0]
    return answer


def fused(write: Write, feed: Mapping[str, Array]) -> Graph:
    """The fused graph, which gives what ONNX Runtime gives, as its plain form does."""
    model = written(write)
    expected = ask_runtime(model, feed)
    plain = import_onnx(model.graph, "cortexm")
    graph = fuse(plain)
    for one in (plain, graph):
        (found,) = Interpreter(one).run(feed).values()
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return graph


def known(name: str, values: Array) -> onnx_ir.Value:
    """A constant, of no axis where it has none."""
    return onnx_ir.Value(
        name=name,
        shape=onnx_ir.Shape(values.shape),
        type=onnx_ir.TensorType(onnx_ir.DataType.from_numpy(values.dtype)),
        const_value=onnx_ir.tensor(values, name=name),
    )


def scalar(name: str, value: float) -> onnx_ir.Value:
    return known(name, np.array(value, np.float32))


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape), np.float32)
