"""What an importer reads of an ONNX graph (values, constants, operands), and what it has made of it so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import UnsupportedOpError
from edgeslm.ir.graph import Constant, Dtype, Node, Tensor
from edgeslm.ir.nodes import Kind

if TYPE_CHECKING:
    import onnx_ir

LAYER = "edgeslm.layer"  # metadata of a node: the checkpoint's module it comes from
JOIN = "+"  # between the parameters' names in the name of an initializer that holds several
HINT = "another target builds it; docs/ir.md says what can be compiled"
FIXED = "every shape must be known: export for one length"
DTYPES: dict[str, Dtype] = {
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "INT64": "int32",
    "INT32": "int32",
    "INT16": "int16",
    "INT8": "int8",
    "BOOL": "bool",
}


class OnnxReader:
    """Collects `constants` and `nodes`. What cannot be read is refused in the name of `backend`."""

    def __init__(self, model: onnx_ir.Graph, backend: str, parameter_of: Mapping[str, str] | None) -> None:
        self.model = model
        self.backend = backend
        self.parameter_of = parameter_of
        self.constants: dict[str, Constant] = {}
        self.nodes: list[Node] = []
        self.same: dict[str, str] = {}  # a value -> the one it is equal to

    # ---- Writing ----

    def add(self, node: onnx_ir.Node, kind: Kind, inputs: Sequence[onnx_ir.Value]) -> None:
        """The node of that kind that makes the first output."""
        self.append(node, kind, [self.value(value) for value in inputs], self.tensor(node.outputs[0], node))

    def append(self, node: onnx_ir.Node, kind: Kind, inputs: Sequence[str], output: Tensor) -> str:
        origin = f"{node.op_type} {node.name or output.name}"
        self.nodes.append(Node(kind, tuple(inputs), output, node.metadata_props.get(LAYER, ""), origin))
        return output.name

    # ---- Reading ----

    def given(self, node: onnx_ir.Node, place: int) -> onnx_ir.Value:
        value = node.inputs[place] if place < len(node.inputs) else None
        if value is None:
            self.refuse(node, f"input {place} is left out")
        return value

    def has(self, node: onnx_ir.Node, place: int) -> bool:
        return place < len(node.inputs) and node.inputs[place] is not None

    def value(self, value: onnx_ir.Value) -> str:
        """The name of a value; a constant is entered where it is first read."""
        name = self.same.get(str(value.name), str(value.name))
        tensor = value.const_value
        if tensor is not None and name not in self.constants:
            self.constants[name] = Constant(self.tensor(value, None), self._parameters(name), read=_reader(tensor))
        return name

    def tensor(self, value: onnx_ir.Value, node: onnx_ir.Node | None) -> Tensor:
        """The node is the one that is refused where the value's shape is not known."""
        known = value.const_value if value.const_value is not None else value
        extents = list(known.shape) if known.shape is not None else [None]
        shape = tuple(extent for extent in extents if isinstance(extent, int))
        if len(shape) < len(extents):
            says = "not known" if known.shape is None else str(known.shape)
            self.refuse(node, f"the shape of {value.name} is {says}", FIXED)
        kind = known.dtype.name if known.dtype is not None else "of no known type"
        if kind not in DTYPES:
            self.refuse(node, f"{value.name} is {kind}")
        return Tensor(str(value.name), shape, DTYPES[kind])

    def shape(self, node: onnx_ir.Node, place: int) -> tuple[int, ...]:
        return self.tensor(self.given(node, place), node).shape

    def integers(self, node: onnx_ir.Node, place: int) -> list[int]:
        return [int(number) for number in self.numbers(node, place).reshape(-1)]

    def numbers(self, node: onnx_ir.Node, place: int) -> NDArray[Any]:
        tensor = self.given(node, place).const_value
        if tensor is None:
            self.refuse(node, f"input {place} is computed, and must be known", FIXED)
        return tensor.numpy()

    def refuse(self, node: onnx_ir.Node | None, detail: str, hint: str = HINT) -> NoReturn:
        """Raises UnsupportedOpError with the node and its layer; without a node, it is an input."""
        if node is None:
            raise UnsupportedOpError("Input", str(self.model.name), None, self.backend, detail, hint)
        name, layer = str(node.name or node.outputs[0].name), node.metadata_props.get(LAYER)
        raise UnsupportedOpError(node.op_type, name, layer, self.backend, detail, hint)

    def _parameters(self, name: str) -> tuple[str, ...]:
        if self.parameter_of is not None:
            return (self.parameter_of[name],) if name in self.parameter_of else ()
        return () if " " in name else tuple(name.split(JOIN))


def attribute(node: onnx_ir.Node, name: str, default: Any) -> Any:
    found = node.attributes.get(name)
    return default if found is None else found.value


def _reader(tensor: Any) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        values: NDArray[Any] = tensor.numpy()
        return values.astype(np.int32) if values.dtype == np.int64 else values

    return read
