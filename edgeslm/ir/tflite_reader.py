"""What an importer reads of a .tflite file (tensors, constants, options), and what it has made of it so far."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from edgeslm.errors import UnsupportedError, UnsupportedOpError
from edgeslm.formats.flatbuffer import Flatbuffer, Table
from edgeslm.formats.tflite_file import TfliteFile, TfliteOperator, TfliteTensor
from edgeslm.formats.tflite_names import ACTIVATIONS, name_of
from edgeslm.ir.graph import Constant, Dtype, Node, Quantization, Tensor
from edgeslm.ir.nodes import Clamp, Kind, Reshape

HINT = "docs/ir.md lists the operators that can be compiled; write the model with those"
MAKE_INT8 = (
    "quantize it to int8 with example inputs, activations included: in TensorFlow, converter.representative_dataset "
    "and supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]; or ai-edge-quantizer's recipe static_wi8_ai8"
)
DTYPES: dict[str, Dtype] = {
    "FLOAT32": "float32",
    "INT32": "int32",
    "INT64": "int32",
    "INT8": "int8",
    "BOOL": "bool",
}
CLAMPS = {
    "RELU": Clamp(0.0),
    "RELU6": Clamp(0.0, 6.0),
    "RELU_N1_TO_1": Clamp(-1.0, 1.0),
    "RELU_0_TO_1": Clamp(0.0, 1.0),
}
LEAST_SCALE, MOST_SCALE = 2.0**-60, 2.0**30
LIMITS = {"int8": (-128, 127), "int32": (-(2**31), 2**31 - 1)}
UNSAFE = re.compile(r"[^A-Za-z0-9_./:;,=+@()\[\] -]")
EMPTY = Table(Flatbuffer(b""), 0, 0, 0, 0)  # of an operator without options: all are as the schema's defaults


class TfliteReader:
    """Collects `constants` and `nodes`. What cannot be read is refused in the name of `backend`."""

    def __init__(self, file: TfliteFile, backend: str) -> None:
        self.file = file
        self.backend = backend
        self.constants: dict[str, Constant] = {}
        self.nodes: list[Node] = []
        self.names = _names(file)

    # ---- Writing ----

    def finish(
        self,
        operator: TfliteOperator,
        kind: Kind,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        clamp: Clamp | None = None,
    ) -> None:
        """The node of that kind that makes the operator's one output, of that shape, and what `clamp` makes of it.
        Where the output has another shape, a Reshape follows."""
        out = self.tensor(operator, operator.outputs[0])
        steps: list[tuple[Kind, tuple[int, ...]]] = [(kind, shape)]
        if clamp is not None:
            steps.append((clamp, shape))
        if shape != out.shape:
            steps.append((Reshape(), out.shape))
        names = tuple(inputs)
        for place, (one, extents) in enumerate(steps):
            is_last = place == len(steps) - 1
            name = out.name if is_last else f"{out.name}#{place}"
            names = (self.append(operator, one, names, Tensor(name, extents, out.dtype, out.quantization)),)

    def append(self, operator: TfliteOperator, kind: Kind, inputs: Sequence[str], output: Tensor) -> str:
        self.nodes.append(Node(kind, tuple(inputs), output, origin=self.file.describe(operator)))
        return output.name

    # ---- Reading ----

    def tensor(self, operator: TfliteOperator | None, index: int) -> Tensor:
        """Of an input or output of the operator; without one, of the graph."""
        found = self.file.tensors[index]
        if found.is_variable or found.is_sparse:
            self.refuse(operator, f'"{found.name}" is {"a variable" if found.is_variable else "sparse"}')
        if found.type not in DTYPES or (found.type == "INT64" and found.data is None):
            self.refuse(operator, f'"{found.name}" is {found.type}, and what is computed must be INT8', MAKE_INT8)
        if 0 in found.shape:
            self.refuse(operator, f'"{found.name}" is empty: its shape is {list(found.shape)}')
        return Tensor(self.names[index], found.shape, DTYPES[found.type], self._quantization(operator, found))

    def value(self, operator: TfliteOperator | None, index: int) -> str:
        """The name of a value; a constant is entered where it is first read."""
        found, tensor = self.file.tensors[index], self.tensor(operator, index)
        if found.data is not None and tensor.name not in self.constants:
            if found.type == "INT64":
                self._reject_long(operator, found)
            self.constants[tensor.name] = Constant(tensor, read=lambda: found.values().astype(tensor.dtype, copy=False))
        return tensor.name

    def given(self, operator: TfliteOperator, place: int) -> int:
        """The index of an input that may not be left out."""
        if not self.has(operator, place):
            self.refuse(operator, f"input {place} is left out")
        return operator.inputs[place]

    def has(self, operator: TfliteOperator, place: int) -> bool:
        return place < len(operator.inputs) and operator.inputs[place] >= 0

    def shape(self, operator: TfliteOperator, place: int) -> tuple[int, ...]:
        return self.tensor(operator, self.given(operator, place)).shape

    def integers(self, operator: TfliteOperator, place: int) -> list[int]:
        """A constant input of integers: axes, extents, places. At most as many as axes can be."""
        found = self.file.tensors[self.given(operator, place)]
        if found.data is None:
            self.refuse(operator, f'"{found.name}" is computed, and must be known', "every shape must be fixed")
        if found.type not in ("INT32", "INT64") or len(found.data) > 1024:
            self.refuse(operator, f'"{found.name}" is {list(found.shape)} of {found.type}, and must be a few integers')
        return [int(number) for number in found.values().reshape(-1)]

    def axis(self, operator: TfliteOperator, axis: int, rank: int) -> int:
        if not -rank <= axis < rank:
            self.refuse(operator, f"it names axis {axis} of {rank}")
        return axis % rank

    def clamp(self, operator: TfliteOperator, field: int) -> Clamp | None:
        """The limits that a fused activation sets, from that field of the options."""
        name = name_of(ACTIVATIONS, options(operator).integer(field, "b"))
        if name == "NONE":
            return None
        if name not in CLAMPS:
            self.refuse(operator, f"{name} is fused into it")
        return CLAMPS[name]

    def refuse(self, operator: TfliteOperator | None, detail: str, hint: str = HINT) -> NoReturn:
        """Raises UnsupportedOpError with the operator's index and tensors; without one, it is the graph's."""
        if operator is None:
            raise UnsupportedError(f"{self.backend} cannot take {self.file.name}: {detail}", hint)
        where = (
            f"{operator.index} of {self.file.name}, {self.file.describe(operator).partition(operator.kind + ' ')[2]}"
        )
        raise UnsupportedOpError(operator.kind, where, None, self.backend, detail, hint)

    def _reject_long(self, operator: TfliteOperator | None, found: TfliteTensor) -> None:
        values = found.values()
        least, most = LIMITS["int32"]
        if values.size and not (least <= int(values.min()) and int(values.max()) <= most):
            self.refuse(operator, f'"{found.name}" holds numbers of more than 32 bits')

    def _quantization(self, operator: TfliteOperator | None, found: TfliteTensor) -> Quantization | None:
        given = found.scales
        if given is None or DTYPES[found.type] not in LIMITS:
            return None
        says = f'the scales of "{found.name}"'
        if given.is_custom:
            self.refuse(operator, f"{says} are of blocks, or of another form than per tensor or channel")
        count, axis = len(given.scales), given.axis
        is_by_channel = count > 1
        if is_by_channel and not (0 <= axis < len(found.shape) and found.shape[axis] == count):
            self.refuse(operator, f"{says} are {count} along axis {axis} of {list(found.shape)}")
        if len(given.zero_points) not in (0, 1, count):
            self.refuse(operator, f"{says} are {count}, its zero points {len(given.zero_points)}")
        scales = tuple(float(one) for one in given.scales)
        zeros = tuple(int(one) for one in given.zero_points) if given.zero_points.any() else ()
        least, most = LIMITS[DTYPES[found.type]]
        if not all(LEAST_SCALE < one < MOST_SCALE for one in scales):  # nor is it true of what is no number
            self.refuse(operator, f"{says} are not all between 2^-60 and 2^30")
        if not all(least <= one <= most for one in zeros):
            self.refuse(operator, f'the zero point of "{found.name}" is no {found.type}')
        return Quantization(scales, zeros, axis if is_by_channel else None)


def options(operator: TfliteOperator) -> Table:
    return operator.options or EMPTY


def _names(file: TfliteFile) -> tuple[str, ...]:
    """Names that are each tensor's own, and safe in C's comments and on a terminal: a file may call two alike."""
    seen: set[str] = set()
    names = []
    for tensor in file.tensors:
        name = UNSAFE.sub("_", tensor.name) or f"tensor {tensor.index}"
        name = name if name not in seen else f"{name}#t{tensor.index}"
        seen.add(name)
        names.append(name)
    return tuple(names)
