"""libLiteRt.so through its C interface, for what LiteRT's Python package does not offer: its profiler, and tensor
buffers that lie in memory of ours, so that a KV cache is written in place.

An interface of structs and pointers must be known exactly. What a tensor is said to be is compared with what the bundle
says of it, so that another version's other structs are noticed before anything is read through them.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import gpu_plugin
from .errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CPU = 1  # LiteRtHwAccelerators
RUNTIME_PATH, ACCELERATORS = 22, 24  # LiteRtEnvOptionTag
INTEGER, STRING = 2, 8  # LiteRtAnyType
ALIGNMENT = 64  # of memory that a tensor buffer takes over

Pointer = ctypes.c_void_p


class _Any(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("value", ctypes.c_int64))  # a number, or a string's address


class _EnvironmentOption(ctypes.Structure):
    _fields_ = (("tag", ctypes.c_int), ("value", _Any))


class _Layout(ctypes.Structure):
    _fields_ = (
        ("rank", ctypes.c_uint, 7),
        ("has_strides", ctypes.c_uint, 1),
        ("dimensions", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )


class _TensorType(ctypes.Structure):
    _fields_ = (("element", ctypes.c_int), ("layout", _Layout))


class CallFailedError(DeviceError):
    """A function of the library gave a status other than success."""


class FunctionMissingError(DeviceError):
    """The library has no such function: it is of another version."""


@dataclass(frozen=True)
class NativeTensor:
    """An input or output of a signature."""

    name: str
    shape: tuple[int, ...]
    described: _TensorType


@dataclass(frozen=True)
class NativeSignature:
    index: int
    inputs: tuple[NativeTensor, ...]
    outputs: tuple[NativeTensor, ...]


def load_library() -> ctypes.CDLL:
    """The library of the installed ai-edge-litert. Raises OSError where it cannot be loaded."""
    package: Any = importlib.import_module("ai_edge_litert")
    return ctypes.CDLL(str(Path(package.__file__).parent / "libLiteRt.so"))


def aligned(size: int) -> NDArray[np.uint8]:
    """Zeroed memory that a tensor buffer can take."""
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    return memory[-memory.ctypes.data % ALIGNMENT :][:size]


class NativeModel:
    """A compiled .tflite. Handles are freed by `handles`, the last one first.

    `options`: LiteRT's opaque options, identifier -> text in TOML.
    """

    def __init__(
        self, library: ctypes.CDLL, handles: ExitStack, path: Path, options: Sequence[tuple[bytes, str]]
    ) -> None:
        self._library = library
        self._handles = handles
        environment = self._make_environment()
        self._model = self.make("Model", "CreateModelFromFile", environment, str(path).encode())
        chosen = self.make("Options", "CreateOptions")
        self.call("SetOptionsHardwareAccelerators", chosen, CPU)
        for identifier, text in options:
            self._add_options(chosen, identifier, text.encode())
        self.compiled = self.make("CompiledModel", "CreateCompiledModel", environment, self._model, chosen)
        self.signatures = self._read_signatures()

    def buffer(self, tensor: NativeTensor, memory: NDArray[Any]) -> Pointer:
        """A tensor buffer over `memory`, contiguous and aligned, which must live as long as it."""
        address, size = Pointer(memory.ctypes.data), ctypes.c_size_t(memory.nbytes)
        described = ctypes.byref(tensor.described)
        return self.make("TensorBuffer", "CreateTensorBufferFromHostMemory", described, address, size, None)

    def run(self, signature: int, inputs: tuple[int, Any], outputs: tuple[int, Any]) -> None:
        """`inputs` and `outputs`: how many buffers, and the array of them."""
        self.call(
            "RunCompiledModel",
            self.compiled,
            ctypes.c_size_t(signature),
            ctypes.c_size_t(inputs[0]),
            inputs[1],
            ctypes.c_size_t(outputs[0]),
            outputs[1],
        )

    def runner(self, signature: int, inputs: Sequence[Pointer], outputs: Sequence[Pointer]) -> Any:
        """run() with everything bound: called without arguments, it answers with the status, 0 for success."""
        import functools

        return functools.partial(
            self._library.LiteRtRunCompiledModel,
            self.compiled,
            ctypes.c_size_t(signature),
            ctypes.c_size_t(len(inputs)),
            (Pointer * len(inputs))(*inputs),
            ctypes.c_size_t(len(outputs)),
            (Pointer * len(outputs))(*outputs),
        )

    def make(self, what: str, function: str, *arguments: Any) -> Pointer:
        made: Pointer = self.get(function, *arguments)
        self._handles.callback(getattr(self._library, f"LiteRtDestroy{what}"), made)
        return made

    def get(self, function: str, *arguments: Any, kind: Any = Pointer) -> Any:
        result: Any = kind()
        self.call(function, *arguments, ctypes.byref(result))
        return result

    def call(self, function: str, *arguments: Any) -> None:
        try:
            status = getattr(self._library, f"LiteRt{function}")(*arguments)
        except AttributeError:
            raise FunctionMissingError(f"this LiteRT has no {function}") from None
        if status != 0:
            raise CallFailedError(f"{function} gave status {status}")

    def _read_signatures(self) -> dict[str, NativeSignature]:
        count = self.get("GetNumModelSignatures", self._model, kind=ctypes.c_size_t).value or 0
        found = {}
        for index in range(count):
            signature = self.get("GetModelSignature", self._model, ctypes.c_size_t(index))
            key = self.get("GetSignatureKey", signature, kind=ctypes.c_char_p).value or b""
            inputs, outputs = (self._tensors(signature, side) for side in ("Input", "Output"))
            found[key.decode()] = NativeSignature(index, inputs, outputs)
        return found

    def _tensors(self, signature: Pointer, side: str) -> tuple[NativeTensor, ...]:
        count = self.get(f"GetNumSignature{side}s", signature, kind=ctypes.c_size_t).value or 0
        tensors = []
        for index in map(ctypes.c_size_t, range(count)):
            name = self.get(f"GetSignature{side}Name", signature, index, kind=ctypes.c_char_p).value or b""
            tensor = self.get(f"GetSignature{side}TensorByIndex", signature, index)
            described = self.get("GetRankedTensorType", tensor, kind=_TensorType)
            shape = tuple(described.layout.dimensions[: described.layout.rank])
            tensors.append(NativeTensor(name.decode(), shape, described))
        return tuple(tensors)

    def _make_environment(self) -> Pointer:
        """With the CPU alone, so that no plugin for a GPU is looked for: see gpu_plugin."""
        nowhere = ctypes.create_string_buffer(gpu_plugin.NOWHERE.encode())
        chosen = (_EnvironmentOption * 2)(
            _EnvironmentOption(ACCELERATORS, _Any(INTEGER, CPU)),
            _EnvironmentOption(RUNTIME_PATH, _Any(STRING, ctypes.addressof(nowhere))),
        )
        return self.make("Environment", "CreateEnvironment", len(chosen), chosen)

    def _add_options(self, options: Pointer, identifier: bytes, content: bytes) -> None:
        """The options take over the text, and free it with C's own `free`."""
        c_library = ctypes.CDLL(None)
        c_library.strdup.restype = Pointer
        text = Pointer(c_library.strdup(content))
        free = ctypes.cast(c_library.free, Pointer)
        self.call("AddOpaqueOptions", options, self.get("CreateOpaqueOptions", identifier, text, free))
