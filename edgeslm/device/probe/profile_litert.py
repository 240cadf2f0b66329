"""LiteRT's profile, through the C interface of libLiteRt.so: its Python package has none.

An interface of structs and pointers must be known exactly, so only versions that were looked at are asked (KNOWN), and
what comes back is believed only where it looks like a profile. The model is compiled without the cache of packed
weights: XNNPACK packs them once more.

Clock reads (clock_gettime) in one profiled run (2.3.0): three as the run starts; for each of the interpreter's own
operators two, right before and right after it; for each part of the graph that XNNPACK runs, one before its first
operator and one after each of its operators; three at the end. The first and last three belong to events of the run as
a whole (buffers registered, invoked, buffers synchronized). Of a concatenation XNNPACK times every input ("Copy") and
tells one.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import gpu_plugin, litert
from ..errors import BundleError, DeviceError
from ..files import Files
from ..native_log import captured, errors_in
from .profile import NoProfile, Operator

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOWN = ("2.3.",)
WARM_UP = 2
CPU = 1  # LiteRtHwAccelerators
RUNTIME_PATH, ACCELERATORS = 22, 24  # LiteRtEnvOptionTag
INTEGER, STRING = 2, 8  # LiteRtAnyType
BUILT_IN, XNNPACK = 2, 8  # LiteRtProfilerEventType; other events are of the whole run
ALIGNMENT = 64  # of memory that a tensor buffer takes over
MOST_EVENTS = 1 << 20
LONGEST_US = 3_600_000_000

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


class Event(ctypes.Structure):
    """ProfiledEventData. XNNPACK's operators have no start time."""

    _fields_ = (
        ("tag", ctypes.c_void_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_uint64 * 6),
        ("index", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


def profile_litert(
    model: Mapping[str, Any],
    files: Files,
    threads: int,
    inputs: Mapping[str, NDArray[Any]],
    signature: str | None,
    runs: int,
    mark: Callable[[], object] | None,
) -> list[Operator]:
    """The interpreter's operators and XNNPACK's. Raises NoProfile, and DeviceError where the model does not run."""
    sizes = {tensor["name"]: np.dtype(tensor["dtype"]).itemsize for tensor in (*model["inputs"], *model["outputs"])}
    with captured() as log, ExitStack() as handles:
        try:
            session = open_profiled(model, handles, files.path(model["files"][0]), threads)
            session.choose(signature, inputs, sizes)
            for _ in range(WARM_UP):
                session.run()
            profiles = [session.profiled_run(mark) for _ in range(runs)]
        except _CallFailedError as error:
            raise DeviceError(f"LiteRT failed while it was profiled: {error}{errors_in(log)}") from None
    return _joined(profiles)


def open_profiled(model: Mapping[str, Any], handles: ExitStack, path: Path, threads: int) -> Session:
    """The model compiled with its profiler on, until `handles` is closed. Raises NoProfile."""
    return Session(_load(model), handles, path, threads)


def _load(model: Mapping[str, Any]) -> ctypes.CDLL:
    if not litert.takes(model):
        raise NoProfile("no profile: the model runs in the TFLite interpreter, whose Python package has no profiler")
    package: Any = importlib.import_module("ai_edge_litert")
    version = str(getattr(package, "__version__", ""))
    if not version.startswith(KNOWN):
        raise NoProfile(f"no profile: the profiler's interface is known of LiteRT {KNOWN[0]}x, this is {version}")
    try:
        return ctypes.CDLL(str(Path(package.__file__).parent / "libLiteRt.so"))
    except OSError as error:
        raise NoProfile(f"no profile: {error}") from None


class _CallFailedError(Exception):
    pass


class Session:
    """A model compiled with its profiler on. Handles are freed by `handles`, the last one first."""

    def __init__(self, library: ctypes.CDLL, handles: ExitStack, path: Path, threads: int) -> None:
        self._library = library
        self._handles = handles
        environment = self._make_environment()
        self._model = self._make("Model", "CreateModelFromFile", environment, str(path).encode())
        options = self._make("Options", "CreateOptions")
        self._call("SetOptionsHardwareAccelerators", options, CPU)
        self._add_options(options, b"xnnpack", f"num_threads = {threads}\n".encode())
        self._add_options(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._compiled = self._make("CompiledModel", "CreateCompiledModel", environment, self._model, options)
        self._profiler = self._get("CompiledModelGetProfiler", self._compiled)
        if not self._profiler:
            raise NoProfile("no profile: this LiteRT was built without a profiler")
        self._signature = 0
        self._buffers: list[tuple[int, Any]] = []
        self._memory: list[NDArray[np.uint8]] = []  # what the buffers use and do not own

    def choose(self, name: str | None, inputs: Mapping[str, NDArray[Any]], sizes: Mapping[str, int]) -> None:
        """Set the signature and lay out its buffers. `sizes`: tensor's name -> bytes of an element."""
        count = self._get("GetNumModelSignatures", self._model, kind=ctypes.c_size_t).value or 0
        for index in range(count):
            signature = self._get("GetModelSignature", self._model, ctypes.c_size_t(index))
            key = self._get("GetSignatureKey", signature, kind=ctypes.c_char_p).value or b""
            if name is None or key.decode() == name:
                self._signature = index
                self._buffers = [self._lay_out(signature, side, inputs, sizes) for side in ("Input", "Output")]
                return
        raise BundleError(f"the model has no signature {name}, which its manifest describes")

    def run(self) -> None:
        arguments = [argument for count, array in self._buffers for argument in (ctypes.c_size_t(count), array)]
        self._call("RunCompiledModel", self._compiled, ctypes.c_size_t(self._signature), *arguments)

    def profiled_run(self, mark: Callable[[], object] | None) -> list[Operator]:
        mark = mark or (lambda: None)
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        mark()
        self.run()
        mark()
        self._call("StopProfiler", self._profiler)
        return operators_of(self._events())

    def _events(self) -> Any:
        count = self._get("GetNumProfilerEvents", self._profiler, kind=ctypes.c_int).value
        if not 0 < count <= MOST_EVENTS:
            raise NoProfile(f"no profile: LiteRT speaks of {count} events")
        events = (Event * (2 * count))()  # more than enough, should its events be longer than ours
        self._call("GetProfilerEvents", self._profiler, count, events)
        return events[:count]

    def _make_environment(self) -> Pointer:
        """With the CPU alone, so that no plugin for a GPU is looked for: see gpu_plugin."""
        nowhere = ctypes.create_string_buffer(gpu_plugin.NOWHERE.encode())
        chosen = (_EnvironmentOption * 2)(
            _EnvironmentOption(ACCELERATORS, _Any(INTEGER, CPU)),
            _EnvironmentOption(RUNTIME_PATH, _Any(STRING, ctypes.addressof(nowhere))),
        )
        return self._make("Environment", "CreateEnvironment", len(chosen), chosen)

    def _add_options(self, options: Pointer, identifier: bytes, content: bytes) -> None:
        """The options take over the text, and free it with C's own `free`."""
        c_library = ctypes.CDLL(None)
        c_library.strdup.restype = Pointer
        text = Pointer(c_library.strdup(content))
        free = ctypes.cast(c_library.free, Pointer)
        self._call("AddOpaqueOptions", options, self._get("CreateOpaqueOptions", identifier, text, free))

    def _lay_out(
        self, signature: Pointer, side: str, inputs: Mapping[str, NDArray[Any]], sizes: Mapping[str, int]
    ) -> tuple[int, Any]:
        """Buffers in the order of the signature, and how many they are."""
        count = self._get(f"GetNumSignature{side}s", signature, kind=ctypes.c_size_t).value or 0
        buffers = []
        for index in map(ctypes.c_size_t, range(count)):
            name = (self._get(f"GetSignature{side}Name", signature, index, kind=ctypes.c_char_p).value or b"").decode()
            tensor = self._get(f"GetSignature{side}TensorByIndex", signature, index)
            described = self._get("GetRankedTensorType", tensor, kind=_TensorType)
            shape = described.layout.dimensions[: described.layout.rank]
            if name not in (inputs if side == "Input" else sizes):
                raise BundleError(f"the model has a tensor {name}, which its manifest does not describe")
            memory = _aligned(int(np.prod(shape, dtype=np.int64)) * sizes[name])
            if side == "Input":
                memory[:] = np.ascontiguousarray(inputs[name]).reshape(-1).view(np.uint8)
            self._memory.append(memory)
            address, size = Pointer(memory.ctypes.data), ctypes.c_size_t(memory.nbytes)
            made = "CreateTensorBufferFromHostMemory"
            buffers.append(self._make("TensorBuffer", made, ctypes.byref(described), address, size, None))
        return count, (Pointer * count)(*buffers)

    def _make(self, what: str, function: str, *arguments: Any) -> Pointer:
        made: Pointer = self._get(function, *arguments)
        self._handles.callback(getattr(self._library, f"LiteRtDestroy{what}"), made)
        return made

    def _get(self, function: str, *arguments: Any, kind: Any = Pointer) -> Any:
        result: Any = kind()
        self._call(function, *arguments, ctypes.byref(result))
        return result

    def _call(self, function: str, *arguments: Any) -> None:
        try:
            status = getattr(self._library, f"LiteRt{function}")(*arguments)
        except AttributeError:
            raise NoProfile(f"no profile: this LiteRT has no {function}") from None
        if status != 0:
            raise _CallFailedError(f"{function} gave status {status}")


def operators_of(events: Sequence[Event]) -> list[Operator]:
    """The operators among the events of one run. Raises NoProfile where they cannot be what they should be."""
    operators: list[Operator] = []
    built_in: set[int] = set()
    place = -1
    for event in events:
        if event.type not in (BUILT_IN, XNNPACK):
            continue
        # Numbers first: only where they make sense is the tag an address.
        if event.type == XNNPACK:
            fits = event.index in (0, place + 1)
            place = event.index
        else:
            fits = event.index not in built_in
            built_in.add(event.index)
        if not fits or event.elapsed_us > LONGEST_US or not event.tag:
            raise NoProfile("no profile: LiteRT's events are not laid out as expected")
        kind = ctypes.string_at(event.tag).decode("ascii", "replace")
        if not kind.isprintable() or not kind or "\ufffd" in kind:
            raise NoProfile("no profile: LiteRT's events are not laid out as expected")
        source = "xnnpack" if event.type == XNNPACK else "tflite"
        operators.append(Operator(kind, None, source, event.index, (float(event.elapsed_us),)))
    if not operators:
        raise NoProfile("no profile: LiteRT tells of no operator")
    return operators


def _joined(profiles: Sequence[Sequence[Operator]]) -> list[Operator]:
    """One profile of several runs, all of which must be of the same operators."""
    first = [(operator.kind, operator.source, operator.index) for operator in profiles[0]]
    if any([(one.kind, one.source, one.index) for one in profile] != first for profile in profiles):
        raise NoProfile("no profile: its runs differ in their operators")
    return [
        dataclasses.replace(same[0], microseconds=tuple(one.microseconds[0] for one in same))
        for same in zip(*profiles, strict=True)
    ]


def _aligned(size: int) -> NDArray[np.uint8]:
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    return memory[-memory.ctypes.data % ALIGNMENT :][:size]
