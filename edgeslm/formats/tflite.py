"""Reading and writing .tflite files as the schema's mutable objects.

Buffers may lie inside the flatbuffer or behind it (`offset` and `size`, as ai-edge-quantizer writes them); read,
both look alike: bytes of the file, not copied. Written, all lie inside, aligned to 16 bytes, which every TensorFlow
Lite runtime reads; a file for this machine alone may be streamed, with all of them behind. The same objects give the
same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import BundleError, UnsupportedError

Bytes = NDArray[np.uint8]
ALIGNMENT = 16
BUFFER_OFFSET = 6  # where the vtable of a Buffer says where its `offset` lies
IDENTIFIER = b"TFL3"
LARGEST = 2**31 - 2**24  # a flatbuffer's offsets are signed 32-bit numbers
_SMALLEST_TABLE = 4  # bytes that a table takes at least


def schema() -> Any:
    """The generated schema module: classes `ModelT`, `TensorT`, … and enumerations."""
    from ai_edge_litert import schema_py_generated  # type: ignore[import-untyped]  # the package has no types

    return schema_py_generated


def read_tflite(path: Path) -> Any:
    """The file's ModelT; each buffer's `data` is uint8 or None. Raises BundleError on anything else than a model."""
    return parse_tflite(path.read_bytes(), str(path))


def parse_tflite(raw: bytes | bytearray | memoryview, name: str) -> Any:
    """The ModelT in `raw`; its arrays are views of `raw`. `name` is for the error's message."""
    data = bytes(raw) if isinstance(raw, memoryview) else raw  # flatbuffers reads no memoryview
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise BundleError(f"{name} is no .tflite model: it does not start as one", "build it again")
    try:
        _reject_more_tables_than_bytes(data)
        model = schema().ModelT.InitFromPackedBuf(data, 0)
        for buffer in model.buffers:
            buffer.data = _contents(buffer, data)
            buffer.offset = buffer.size = 0
        _reject_dangling_references(model)
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise BundleError(f"{name} is a damaged .tflite model: {error}", "build it again") from error
    return model


def write_tflite(model: Any, path: Path) -> None:
    path.write_bytes(pack_tflite(model))


