"""Reading and writing .tflite: what is written comes back, what is damaged is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.errors import BundleError
from edgeslm.formats.tflite import ALIGNMENT, pack_tflite, parse_tflite, read_tflite, schema, write_tflite
from tests.unit.tflite_models import a_model, add_constant, add_tensor

pytest.importorskip("ai_edge_litert")


def small_model(sizes: list[int]) -> Any:
    """A model of constants only, with `sizes` float32 values each."""
    model = a_model()
    for number, size in enumerate(sizes):
        add_constant(model, f"constant-{number}", np.arange(size, dtype=np.float32) + number)
    return model


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 100), max_size=6))
def test_what_is_packed_comes_back_aligned_and_the_same_twice(sizes: list[int]) -> None:
    packed = pack_tflite(small_model(sizes))
    assert packed == pack_tflite(small_model(sizes))
    model = parse_tflite(packed, "it")
    for tensor, size in zip(model.subgraphs[0].tensors, sizes, strict=True):
        data = model.buffers[tensor.buffer].data
        values = np.zeros(0, np.float32) if data is None else data.view(np.float32)
        number = int(tensor.name.decode().rpartition("-")[2])
        assert values.tolist() == [float(index + number) for index in range(size)]
        if data is not None:
            start = data.__array_interface__["data"][0] - np.frombuffer(packed, np.uint8).__array_interface__["data"][0]
            assert start % ALIGNMENT == 0


def test_packing_changes_nothing_in_the_model() -> None:
    model = small_model([3])
    buffers = list(model.buffers)
    pack_tflite(model)
    assert model.buffers == buffers


def test_scales_in_common_are_written_once() -> None:
    def quantized(shared: bool) -> int:
        model = a_model()
        for number in range(5):
            tensor = model.subgraphs[0].tensors[add_tensor(model, f"t{number}", [4096])]
            tensor.quantization = schema().QuantizationParametersT()
            tensor.quantization.scale = np.full(4096, 0.5 if shared else number, np.float32)
            tensor.quantization.zeroPoint = np.zeros(4096, np.int64)
        return len(pack_tflite(model))

    assert quantized(shared=True) < 4096 * 12 + 4096 < 5 * 4096 * 12 < quantized(shared=False)


def test_buffers_behind_the_flatbuffer_are_read(tmp_path: Path) -> None:
    """As ai-edge-quantizer writes them: offset and size in place of data."""
    model = a_model()
    add_constant(model, "far", np.array([1.5, 2.5], np.float32))
    data = model.buffers[1].data
    fbs = schema()
    import flatbuffers  # type: ignore[import-untyped]  # the package has no types

    def pack(offset: int) -> bytes:
        builder = flatbuffers.Builder(1024)
        model.buffers[1] = fbs.BufferT(data=None, offset=offset, size=len(data))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    front = pack(len(pack(1 << 20)))
    path = tmp_path / "far.tflite"
    path.write_bytes(front + data.tobytes())
    assert read_tflite(path).buffers[1].data.view(np.float32).tolist() == [1.5, 2.5]
    path.write_bytes(front + data.tobytes()[:-1])
    with pytest.raises(BundleError, match="behind the file's end"):
        read_tflite(path)


def refusal(raw: bytes, name: str) -> str | None:
    """The name that the error gives, or None where the bytes unpack (to no more than they can hold)."""
    try:
        model = parse_tflite(raw, name)
    except BundleError as error:
        return name if error.message.startswith(name) else error.message
    assert sum(len(subgraph.tensors) for subgraph in model.subgraphs) <= len(raw)
    return None


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    write_tflite(small_model([64, 64]), path)
    whole = path.read_bytes()
    assert refusal(whole[: len(whole) // 2], "half") == "half"
    for length in range(0, len(whole) - 1, 7):
        # A flatbuffer grows to the front: its last bytes are the oldest data, and may hold nothing that is read.
        assert refusal(whole[:length], str(path)) in (None, str(path))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 10_000), st.integers(0, 255))
def test_damage_is_a_bundle_error_or_harmless(junk: bytes, place: int, value: int) -> None:
    whole = bytearray(pack_tflite(small_model([8, 1])))
    whole[place % len(whole)] = value
    for raw in (bytes(whole), b"\x10\0\0\0TFL3" + junk, junk):
        assert refusal(raw, "damaged") in (None, "damaged")


def test_a_small_file_does_not_unpack_to_much() -> None:
    """Forty thousand subgraphs that are all the same one."""
    model = small_model([1])
    packed = bytearray(pack_tflite(model))
    root = int.from_bytes(packed[:4], "little")
    table = root - int.from_bytes(packed[root : root + 4], "little", signed=True)
    field = root + int.from_bytes(packed[table + 4 + 2 * 2 : table + 6 + 2 * 2], "little")  # subgraphs: field 2
    vector = field + int.from_bytes(packed[field : field + 4], "little")
    packed[vector : vector + 4] = (40_000).to_bytes(4, "little")
    with pytest.raises(BundleError, match=r"lists 4\d+ tables"):
        parse_tflite(packed, "bomb")
