"""Writing an ONNX graph node by node, shapes known at every step, so that nothing has to be inferred afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

OPSET = 20
FLOAT, INT32 = ir.DataType.FLOAT, ir.DataType.INT32
Shape = Sequence[int]
Array = NDArray[Any]


class GraphWriter:
    """Nodes are appended in order. `layer` is the checkpoint's module that the next nodes belong to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.layer = ""
        self._nodes: list[ir.Node] = []
        self._inputs: list[ir.Value] = []
        self._outputs: list[ir.Value] = []
        self._initializers: dict[str, ir.Value] = {}
        self._count = 0

    def input(self, name: str, shape: Shape, dtype: ir.DataType = FLOAT) -> ir.Value:
        value = ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))
        self._inputs.append(value)
        return value

    def output(self, name: str, value: ir.Value) -> None:
        """Call the value `name` and hand it out."""
        value.name = name
        self._outputs.append(value)

    def constant(self, name: str, values: Array) -> ir.Value:
        """One initializer for all that ask for that name."""
        if name not in self._initializers:
            self._enter(name, ir.Tensor(np.ascontiguousarray(values), name=name))
        return self._initializers[name]

    def weight(self, name: str, shape: Shape, read: Callable[[], Array]) -> ir.Value:
        """An initializer whose float32 values are read only by who asks for them."""
        if name not in self._initializers:

            def tensor() -> ir.TensorProtocol:
                values = read()
                assert values.shape == tuple(shape), f"{name} is {values.shape}, described is {tuple(shape)}"
                return ir.Tensor(values, name=name)

            self._enter(name, ir.LazyTensor(tensor, dtype=FLOAT, shape=ir.Shape(shape), name=name))
        return self._initializers[name]

    def add(
        self, kind: str, inputs: Sequence[ir.Value | None], shape: Shape, dtype: ir.DataType = FLOAT, **attributes: Any
    ) -> ir.Value:
        """A node with one result of that shape."""
        self._count += 1
        result = ir.Value(name=f"{kind.lower()}_{self._count}", shape=ir.Shape(shape), type=ir.TensorType(dtype))
        node = ir.node(kind, list(inputs), attributes or None, outputs=[result], name=f"{kind}_{self._count}")
        if self.layer:
            node.metadata_props["edgeslm.layer"] = self.layer
        self._nodes.append(node)
        return result

    def slice(self, value: ir.Value, axis: int, start: int, stop: int) -> ir.Value:
        """Numbers [start, stop) along an axis; the value itself where that is all."""
        shape = list(extents(value))
        if (start, stop) == (0, shape[axis]):
            return value
        shape[axis] = stop - start
        bounds = [self._integers([number]) for number in (start, stop, axis)]
        assert value.dtype is not None
        return self.add("Slice", [value, *bounds], shape, value.dtype)

    def reshape(self, value: ir.Value, shape: Shape) -> ir.Value:
        if extents(value) == tuple(shape):
            return value
        assert value.dtype is not None
        return self.add("Reshape", [value, self._integers(shape)], shape, value.dtype)

    def transpose(self, value: ir.Value, order: Sequence[int]) -> ir.Value:
        """Axes in another order; a reshape where at most one of the moved axes is longer than 1."""
        shape = extents(value)
        moved = [shape[axis] for axis in order]
        if [axis for axis in order if shape[axis] > 1] == [axis for axis in range(len(shape)) if shape[axis] > 1]:
            return self.reshape(value, moved)
        return self.add("Transpose", [value], moved, perm=list(order))

    def concat(self, values: Sequence[ir.Value], axis: int) -> ir.Value:
        if len(values) == 1:
            return values[0]
        shape = list(extents(values[0]))
        shape[axis] = sum(extents(value)[axis] for value in values)
        return self.add("Concat", values, shape, axis=axis)

    def binary(self, kind: str, left: ir.Value, right: ir.Value) -> ir.Value:
        """Add, Mul, Sub, Min with numpy's broadcasting."""
        return self.add(kind, [left, right], np.broadcast_shapes(extents(left), extents(right)))

    def number(self, value: float) -> ir.Value:
        return self.constant(f"number {value:.9g}", np.array(value, dtype=np.float32))

    def model(self) -> ir.Model:
        graph = ir.Graph(
            self._inputs,
            self._outputs,
            nodes=self._nodes,
            initializers=list(self._initializers.values()),
            opset_imports={"": OPSET},
            name=self.name,
        )
        return ir.Model(graph, ir_version=10, producer_name="edgeslm")

    def _integers(self, numbers: Shape) -> ir.Value:
        return self.constant(f"integers {list(numbers)}", np.array(numbers, dtype=np.int64))

    def _enter(self, name: str, tensor: ir.TensorProtocol) -> None:
        self._initializers[name] = ir.Value(
            name=name, shape=ir.Shape(tensor.shape.numpy()), type=ir.TensorType(tensor.dtype), const_value=tensor
        )


def extents(value: ir.Value) -> tuple[int, ...]:
    assert value.shape is not None
    return tuple(int(extent) for extent in value.shape.numpy())
