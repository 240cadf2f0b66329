"""A `.tflite` file that anybody may have made, read within limits into plain nouns: no crash, no more memory than it.

Every offset, index and extent is checked (`flatbuffer.py`), constants have as many bytes as their shape says, and
operators come in an order in which they can run. What operators mean is the importer's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import CheckpointError, UnsupportedError
from edgeslm.formats.flatbuffer import DamageError, Flatbuffer, Table, while_reading
from edgeslm.formats.tflite_names import OPERATORS, TYPES, name_of

IDENTIFIER = b"TFL3"
LARGEST_FILE = 256 * 2**20  # bytes; the flash of a microcontroller is a hundredth of it
MOST_TABLES = 2**16  # tensors, operators, buffers or codes
MOST_AXES = 8
MOST_BYTES = 2**31 - 1  # of one tensor
LONGEST_NAME = 200
HINT = "make the file again, or copy it again: it is not what its writer wrote"

WIDTHS = {"FLOAT32": 4, "FLOAT16": 2, "INT32": 4, "UINT8": 1, "INT64": 8, "BOOL": 1, "INT16": 2, "INT8": 1}
WIDTHS |= {"FLOAT64": 8, "UINT64": 8, "UINT32": 4, "UINT16": 2, "BFLOAT16": 2, "COMPLEX64": 8, "COMPLEX128": 16}
"""Bytes of an element, of the types whose elements take whole bytes."""
NUMPY = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT32": "<i4", "INT64": "<i8", "INT16": "<i2", "INT8": "i1", "BOOL": "?"}


@dataclass(frozen=True)
class Scales:
    """real = scale · (integer - zero point), one for all or one for each index along `axis`."""

    scales: NDArray[Any]  # float32
    zero_points: NDArray[Any]  # int64, as many as scales, one, or none
    axis: int
    is_custom: bool = False  # of blocks, or in a form of the writer's own


@dataclass(frozen=True)
class TfliteTensor:
    index: int
    name: str  # as the file has it
    shape: tuple[int, ...]
    type: str  # TensorType's name
    data: memoryview | None  # of a constant: the file's bytes, not copied
    scales: Scales | None
    is_variable: bool  # lives from one run to the next
    is_sparse: bool

    def values(self) -> NDArray[Any]:
        """A constant's values, as a view of the file. Only of the types in NUMPY."""
        return np.frombuffer(self.data or b"", NUMPY[self.type]).reshape(self.shape)


@dataclass(frozen=True)
class TfliteOperator:
    index: int
    kind: str  # BuiltinOperator's name, or CUSTOM and the custom one's
    inputs: tuple[int, ...]  # -1 where one is left out
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True)
class TfliteFile:
    """One subgraph. Tensors are called by their index, operators are in an order in which they can run."""

    name: str
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def describe(self, operator: TfliteOperator) -> str:
        """`operator 3 ADD ("a", "b" -> "c")`"""

        def names(tensors: tuple[int, ...]) -> str:
            shown = [f'"{self.tensors[index].name}"' if index >= 0 else "left out" for index in tensors[:8]]
            return ", ".join(shown) + (" …" if len(tensors) > len(shown) else "")

        return f"operator {operator.index} {operator.kind} ({names(operator.inputs)} -> {names(operator.outputs)})"


