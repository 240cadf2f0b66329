"""One subgraph of a .tflite model, with what a rewrite asks of it: constants, who makes and who reads a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.formats.tflite import schema

Array = NDArray[Any]
DTYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT32": np.int32,
    "INT64": np.int64,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
"""Name in the schema's TensorType -> numpy type, for tensors whose elements take whole bytes."""
VERSIONS = {"BROADCAST_TO": 2}
"""Operators whose first version no kernel carries out any more."""


def type_names() -> dict[int, str]:
    """TensorType value -> its name."""
    return {value: name for name, value in vars(schema().TensorType).items() if isinstance(value, int)}


def operator_names() -> dict[int, str]:
    """BuiltinOperator value -> its name."""
    return {value: name for name, value in vars(schema().BuiltinOperator).items() if isinstance(value, int)}


class Graph:
    """A mutable view of `model.subgraphs[index]`. Tensors are indices, as in the schema."""

    def __init__(self, model: Any, index: int = 0) -> None:
        self.model = model
        self.subgraph = model.subgraphs[index]
        self._types = type_names()
        self._operators = operator_names()

    @property
    def operators(self) -> list[Any]:
        return list(self.subgraph.operators)

    def kind(self, operator: Any) -> str:
        """BuiltinOperator's name. Old files hold small codes in the deprecated field only."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        return self._operators[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def name(self, tensor: int) -> str:
        name = self.subgraph.tensors[tensor].name
        return name.decode() if isinstance(name, bytes) else str(name)

    def shape(self, tensor: int) -> tuple[int, ...]:
        shape = self.subgraph.tensors[tensor].shape
        return () if shape is None else tuple(int(extent) for extent in shape)

    def dtype(self, tensor: int) -> str:
        """TensorType's name."""
        return self._types[self.subgraph.tensors[tensor].type]

    def constant(self, tensor: int) -> Array | None:
        """Values of a constant in whole bytes, or None for anything else."""
        data = self.model.buffers[self.subgraph.tensors[tensor].buffer].data
        if data is None or self.dtype(tensor) not in DTYPES:
            return None
        values: Array = np.frombuffer(data, dtype=DTYPES[self.dtype(tensor)]).reshape(self.shape(tensor))
        return values

    def readers(self) -> dict[int, list[Any]]:
        """Tensor -> the operators that read it. A graph output counts as read once more, by None."""
        readers: dict[int, list[Any]] = {}
        for operator in self.operators:
            for tensor in operator.inputs:
                readers.setdefault(int(tensor), []).append(operator)
        for tensor in self.subgraph.outputs:
            readers.setdefault(int(tensor), []).append(None)
        return readers

    def add_constant(self, name: str, values: Array) -> int:
        fbs = schema()
        buffer = fbs.BufferT()
        buffer.data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        self.model.buffers.append(buffer)
        return self._add(name, values.shape, values.dtype, len(self.model.buffers) - 1)

    def add_tensor(self, name: str, shape: Sequence[int], dtype: Any = np.float32) -> int:
        """A tensor that an operator makes."""
        return self._add(name, shape, dtype, 0)

    def make(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None) -> Any:
        """An operator, not yet placed. `options` is the schema's …OptionsT of that kind."""
        fbs = schema()
        operator = fbs.OperatorT()
        operator.opcodeIndex = self._opcode(kind)
        operator.inputs = np.array(inputs, dtype=np.int32)
        operator.outputs = np.array(outputs, dtype=np.int32)
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(fbs.BuiltinOptions, type(options).__name__.removesuffix("T"))
        return operator

    def replace(self, replacements: dict[int, list[Any]]) -> None:
        """Put other operators in the place of some. Keyed by `id` of the operator; an empty list removes it."""
        self.subgraph.operators = [
            new for operator in self.subgraph.operators for new in replacements.get(id(operator), [operator])
        ]

    def drop_unused(self) -> None:
        """Forget the tensors that no operator and no end of the graph names, and number the others anew."""
        subgraph = self.subgraph
        named = {int(tensor) for tensor in (*subgraph.inputs, *subgraph.outputs)}
        for operator in self.operators:
            named.update(int(tensor) for tensor in (*operator.inputs, *operator.outputs))
        blocks = {tensor: self._block_details(tensor) for tensor in named - {-1}}
        for details in blocks.values():
            if details is not None:
                named |= {details.scales, details.zeroPoints}
        kept = sorted(named - {-1})
        number = {old: new for new, old in enumerate(kept)} | {-1: -1}
        for details in {id(details): details for details in blocks.values() if details is not None}.values():
            details.scales, details.zeroPoints = number[details.scales], number[details.zeroPoints]
        subgraph.tensors = [subgraph.tensors[old] for old in kept]
        for holder in (subgraph, *self.operators):
            holder.inputs = np.array([number[int(old)] for old in holder.inputs], dtype=np.int32)
            holder.outputs = np.array([number[int(old)] for old in holder.outputs], dtype=np.int32)
        for signature in self.model.signatureDefs or []:
            if self.model.subgraphs[signature.subgraphIndex] is subgraph:
                for entry in (*signature.inputs, *signature.outputs):
                    entry.tensorIndex = number[entry.tensorIndex]

    def reshape(self, name: str, tensor: int, shape: Sequence[int], output: int | None = None) -> tuple[int, Any]:
        """A RESHAPE of `tensor`, and the tensor it makes (`output`, or a new one of that name)."""
        options = schema().ReshapeOptionsT()
        options.newShape = np.array(shape, dtype=np.int32)
        target = self.add_constant(f"{name}/shape", np.array(shape, dtype=np.int32))
        if output is None:
            output = self._add(name, shape, DTYPES[self.dtype(tensor)], 0)
        return output, self.make("RESHAPE", [tensor, target], [output], options)

    def _block_details(self, tensor: int) -> Any:
        """Where a tensor of blocks has its scales and zero points: in other tensors of the graph."""
        quantization = self.subgraph.tensors[tensor].quantization
        blockwise = schema().QuantizationDetails.BlockwiseQuantization
        return quantization.details if quantization is not None and quantization.detailsType == blockwise else None

    def _add(self, name: str, shape: Sequence[int], dtype: Any, buffer: int) -> int:
        fbs = schema()
        tensor = fbs.TensorT()
        tensor.name = name.encode()
        tensor.shape = np.array(shape, dtype=np.int32)
        wanted = np.dtype(dtype)
        tensor.type = next(getattr(fbs.TensorType, name) for name, kind in DTYPES.items() if np.dtype(kind) == wanted)
        tensor.buffer = buffer
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def _opcode(self, kind: str) -> int:
        fbs = schema()
        value = getattr(fbs.BuiltinOperator, kind)
        for index, code in enumerate(self.model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == value:
                return index
        code = fbs.OperatorCodeT()
        code.builtinCode = value
        code.deprecatedBuiltinCode = min(value, 127)  # the field is a signed byte
        code.version = VERSIONS.get(kind, 1)
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1
