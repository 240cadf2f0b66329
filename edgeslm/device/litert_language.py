"""A language model in LiteRT: signatures for steps and for chunks of a prompt, over one KV cache that lies here.

The cache is cut into segments of rows. A signature reads the first few of them, so a short text pays for few rows; all
signatures share the segments' memory, and the weights. A run reads the rows before its position and hands out its own,
which are written into the cache here: a step writes one row for each layer, and copies nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import litert_native
from .errors import BundleError, DeviceError, MissingPackageError
from .files import Files
from .litert_native import (
    ALIGNMENT,
    CallFailedError,
    FunctionMissingError,
    NativeModel,
    NativeTensor,
    Pointer,
    aligned,
)
from .native_log import captured, errors_in
from .weight_cache import with_weight_cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW = 4
"""Tokens that are entered one by one rather than as a chunk of mostly nothing."""
CACHED = ("key_", "value_")
"""Inputs that are segments of the cache: key_<layer>_<segment>."""


class LiteRtLanguage:
    """An engine as device/language.py wants it. `model` is the manifest's `model` object with its `language` part."""

    name = "ai-edge-litert"

    def __init__(self, model: Mapping[str, Any], files: Files, threads: int) -> None:
        described = model["language"]
        self.context: int = described["context"]
        self.vocabulary: int = described["vocabulary"]
        self._handles = ExitStack()
        path = files.path(model["files"][0])
        try:
            library = litert_native.load_library()
        except (ImportError, OSError):
            purpose = "a language model (tflite_runtime runs encoders only)"
            raise MissingPackageError("ai-edge-litert", purpose) from None

        def create(packed: Path | None) -> NativeModel:
            text = f"num_threads = {threads}\n"
            if packed is not None:
                text += f'weight_cache_file_path = "{packed}"\n'
            return NativeModel(library, self._handles, path, [(b"xnnpack", text)])

        with captured() as log:
            try:
                native = with_weight_cache(path, model["digest"], create, (CallFailedError,))
                self._segments = _Segments(described)
                logits = _memory((self.vocabulary,), np.float32)
                counts = {one["tokens"] for one in described["signatures"]}
                own = {count: _Own(described, count, logits) for count in counts}
                self._signatures = [
                    _Signature(native, one, self._segments, own[one["tokens"]]) for one in described["signatures"]
                ]
            except (CallFailedError, FunctionMissingError) as error:
                raise BundleError(
                    f"LiteRT cannot open {path.name}: {error.message}{errors_in(log)}",
                    "the version in the bundle's requirements.txt can",
                ) from None
        self._chunks = sorted({one.count for one in self._signatures} - {1})
        self._steps = [self._reading(1, position) for position in range(self.context)]
        self._integers = described["kv_cache"] == "int8"
        places = [self._segments.place(position) for position in range(self.context)]
        self._rows = [(self._segments.keys[n], self._segments.values[n], row) for n, row in places]

    def prefill(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        """See LanguageEngine."""
        entered, count = 0, len(tokens)
        while count - entered > FEW or (entered == 0 and count > 1 and position == 0):
            chunk = self._chunk(count - entered)
            signature, now = self._reading(chunk, position + entered), min(count - entered, chunk)
            signature.tokens[:now] = tokens[entered : entered + now]
            signature.tokens[now:] = 0
            signature.position[0] = position + entered
            signature.last[0] = now - 1
            self._run(signature)
            self._segments.write(position + entered, now, signature.keys, signature.values)
            entered += now
        for token in tokens[entered:]:
            self.step(int(token), position + entered)
            entered += 1
        return self._logits

    def step(self, token: int, position: int) -> NDArray[np.float32]:
        """See LanguageEngine."""
        signature = self._steps[position]
        signature.tokens[0] = token
        signature.position[0] = position
        self._run(signature)
        if self._integers:
            self._segments.write(position, 1, signature.keys, signature.values)
        else:  # the same without looking up what never changes
            keys, values, row = self._rows[position]
            keys[:, :, row] = signature.first_keys
            values[:, :, :, row] = signature.first_values
        return signature.logits

    def close(self) -> None:
        """Free the model's memory."""
        self._steps, self._signatures = [], []
        with captured():
            self._handles.close()

    def _run(self, signature: _Signature) -> None:
        status = signature.run()
        if status:
            raise DeviceError(f"LiteRT failed while it ran {signature.name}: status {status}")
        self._logits = signature.logits

    def _chunk(self, left: int) -> int:
        """The largest chunk that is filled; the next larger one where it takes less time than several of those."""
        fitting = [chunk for chunk in self._chunks if chunk <= left]
        larger = next((chunk for chunk in self._chunks if chunk >= left), None)
        if not fitting:
            return self._chunks[0]
        if larger is not None and left > larger // 2:
            return larger
        return fitting[-1]

    def _reading(self, count: int, position: int) -> _Signature:
        """The signature of so many tokens that reads all rows before `position`, and few behind."""
        enough = [one for one in self._signatures if one.count == count and one.rows >= position]
        if not enough:
            raise BundleError(f"the model has no signature for {count} tokens at {position}")
        return min(enough, key=lambda one: one.rows)


class _Segments:
    """The cache's memory. Keys [layers, G, rows, E] and values [layers, G, E, rows] for each segment; as int8 with a
    scale for each row of a head, [layers, G, rows]."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        layers, groups, dim = described["layers"], described["kv_heads"], described["head_dim"]
        self.rows: list[int] = described["segments"]
        self.ends = list(itertools.accumulate(self.rows))
        if self.ends[-1] < described["context"]:
            raise BundleError(f"its cache of {self.ends[-1]} rows is shorter than its context, {described['context']}")
        self._integers = described["kv_cache"] == "int8"
        dtype = np.int8 if self._integers else np.float32
        self.keys = [_layered(layers, (groups, rows, dim), dtype) for rows in self.rows]
        self.values = [_layered(layers, (groups, dim, rows), dtype) for rows in self.rows]
        self.key_scales, self.value_scales = (
            [_layered(layers, (groups, rows), np.float32) for rows in self.rows if self._integers] for _ in range(2)
        )

    def place(self, position: int) -> tuple[int, int]:
        """Segment and row where a token at `position` belongs."""
        segment = next(number for number, end in enumerate(self.ends) if position < end)
        return segment, position - self.ends[segment] + self.rows[segment]

    def write(self, position: int, count: int, keys: NDArray[Any], values: NDArray[Any]) -> None:
        """The first `count` of these rows, [layers, G, T, E] and [layers, G, E, T], which may cross segments."""
        done = 0
        while done < count:
            segment, row = self.place(position + done)
            now = min(count - done, self.rows[segment] - row)
            taken, rows = slice(done, done + now), slice(row, row + now)
            new_keys, new_values = keys[:, :, taken], values[:, :, :, taken]
            if self._integers:
                new_keys, self.key_scales[segment][:, :, rows] = _rounded(new_keys, 3)
                new_values, self.value_scales[segment][:, :, rows] = _rounded(new_values, 2)
            self.keys[segment][:, :, rows] = new_keys
            self.values[segment][:, :, :, rows] = new_values
            done += now

    def memory(self, name: str) -> NDArray[Any]:
        """What lies under an input of that name: key_<layer>_<segment>, key_scale_<layer>_<segment>, or of values."""
        kind, layer, segment = name.rsplit("_", 2)
        kept = {
            "key": self.keys,
            "value": self.values,
            "key_scale": self.key_scales,
            "value_scale": self.value_scales,
        }
        memory: NDArray[Any] = kept[kind][int(segment)][int(layer)]
        return memory


def _rounded(rows: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Codes and scales, the largest number along the axis being 127."""
    scales = np.maximum(np.abs(rows).max(axis=axis, keepdims=True), np.float32(1e-12)) * np.float32(1 / 127)
    return np.rint(rows / scales), scales.squeeze(axis)


class _Own:
    """Inputs and outputs that all signatures of `count` tokens share: they run one at a time."""

    def __init__(self, described: Mapping[str, Any], count: int, logits: NDArray[np.float32]) -> None:
        layers, groups, dim = described["layers"], described["kv_heads"], described["head_dim"]
        self.tokens = _memory((count,), np.int32)
        self.position, self.last = _memory((1,), np.int32), _memory((1,), np.int32)
        self.logits = logits
        self.keys = _layered(layers, (groups, count, dim), np.float32)
        self.values = _layered(layers, (groups, dim, count), np.float32)

    def memory(self, name: str) -> NDArray[Any] | None:
        """What lies under a tensor of that name: tokens, position, last, logits, keys_<layer>, values_<layer>."""
        kind, _, layer = name.partition("_")
        if layer:
            rows = {"keys": self.keys, "values": self.values}.get(kind)
            return None if rows is None or not layer.isdigit() else rows[int(layer)]
        single = {"tokens": self.tokens, "position": self.position, "last": self.last, "logits": self.logits[None]}
        return single.get(kind)


class _Signature:
    """One signature with its inputs and outputs laid out. `count` tokens; `rows` of the cache are read."""

    def __init__(self, native: NativeModel, described: Mapping[str, Any], segments: _Segments, own: _Own) -> None:
        self.name: str = described["name"]
        self.count: int = described["tokens"]
        self.rows = sum(segments.rows[: described["segments"]])
        found = native.signatures.get(self.name)
        if found is None:
            raise BundleError(f"the model has no signature {self.name}, which its manifest describes")

        def lay_out(tensors: Sequence[NativeTensor]) -> list[Pointer]:
            buffers = []
            for tensor in tensors:
                cached = tensor.name.startswith(CACHED)
                memory = segments.memory(tensor.name) if cached else own.memory(tensor.name)
                if memory is None or memory.shape != tensor.shape:
                    expected = "nothing" if memory is None else str(memory.shape)
                    raise BundleError(f"{tensor.name} is {tensor.shape}, by the manifest it is {expected}")
                buffers.append(native.buffer(tensor, memory))
            return buffers

        self.run = native.runner(found.index, lay_out(found.inputs), lay_out(found.outputs))
        self.tokens, self.position, self.last, self.logits = own.tokens, own.position, own.last, own.logits
        self.keys, self.values = own.keys, own.values
        self.first_keys, self.first_values = own.keys[:, :, 0], own.values[:, :, :, 0]


def _memory(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    memory: NDArray[Any] = aligned(size).view(dtype).reshape(shape)
    return memory


def _layered(layers: int, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """[layers, *shape]; each layer's part begins where a tensor buffer may."""
    part = np.empty(shape, dtype)
    step = -(-part.nbytes // ALIGNMENT) * ALIGNMENT
    memory = aligned(layers * step).view(dtype)
    view: NDArray[Any] = np.lib.stride_tricks.as_strided(memory, (layers, *shape), (step, *part.strides))
    return view
