"""The signatures that write rows into the cache, run by LiteRT, beside what the device package writes itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.artifacts import KvCache
from edgeslm.backends import load_backend
from edgeslm.backends.tflite.cache_writers import CacheShape, add_cache_writers
from edgeslm.backends.tflite.lower.file import lower_graphs
from edgeslm.device.litert_language import _Segments
from edgeslm.device.litert_native import NativeModel, NativeTensor, Pointer, aligned, load_library

LAYERS, HEADS, DIM, ROWS = 2, 3, 8, 16
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(params=["float32", "int8"])
def kind(request: pytest.FixtureRequest) -> KvCache:
    missing = load_backend("tflite").missing()
    if missing:
        pytest.skip(missing)
    chosen: KvCache = request.param
    return chosen


@pytest.fixture
def model(kind: KvCache, tmp_path: Path) -> Iterator[NativeModel]:
    lowered = lower_graphs((), None, None)
    add_cache_writers(lowered, CacheShape(LAYERS, HEADS, DIM, kind), (ROWS, 64), (1, 4, 32))
    lowered.write(tmp_path / "model.tflite")
    with ExitStack() as handles:
        yield NativeModel(load_library(), handles, tmp_path / "model.tflite", [(b"xnnpack", "num_threads = 1\n")])


def test_there_is_one_for_each_size_that_fits(model: NativeModel) -> None:
    assert sorted(model.signatures) == ["write_1_16", "write_1_64", "write_32_64", "write_4_16", "write_4_64"]


@pytest.mark.parametrize("same", [True, False], ids=["in place", "copied"])
@pytest.mark.parametrize(("tokens", "row"), [(1, 0), (1, 15), (4, 0), (4, 7), (4, 12)])
def test_rows_are_the_device_packages(model: NativeModel, kind: KvCache, tokens: int, row: int, same: bool) -> None:
    """Every number and every scale to the bit, zeros, ties and large numbers among them; other rows stay."""
    random = np.random.default_rng(tokens + row)
    keys = _rows(random, (LAYERS, HEADS, tokens, DIM))
    values = _rows(random, (LAYERS, HEADS, DIM, tokens))
    described = {"layers": LAYERS, "kv_heads": HEADS, "head_dim": DIM, "segments": [ROWS], "context": ROWS}
    expected = _Segments(described | {"kv_cache": kind})
    own: Arrays = {"key_at": np.array([0, row, 0]), "value_at": np.array([0, 0, row]), "scale_at": np.array([0, row])}
    for layer in range(LAYERS):
        own |= {f"keys_{layer}": keys[layer], f"values_{layer}": values[layer]}
    signature = model.signatures[f"write_{tokens}_{ROWS}"]
    given, made = {}, {}
    for tensor in signature.inputs:
        given[tensor.name] = _memory(tensor, np.int8 if _is_codes(tensor.name, kind) else None)
        if tensor.name in own:
            given[tensor.name][...] = own[tensor.name]
        else:  # what is there already
            given[tensor.name][...] = random.integers(-100, 100, tensor.shape)
            expected.memory(f"{tensor.name}_0")[...] = given[tensor.name]
    for tensor in signature.outputs:
        made[tensor.name] = given[tensor.name] if same else _memory(tensor, given[tensor.name].dtype)
    inputs, outputs = _buffers(model, signature.inputs, given), _buffers(model, signature.outputs, made)
    assert model.runner(signature.index, inputs, outputs)() == 0
    expected.write(row, tokens, keys, values)
    for name, found in made.items():
        np.testing.assert_array_equal(found, expected.memory(f"{name}_0"), name)


def _rows(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    rows = (random.standard_normal(shape) * 10 ** random.uniform(-6, 6, (*shape[:2], 1, 1))).astype(np.float32)
    rows[0, 0] = 0
    rows[0, 1] = np.resize(np.array([127, 0.5, -0.5, 1.5, 2.5, -63.5], np.float32), shape[2:])
    return rows


def _is_codes(name: str, kind: KvCache) -> bool:
    return kind == "int8" and name.startswith(("key_", "value_")) and "scale" not in name and not name.endswith("_at")


def _memory(tensor: NativeTensor, dtype: Any) -> NDArray[Any]:
    chosen = dtype or (np.int32 if tensor.name.endswith("_at") else np.float32)
    size = int(np.prod(tensor.shape)) * np.dtype(chosen).itemsize
    memory: NDArray[Any] = aligned(size).view(chosen).reshape(tensor.shape)
    return memory


def _buffers(model: NativeModel, tensors: tuple[NativeTensor, ...], memory: Arrays) -> list[Pointer]:
    return [model.buffer(tensor, memory[tensor.name]) for tensor in tensors]
