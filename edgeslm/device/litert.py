"""LiteRT through CompiledModel, which can keep XNNPACK's repacked weights in a file that is mapped.

XNNPACK repacks the weights for every signature, also for one that is never called. Measured on MiniLM with five
length buckets (16 to 256 tokens; x86-64, 2 threads, ai-edge-litert 2.3.0), after all five have run:

                         private (anonymous) memory        latency, int8
                         fp32             int8             at 16, 64, 256 tokens
    Interpreter          281 (228) MiB    105 (79) MiB     1.3, 4.3, 21 ms
    CompiledModel        287 (232) MiB    112 (82) MiB     1.3, 4.2, 20 ms
      + weight cache      86  (28) MiB     60 (30) MiB     1.3, 4.3, 21 ms

What is not anonymous is mapped from files and can be dropped under pressure. Both copy a model that is given as bytes
(98 MiB more for a file of 59 MB) and take no mapped memory, so it is a file that they open.
"""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import gpu_plugin
from .errors import BundleError, DeviceError
from .files import Files
from .native_log import captured, errors_in
from .weight_cache import with_weight_cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What its TensorBuffers hold. Anything else (int64) goes through the interpreter.
TYPES = {"float32", "float16", "int32", "int8", "uint8", "bool"}


def takes(model: Mapping[str, Any]) -> bool:
    """Whether a LiteRT with CompiledModel and CPU options is installed, and can exchange these tensors."""
    try:
        module = importlib.import_module("ai_edge_litert.compiled_model")
    except (ImportError, OSError):  # OSError: a wheel of another machine
        return False
    if not hasattr(module, "CpuOptions"):
        return False
    if gpu_plugin.is_loaded_unasked() and not (hasattr(module, "Environment") and gpu_plugin.keep_out()):
        return False
    return {tensor["dtype"] for tensor in (*model["inputs"], *model["outputs"])} <= TYPES


class LiteRtEngine:
    """A CompiledModel with one set of buffers per signature, made when it is first used."""

    name = "ai-edge-litert"

    def __init__(self, model: Mapping[str, Any], files: Files, threads: int) -> None:
        path = files.path(model["files"][0])
        with captured() as log:
            try:
                self._compiled: Any = _compile(path, model["digest"], threads)
            except (RuntimeError, ValueError) as error:
                raise BundleError(
                    f"LiteRT cannot open {path.name}: {error}{errors_in(log)}",
                    "the version in the bundle's requirements.txt can",
                ) from None
        self._signatures: dict[str, dict[str, list[str]]] = self._compiled.get_signature_list()
        self._buffers: dict[str, _Buffers] = {}
        # LiteRT speaks on its way out as well, at the latest when the program ends.
        self._finalizer = weakref.finalize(self, _close, self.__dict__)

    def run(self, signature: str | None, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        name = signature if signature is not None else next(iter(self._signatures))
        if name not in self._buffers:
            self._buffers[name] = self._make_buffers(name, inputs)
        buffers = self._buffers[name]
        try:
            for key, array in inputs.items():
                buffers.inputs[key].write(array)
            self._compiled.run_by_name(name, buffers.inputs, buffers.outputs)
            return {
                key: buffer.read(int(np.prod(buffers.shapes[key])), buffers.types[key]).reshape(buffers.shapes[key])
                for key, buffer in buffers.outputs.items()
            }
        except (RuntimeError, KeyError) as error:
            raise DeviceError(f"LiteRT failed while it ran {name}: {error}") from None

    def close(self) -> None:
        self._finalizer()

    def _make_buffers(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> _Buffers:
        if name not in self._signatures:
            raise BundleError(f"the model has no signature {name}, which its manifest describes")
        names, compiled = self._signatures[name], self._compiled
        details = compiled.get_output_tensor_details(name)
        with captured() as log:
            try:
                buffers = _Buffers(
                    {key: compiled.create_input_buffer_by_name(name, key) for key in names["inputs"]},
                    {key: compiled.create_output_buffer_by_name(name, key) for key in names["outputs"]},
                    {key: tuple(details[key]["shape"]) for key in names["outputs"]},
                    {key: np.dtype(details[key]["dtype"]) for key in names["outputs"]},
                )
                # The first write of a program starts a second environment, and tells of it.
                for key, array in inputs.items():
                    buffers.inputs[key].write(array)
                return buffers
            except (RuntimeError, KeyError) as error:
                raise DeviceError(f"LiteRT cannot prepare {name}: {error}{errors_in(log)}") from None


class _Buffers:
    def __init__(
        self,
        inputs: dict[str, Any],
        outputs: dict[str, Any],
        shapes: dict[str, tuple[int, ...]],
        types: dict[str, np.dtype[Any]],
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.shapes = shapes
        self.types = types


def _close(state: dict[str, Any]) -> None:
    with captured():
        state["_buffers"].clear()
        state["_compiled"] = None


def _compile(path: Path, digest: str, threads: int) -> Any:
    """The CompiledModel, with the weight cache where there is a folder for it."""
    return with_weight_cache(path, digest, lambda packed: _create(path, threads, packed), (RuntimeError,))


def _create(path: Path, threads: int, packed: Path | None) -> Any:
    litert: Any = importlib.import_module("ai_edge_litert.compiled_model")
    cpu = litert.CpuOptions(num_threads=threads, xnnpack_weight_cache_path=str(packed) if packed else "")
    options = litert.Options(hardware_accelerators=litert.HardwareAccelerator.CPU, cpu_options=cpu)
    environment = None
    if gpu_plugin.is_loaded_unasked():
        environment = litert.Environment.create(runtime_path=gpu_plugin.NOWHERE)
    return litert.CompiledModel.from_file(str(path), options=options, environment=environment)