def open_tflite(path: Path) -> TfliteFile:
    """Raises CheckpointError for what is no file, too large, or no .tflite model that can be read whole;
    UnsupportedError where it is one of several graphs."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}", "name a .tflite file") from error
    if len(raw) > LARGEST_FILE:
        raise CheckpointError(f"{path} has more than {LARGEST_FILE} bytes", "no microcontroller holds such a model")
    return parse_tflite_file(raw, path.name)


def parse_tflite_file(raw: bytes, name: str) -> TfliteFile:
    """`name` is for messages. Raises CheckpointError with the place of the damage."""
    try:
        return _Parser(raw).file(name)
    except DamageError as error:
        raise damaged(name, str(error)) from error


def damaged(name: str, says: str) -> CheckpointError:
    return CheckpointError(f"{name} is no .tflite file that can be read: {says}", HINT)


class _Parser:
    """Field numbers are the schema's (tensorflow/compiler/mlir/lite/schema/schema.fbs)."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.scales: dict[int, Scales | None] = {}  # by the place of their table, which tensors may have in common

    def file(self, name: str) -> TfliteFile:
        model = Flatbuffer(self.raw).root(IDENTIFIER)
        if model.integer(0, "I") != 3:
            raise DamageError(f"version {model.integer(0, 'I')} of the format, where 3 is known")
        with while_reading(lambda: "buffers"):
            buffers = model.tables(4, MOST_TABLES)
        with while_reading(lambda: "operator codes"):
            kinds = [_kind(code) for code in model.tables(1, MOST_TABLES)]
        subgraphs = model.tables(2, MOST_TABLES)
        if len(subgraphs) != 1:
            raise UnsupportedError(
                f"{name} has {len(subgraphs)} subgraphs: several signatures, or branches and loops",
                "write a file with one signature, without control flow",
            )
        return self._subgraph(subgraphs[0], buffers, kinds, name)

    def _subgraph(self, table: Table, buffers: list[Table], kinds: list[str], name: str) -> TfliteFile:
        tensors = []
        for index, one in enumerate(table.tables(0, MOST_TABLES)):
            with while_reading(lambda index=index: f"tensor {index}"):  # type: ignore[misc]  # mypy cannot type a default
                tensors.append(self._tensor(index, one, buffers))
        operators = []
        for index, one in enumerate(table.tables(3, MOST_TABLES)):
            with while_reading(lambda index=index: f"operator {index}"):  # type: ignore[misc]
                operators.append(_operator(index, one, kinds, len(tensors)))
        with while_reading(lambda: "the graph's inputs and outputs"):
            inputs, outputs = (_indices(table, number, 0, len(tensors)) for number in (1, 2))
        file = TfliteFile(name, tuple(tensors), tuple(operators), inputs, outputs)
        _reject_disorder(file)
        return file

    def _tensor(self, index: int, table: Table, buffers: list[Table]) -> TfliteTensor:
        name = table.text(3, LONGEST_NAME)
        with while_reading(lambda: f'"{name}"'):
            kind = name_of(TYPES, table.integer(1, "b"))
            extents = table.numbers(0, np.int32)
            shape = () if extents is None else tuple(int(one) for one in extents[: MOST_AXES + 1])
            if len(shape) > MOST_AXES:
                raise DamageError(f"it has more than {MOST_AXES} axes")
            size = prod(shape) * WIDTHS.get(kind, 1)
            if any(extent < 0 for extent in shape) or size > MOST_BYTES:
                raise DamageError(f"its shape is {list(shape)} of {kind}")
            data = self._contents(table.integer(2, "I"), buffers)
            data = memoryview(b"") if size == 0 else data  # nothing has to make it
            if data is not None and kind in WIDTHS and len(data) != size:
                raise DamageError(f"{list(shape)} of {kind} takes {size} bytes, its buffer has {len(data)}")
            if table.integer(10, "I"):
                raise DamageError("its values lie in another file")
            return TfliteTensor(
                index, name, shape, kind, data, self._scales(table.table(4)), table.number(5, "?", False), table.has(6)
            )

    def _contents(self, index: int, buffers: list[Table]) -> memoryview | None:
        """The bytes of a buffer; None where it is empty: an operator makes them."""
        if index >= len(buffers):
            raise DamageError(f"it lies in buffer {index} of {len(buffers)}")
        buffer = buffers[index]
        offset, size = buffer.integer(1, "Q"), buffer.integer(2, "Q")
        if offset <= 1:  # 0 and 1 say: inside the flatbuffer
            data = buffer.blob(0)
            return data if data else None
        if offset + size > len(self.raw):
            raise DamageError(f"its buffer of {size} bytes at byte {offset} ends behind the file's end")
        return memoryview(self.raw)[offset : offset + size] if size else None

    def _scales(self, table: Table | None) -> Scales | None:
        if table is None:
            return None
        if table.place not in self.scales:
            scales, zero_points = table.numbers(2, np.float32), table.numbers(3, np.int64)
            found = None
            if (scales is not None and len(scales)) or table.integer(4, "B"):
                none = np.zeros(0)
                given = none if scales is None else scales, none if zero_points is None else zero_points
                found = Scales(*given, table.integer(6), is_custom=table.integer(4, "B") != 0)
            self.scales[table.place] = found
        return self.scales[table.place]


def _kind(code: Table) -> str:
    """Old files have small numbers in the deprecated field only."""
    kind = name_of(OPERATORS, max(code.integer(0, "b"), code.integer(3)))
    return f"CUSTOM {code.text(1, LONGEST_NAME)}" if kind == "CUSTOM" else kind


def _operator(index: int, table: Table, kinds: list[str], tensors: int) -> TfliteOperator:
    code = table.integer(0, "I")
    if code >= len(kinds):
        raise DamageError(f"its code is {code} of {len(kinds)}")
    with while_reading(lambda: kinds[code]):
        inputs, outputs = _indices(table, 1, -1, tensors), _indices(table, 2, 0, tensors)
        return TfliteOperator(index, kinds[code], inputs, outputs, table.table(4))


def _indices(table: Table, number: int, least: int, tensors: int) -> tuple[int, ...]:
    found = table.numbers(number, np.int32)
    indices = () if found is None else tuple(int(one) for one in found)
    for index in indices:
        if not least <= index < tensors:
            raise DamageError(f"it names tensor {index} of {tensors}")
    return indices


def _reject_disorder(file: TfliteFile) -> None:
    """Each value is made once, before it is read: so there are no cycles."""
    made = {tensor.index for tensor in file.tensors if tensor.data is not None or tensor.is_variable}
    for index in file.inputs:
        if index in made:
            raise DamageError(f'"{file.tensors[index].name}" is an input of the graph twice, or has values already')
        made.add(index)
    for operator in file.operators:
        for index in operator.inputs:
            if index >= 0 and index not in made:
                says = (
                    f'reads "{file.tensors[index].name}", which nothing has made before: a cycle, a wrong order, or a'
                )
                raise DamageError(f"{file.describe(operator)} {says} constant without its values")
        for index in operator.outputs:
            if index in made and 0 not in file.tensors[index].shape:
                raise DamageError(
                    f'{file.describe(operator)} makes "{file.tensors[index].name}", which is there already'
                )
            made.add(index)
    for index in file.outputs:
        if index not in made:
            raise DamageError(f'the output "{file.tensors[index].name}" is made by nothing')
