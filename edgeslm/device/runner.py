"""A compiled model, ready to run: checks inputs, picks the length bucket, pads, and cuts what padding added.

The model is the manifest's `model` object. Each runtime is an engine in a file of its own; it runs one signature on
arrays of exactly the right shapes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import BundleError, MissingPackageError, UsageError
from .files import Files, FolderFiles

Arrays = Mapping[str, NDArray[Any]]


class Engine(Protocol):
    """One runtime with the model loaded. `name` says which, for messages."""

    name: str

    def run(self, signature: str | None, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs by name, in memory of their own. `signature` None is the model's only one."""

    def close(self) -> None:
        """Free the model's memory; nothing can be run afterwards."""


class _Tensor:
    """An input or output as the manifest describes it; `axes` are those whose extent is the text's length."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.name: str = described["name"]
        self.dtype = np.dtype(described["dtype"])
        self.shape: list[int] = described["shape"]
        self.axes = [axis for axis, extent in enumerate(self.shape) if extent == -1]

    def fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.shape) and all(
            extent in (-1, shape[axis]) for axis, extent in enumerate(self.shape)
        )

    def __str__(self) -> str:
        return "(" + ", ".join("tokens" if extent == -1 else str(extent) for extent in self.shape) + ")"


class Runner:
    """Runs one text (batch 1) or one example of a plain module at a time. Threads may share it: they take turns."""

    def __init__(self, model: Mapping[str, Any], engine: Engine) -> None:
        self.engine = engine
        self.lengths: list[int] = sorted(model["lengths"])
        self._signatures: Mapping[str, str] = model["signatures"]
        self._pad_id: int = model["pad_id"]
        self._inputs = {tensor["name"]: _Tensor(tensor) for tensor in model["inputs"]}
        self._outputs = {tensor["name"]: _Tensor(tensor) for tensor in model["outputs"]}
        self._lock = threading.Lock()
        without = [length for length in self.lengths if self._signatures and str(length) not in self._signatures]
        if without:
            raise BundleError(f"its manifest names no signature for the length {without[0]}")

    @property
    def input_names(self) -> list[str]:
        return list(self._inputs)

    def output_shape(self, index: int) -> list[int]:
        """The described shape of an output; -1 is the text's length."""
        return list(self._outputs.values())[index].shape

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs by name, with the shapes that the manifest gives them; -1 is the length of the inputs.

        Raises UsageError where names, shapes or types are not those of the model, or the text is too long.
        """
        arrays = self._accepted(inputs)
        length = self._length(arrays)
        bucket = self._bucket(length)
        if bucket is not None and length is not None and bucket > length:
            arrays = {name: self._padded(name, array, bucket) for name, array in arrays.items()}
        with self._lock:
            outputs = self.engine.run(self._signatures.get(str(bucket)), arrays)
        missing = self._outputs.keys() - outputs.keys()
        if missing:
            raise BundleError(f"the model has no output {', '.join(sorted(missing))}, which its manifest describes")
        return {name: self._cut(name, outputs[name], length) for name in self._outputs}

    def close(self) -> None:
        self.engine.close()

    def _accepted(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        if inputs.keys() != self._inputs.keys():
            raise UsageError(
                f"the model takes {', '.join(self._inputs)}, but was given {', '.join(sorted(inputs)) or 'nothing'}"
            )
        arrays = {}
        for name, tensor in self._inputs.items():
            array = np.asarray(inputs[name])
            if array.dtype != tensor.dtype and not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
                raise UsageError(f"input {name} must be {tensor.dtype}, not {array.dtype}")
            if not tensor.fits(array.shape):
                raise UsageError(f"input {name} must have the shape {tensor}, not {array.shape}")
            arrays[name] = np.ascontiguousarray(array, tensor.dtype)
            if tensor.dtype.kind == "i" and not np.array_equal(arrays[name], array):
                limits = np.iinfo(tensor.dtype)
                raise UsageError(f"input {name} is {tensor.dtype}, and has numbers beyond {limits.min} … {limits.max}")
        return arrays

    def _length(self, arrays: Arrays) -> int | None:
        """The inputs' common length in tokens, or None where the model has none."""
        found = {arrays[name].shape[axis] for name, tensor in self._inputs.items() for axis in tensor.axes}
        if len(found) > 1:
            raise UsageError(f"the inputs differ in length: {', '.join(map(str, sorted(found)))} tokens")
        length = found.pop() if found else None
        if length == 0:
            raise UsageError("the text has no tokens")
        return length

    def _bucket(self, length: int | None) -> int | None:
        """The length to pad to: the smallest bucket that holds the text; None for a model without lengths."""
        if length is None or not self.lengths:
            return None
        if length > self.lengths[-1]:
            raise UsageError(f"the text has {length} tokens; this model takes up to {self.lengths[-1]}")
        if not self._signatures:
            return min(rounded(length), self.lengths[-1])
        return min(bucket for bucket in self.lengths if bucket >= length)

    def _padded(self, name: str, array: NDArray[Any], bucket: int) -> NDArray[Any]:
        shape = list(array.shape)
        for axis in self._inputs[name].axes:
            shape[axis] = bucket
        padded = np.full(shape, self._pad_id if name == "input_ids" else 0, array.dtype)
        padded[tuple(slice(extent) for extent in array.shape)] = array
        return padded

    def _cut(self, name: str, array: NDArray[Any], length: int | None) -> NDArray[Any]:
        tensor = self._outputs[name]
        if length is None or not tensor.axes:
            return array
        return array[tuple(slice(length) if extent == -1 else slice(None) for extent in tensor.shape)]


def rounded(length: int) -> int:
    """The length to pad to for a graph that takes every length.

    OpenVINO prepares kernels for each length it meets, 5 ms each, and keeps them: 425 MiB private on MiniLM int8 after
    all lengths from 3 to 256; 123 MiB this way. What is padded is at most three tokens, or an eighth.
    """
    step = 4 if length <= 64 else 8 if length <= 128 else 16
    return -(-length // step) * step


def open_runner(model: Mapping[str, Any], root: str | Path | Files, threads: int = 2) -> Runner:
    """The model with the best runtime that is here. `root`: the folder (or opened bundle) that holds its files.

    Raises MissingPackageError where none is installed, BundleError where it cannot take the model.
    """
    if threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    files = root if isinstance(root, Files) else FolderFiles(Path(root), None)
    runtime = model["runtime"]
    if runtime == "openvino":
        from .openvino import OpenVinoEngine

        return Runner(model, OpenVinoEngine(model, files, threads))
    if runtime == "ai-edge-litert":
        return Runner(model, _open_tflite(model, files, threads))
    raise BundleError(f"the model wants the runtime {runtime!r}, which this device package does not know")


def _open_tflite(model: Mapping[str, Any], files: Files, threads: int) -> Engine:
    """CompiledModel where the installed LiteRT has it and it takes the model's types, else an interpreter."""
    from . import litert, tflite

    if litert.takes(model):
        return litert.LiteRtEngine(model, files, threads)
    if tflite.package() is not None:
        return tflite.InterpreterEngine(model, files, threads)
    raise MissingPackageError("ai-edge-litert", "this model")
