"""The TFLite interpreter: of an older LiteRT, or of tflite_runtime 2.14, where that is what the device has."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import BundleError, DeviceError
from .files import Files
from .native_log import captured, errors_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGES = ("ai_edge_litert", "tflite_runtime")

FROZEN = "tflite_runtime"
SOUND = ("fp32", "fp16")
"""The schemes that tflite_runtime 2.14, its last version, computes as they are meant. It takes one scale for all
channels of int8 weights, and gives wrong vectors without a word: cosine 0.05 and less on MiniLM in each of our int8
schemes. int4 it refuses."""


def package() -> str | None:
    """The first of PACKAGES that can be imported here."""
    for name in PACKAGES:
        try:
            importlib.import_module(f"{name}.interpreter")
        except (ImportError, OSError, AttributeError):  # AttributeError: tflite_runtime under numpy 2
            continue
        return name
    return None


class InterpreterEngine:
    """An interpreter with one runner per signature; a signature's memory is allocated when it is first used."""

    def __init__(self, model: Mapping[str, Any], files: Files, threads: int, name: str | None = None) -> None:
        self.name = name or package() or PACKAGES[0]
        scheme = model.get("scheme")
        if self.name == FROZEN and scheme not in SOUND:
            raise BundleError(
                f"tflite_runtime gives wrong results for a model of scheme {scheme}",
                f"pip install ai-edge-litert, or build the bundle with --scheme {' or '.join(SOUND)}",
            )
        module: Any = importlib.import_module(f"{self.name}.interpreter")
        path = files.path(model["files"][0])
        with captured() as log:
            try:
                self._interpreter: Any = module.Interpreter(model_path=str(path), num_threads=threads)
                self._signatures: dict[str, Any] = self._interpreter.get_signature_list()
            except (RuntimeError, ValueError) as error:
                raise self._refused(path.name, f"{error}{errors_in(log)}") from None
        self._file = path.name
        self._runners: dict[str, Any] = {}

    def run(self, signature: str | None, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        name = signature if signature is not None else next(iter(self._signatures), None)
        if name not in self._signatures:
            raise BundleError(f"the model has no signature {name}, which its manifest describes")
        if name not in self._runners:
            with captured() as log:
                try:
                    self._runners[name] = self._interpreter.get_signature_runner(name)
                    return self._invoke(name, inputs)  # the first call is the one that allocates, and logs
                except (RuntimeError, ValueError) as error:
                    self._runners.pop(name, None)
                    raise self._refused(self._file, f"{error}{errors_in(log)}") from None
        try:
            return self._invoke(name, inputs)
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"{self.name} failed while it ran {name}: {error}") from None

    def close(self) -> None:
        self._runners.clear()
        self._interpreter = None

    def _invoke(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        # The runner copies its outputs out of the arena before it returns them.
        outputs: dict[str, NDArray[Any]] = self._runners[name](**inputs)
        return outputs

    def _refused(self, file: str, problem: str) -> BundleError:
        return BundleError(f"{self.name} cannot run {file}: {problem}", "pip install ai-edge-litert: it can")