def pack_tflite(model: Any) -> bytearray:
    """The model as a file's bytes. Raises UnsupportedError where they are too many for the format."""
    import flatbuffers  # type: ignore[import-untyped]  # the package has no types

    total = sum(buffer.data.nbytes for buffer in model.buffers if buffer.data is not None)
    if total > LARGEST:
        raise UnsupportedError(
            f"the model's weights are {total} bytes, a .tflite file holds 2 GiB", "choose a smaller model"
        )
    builder = flatbuffers.Builder(min(total + total // 64 + 65536, LARGEST))
    buffers = model.buffers
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in buffers]
    try:
        return _packed(model, builder)
    finally:
        model.buffers = buffers


def _packed(model: Any, builder: Any) -> bytearray:
    """The flatbuffer, what tensors say of their scales written once for all that say the same."""
    tensors = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    quantizations = [tensor.quantization for tensor in tensors]
    written: dict[bytes, int] = {}
    for tensor in tensors:
        tensor.quantization = _SharedQuantization(tensor.quantization, written) if tensor.quantization else None
    try:
        builder.Finish(model.Pack(builder), IDENTIFIER)
    finally:
        for tensor, quantization in zip(tensors, quantizations, strict=True):
            tensor.quantization = quantization
    packed: bytearray = builder.Output()
    return packed


def write_tflite_streamed(model: Any, contents: Sequence[NDArray[Any]], path: Path) -> None:
    """Write a model whose buffer i holds `contents[i]` behind the flatbuffer, one content after the other.

    Contents may be views in any order of memory-mapped files: only one at a time is copied.
    """
    import flatbuffers

    for buffer, values in zip(model.buffers, contents, strict=True):
        if values.nbytes:
            buffer.offset, buffer.size = ALIGNMENT, values.nbytes  # the right one once the flatbuffer's length is known
    packed = _packed(model, flatbuffers.Builder(2**16))
    _place_contents(packed, [values.nbytes for values in contents])
    with path.open("wb") as out:
        out.write(packed)
        for values in contents:
            if values.nbytes:
                out.write(bytes(_aligned(out.tell()) - out.tell()))
                out.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def packed_size(model: Any, sizes: Sequence[int]) -> int:
    """Bytes of the file that write_tflite_streamed would write, for contents of these sizes."""
    import flatbuffers

    for buffer, size in zip(model.buffers, sizes, strict=True):
        if size:
            buffer.offset, buffer.size = ALIGNMENT, size
    end = len(_packed(model, flatbuffers.Builder(2**16)))
    for size in sizes:
        if size:
            end = _aligned(end) + size
    return end


def _place_contents(packed: bytearray, sizes: Sequence[int]) -> None:
    """Write into a packed model where each buffer's content lies behind it."""
    table = schema().Model.GetRootAs(packed, 0)
    end = len(packed)
    for index, size in enumerate(sizes):
        if size:
            end = _aligned(end)
            buffer = table.Buffers(index)._tab
            struct.pack_into("<Q", packed, buffer.Pos + buffer.Offset(BUFFER_OFFSET), end)
            end += size


def _aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT


class _AlignedBuffer:
    """A buffer that packs its bytes at a multiple of 16, as the schema demands and the generated code does not."""

    def __init__(self, data: Bytes | None) -> None:
        self.data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802  # the generated classes' name for it
        fbs = schema()
        vector = None
        if self.data is not None and self.data.nbytes:
            builder.StartVector(1, self.data.nbytes, ALIGNMENT)
            builder.head = builder.head - self.data.nbytes
            builder.Bytes[builder.head : builder.head + self.data.nbytes] = self.data.tobytes()
            vector = builder.EndVector()
        fbs.BufferStart(builder)
        if vector is not None:
            fbs.BufferAddData(builder, vector)
        packed: int = fbs.BufferEnd(builder)
        return packed


class _SharedQuantization:
    """Scales and zero points that tensors have in common are written once: for a vocabulary they are 366 kB."""

    def __init__(self, quantization: Any, written: dict[bytes, int]) -> None:
        self.quantization = quantization
        self.written = written

    def Pack(self, builder: Any) -> int:  # noqa: N802  # the generated classes' name for it
        described = self.quantization
        details = vars(described.details) if described.details is not None else {}
        arrays = [described.min, described.max, described.scale, described.zeroPoint]
        key = repr((described.detailsType, sorted(details.items()), described.quantizedDimension)).encode()
        key += b"|".join(b"-" if values is None else np.asarray(values).tobytes() for values in arrays)
        if key not in self.written:
            self.written[key] = described.Pack(builder)
        return self.written[key]


def _contents(buffer: Any, raw: bytes | bytearray) -> Bytes | None:
    if buffer.offset <= 1:  # 0 and 1 say: inside the flatbuffer
        return None if buffer.data is None or len(buffer.data) == 0 else np.asarray(buffer.data, dtype=np.uint8)
    if buffer.offset + buffer.size > len(raw):
        raise ValueError(f"a buffer of {buffer.size} bytes at {buffer.offset} ends behind the file's end")
    return np.frombuffer(raw, dtype=np.uint8, count=buffer.size, offset=buffer.offset)


def _reject_more_tables_than_bytes(raw: bytes | bytearray) -> None:
    """Lists may name one table many times over: without this a small file could unpack to all of memory."""
    model = schema().Model.GetRootAs(raw, 0)
    count = model.SubgraphsLength() + model.BuffersLength() + model.OperatorCodesLength() + model.SignatureDefsLength()
    if count * _SMALLEST_TABLE <= len(raw):
        subgraphs = [model.Subgraphs(index) for index in range(model.SubgraphsLength())]
        count += sum(subgraph.TensorsLength() + subgraph.OperatorsLength() for subgraph in subgraphs)
    if count * _SMALLEST_TABLE > len(raw):
        raise ValueError(f"it lists {count} tables in {len(raw)} bytes")


def _reject_dangling_references(model: Any) -> None:
    for subgraph in model.subgraphs:
        tensors = len(subgraph.tensors)
        for tensor in subgraph.tensors:
            if not 0 <= tensor.buffer < len(model.buffers):
                raise ValueError(f"tensor {tensor.name!r} lies in buffer {tensor.buffer} of {len(model.buffers)}")
        for operator in subgraph.operators or []:
            if not 0 <= operator.opcodeIndex < len(model.operatorCodes):
                raise ValueError(f"operator code {operator.opcodeIndex} of {len(model.operatorCodes)}")
            named = [*_indices(operator.inputs), *_indices(operator.outputs)]
            if any(not -1 <= index < tensors for index in named):
                raise ValueError(f"an operator names a tensor beyond the {tensors} there are")


def _indices(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]
