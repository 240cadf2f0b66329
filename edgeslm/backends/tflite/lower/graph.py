"""One signature's graph while it is lowered: which tensor holds which value of the ONNX graph.

Tensors are named "<signature>/<ONNX value>", unique in the file, which the quantizer wants and layers.json rests on.
LiteRT's kernels take 32-bit indices, so a 64-bit integer of the ONNX graph is a 32-bit one here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edgeslm.backends.tflite.graph import Array, Graph
from edgeslm.backends.tflite.lower.constants import Constants
from edgeslm.backends.tflite.lower.packed import PackedMatrix, add_packed
from edgeslm.errors import UnsupportedOpError
from edgeslm.formats.tflite import schema

if TYPE_CHECKING:
    import onnx_ir

LAYER = "edgeslm.layer"
"""A node's metadata that holds the checkpoint's module it comes from."""
NARROWED = {"INT64": np.int32}
TYPES = {"FLOAT": np.float32, "INT32": np.int32, "INT8": np.int8, "BOOL": np.bool_, **NARROWED}
"""ONNX type -> the type that its values have in the file."""
INT32 = np.iinfo(np.int32)


class LoweringGraph(Graph):
    """A subgraph that grows operator by operator.

    `tables`: matrices of the checkpoint that are looked rows up in. `packed`: initializers that are rounded already, by
    name; their values in the ONNX graph are never read.
    """

    def __init__(
        self,
        model: Any,
        position: int,
        key: str,
        constants: Constants,
        tables: dict[str, Array] | None = None,
        packed: Mapping[str, PackedMatrix] | None = None,
    ) -> None:
        super().__init__(model, position)
        self.key = key
        self.constants = constants
        self.tables = tables or {}
        self.packed = packed or {}
        self._packed: dict[tuple[str, str], int] = {}
        self.entered: dict[str, int] = {}  # inputs whose tensor is another than the value's
        self._tensors: dict[str, int] = {}  # by the ONNX value's name
        self._known: dict[tuple[str, str, int, tuple[int, ...]], int] = {}
        self._names: dict[str, int] = {}

    def shape_of(self, value: onnx_ir.Value) -> tuple[int, ...]:
        """The value's extents. All are known: graphs are of one length each."""
        extents = () if value.shape is None else tuple(value.shape)
        return tuple(extent if isinstance(extent, int) else -1 for extent in extents)

    def values(self, value: onnx_ir.Value | None) -> Array | None:
        """A constant's values, mapped from the file they lie in; None for what is computed or left out."""
        found: Array | None = None if value is None or value.const_value is None else value.const_value.numpy()
        return found

    def integers(self, value: onnx_ir.Value | None) -> list[int] | None:
        """A constant's values as a plain list."""
        found = self.values(value)
        return None if found is None else [int(number) for number in found.reshape(-1)]

    def tensor(self, value: onnx_ir.Value) -> int:
        """The tensor that holds the value."""
        name = str(value.name)
        if name not in self._tensors:
            found = self.values(value)
            assert found is not None, f"{name} is read before it is made"
            self._tensors[name] = self.constant_of(name, found)
        return self._tensors[name]

    def constant_of(self, name: str, values: Array, use: str = "") -> int:
        """A constant of that name, one tensor for all its readers of one `use`: linear layers and lookups that share
        a matrix are quantized apart, so they have a tensor each, and one buffer."""
        if values.dtype == np.int64:
            values = np.clip(values, INT32.min, INT32.max).astype(np.int32)
        key = (name, use, self.constants.buffer(values), values.shape)
        if key not in self._known:
            self._known[key] = self.add_constant(name, values)
        return self._known[key]

    def packed_matrix(self, name: str, use: str) -> int | None:
        """The tensor of a matrix of integers, one for all its readers of one `use`; None where it is of floats."""
        matrix = self.packed.get(name)
        if matrix is not None and (name, use) not in self._packed:
            self._packed[name, use] = add_packed(self, name, matrix)
        return self._packed.get((name, use))

    def index(self, name: str, numbers: Sequence[int] | Array) -> int:
        """A constant of 32-bit integers: extents, axes, beginnings."""
        return self.constant_of(name, np.asarray(numbers, dtype=np.int32))

    def result(self, value: onnx_ir.Value) -> int:
        """A new tensor for a value that an operator makes."""
        tensor = self.add_tensor(str(value.name), self.shape_of(value), self.type_of(value))
        self._tensors[str(value.name)] = tensor
        return tensor

    def same(self, value: onnx_ir.Value, tensor: int) -> None:
        """The value is what another tensor holds already."""
        self._tensors[str(value.name)] = tensor

    def between(self, value: onnx_ir.Value, step: str, shape: Sequence[int], dtype: Any = np.float32) -> int:
        """A tensor on the way to a value."""
        return self.add_tensor(f"{value.name}/{step}", shape, dtype)

    def type_of(self, value: onnx_ir.Value) -> Any:
        name = value.dtype.name if value.dtype is not None else "none"
        if name not in TYPES:
            node = value.producer()
            assert node is not None, f"{value.name}: {name}"
            refuse(node, f"LiteRT has no {name} for it")
        return TYPES[name]

    def emit(self, kind: str, inputs: Sequence[int], output: int, options: str = "", **fields: Any) -> int:
        """Append an operator that makes `output`, which is returned. `options`: the schema's class, less "OptionsT"."""
        chosen = None
        if options:
            chosen = getattr(schema(), f"{options}OptionsT")()
            for field, value in fields.items():
                setattr(chosen, field, value)
        self.subgraph.operators.append(self.make(kind, inputs, [output], chosen))
        return output

    def reshaped(self, tensor: int, shape: Sequence[int], name: str, output: int | None = None) -> int:
        """The same numbers in another shape."""
        if output is None and self.shape(tensor) == tuple(shape):
            return tensor
        made, operator = self.reshape(name, tensor, shape, output)
        self.subgraph.operators.append(operator)
        return made

    def transposed(self, tensor: int, order: Sequence[int], name: str, output: int | None = None) -> int:
        """The tensor with its axes in another order."""
        if output is None:
            shape = self.shape(tensor)
            output = self.add_tensor(name, [shape[axis] for axis in order], self._numpy_type(tensor))
        return self.emit("TRANSPOSE", [tensor, self.index(f"{name}/order", order)], output, "Transpose")

    def add_constant(self, name: str, values: Array) -> int:
        return self.add_content(name, values.shape, values.dtype, values)

    def add_content(self, name: str, shape: Sequence[int], dtype: Any, content: Array) -> int:
        """A constant whose content need not have its shape: two integers of 4 bits share a byte."""
        return self._add(name, shape, dtype, self.constants.buffer(content))

    def constant(self, tensor: int) -> Array | None:
        buffer = self.subgraph.tensors[tensor].buffer
        return self.constants.arrays[buffer].reshape(self.shape(tensor)) if buffer else None

    def _numpy_type(self, tensor: int) -> Any:
        from edgeslm.backends.tflite.graph import DTYPES

        return DTYPES[self.dtype(tensor)]

    def _add(self, name: str, shape: Sequence[int], dtype: Any, buffer: int) -> int:
        plain = name.removeprefix(f"{self.key}/")
        count = self._names[plain] = self._names.get(plain, 0) + 1
        return super()._add(f"{self.key}/{plain}{'' if count == 1 else f'#{count}'}", shape, dtype, buffer)


def refuse(node: onnx_ir.Node, detail: str) -> NoReturn:
    """Say which node cannot be lowered, with its shapes."""
    shapes = ", ".join(_described(value) for value in node.inputs if value is not None)
    made = ", ".join(_described(value) for value in node.outputs)
    raise UnsupportedOpError(
        node.op_type,
        str(node.name),
        node.metadata_props.get(LAYER),
        "tflite",
        f"{detail}; it makes {made} from {shapes or 'nothing'}",
        "the openvino backend may take it: --backend openvino",
    )


def axis_of(node: onnx_ir.Node, rank: int, default: int, name: str = "axis") -> int:
    """The node's axis, counted from the front."""
    return int(attribute(node, name, default)) % max(rank, 1)


def attribute(node: onnx_ir.Node, name: str, default: Any = None) -> Any:
    found = node.attributes.get(name)
    return default if found is None else found.value


def _described(value: onnx_ir.Value) -> str:
    kind = value.dtype.name.lower() if value.dtype is not None else "?"
    extents = "?" if value.shape is None else ", ".join(str(extent) for extent in value.shape)
    return f"{value.name} {kind}[{extents}]"
