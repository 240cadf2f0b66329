"""OpenVINO on the CPU: one graph for every length, compiled once."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import BundleError, DeviceError, MissingPackageError
from .files import Files

if TYPE_CHECKING:
    from numpy.typing import NDArray


class OpenVinoEngine:
    """One compiled model and one infer request.

    Weights stay where they lie, also inside a bundle's zip: OpenVINO takes mapped memory as it takes a file of its
    own (measured on MiniLM int8: 107 MiB private either way, same latency).
    """

    name = "openvino"

    def __init__(self, model: Mapping[str, Any], files: Files, threads: int) -> None:
        compiled, self._weights = compile_graph(model, files, threads, {})
        self._request: Any = compiled.create_infer_request()
        self._outputs = [name for output in compiled.outputs for name in sorted(output.get_names())]

    def run(self, signature: str | None, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            # Not infer(): there the calling thread computes as well, which took 12 ms instead of 2 on a busy machine.
            self._request.start_async(dict(inputs), share_inputs=True)
            self._request.wait()
            return {name: np.array(self._request.get_tensor(name).data) for name in self._outputs}
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"OpenVINO failed: {first_line(error)}") from None

    def close(self) -> None:
        self._request = None
        self._weights = None


def openvino_runner(
    names: list[str], files: Files, threads: int, inputs: Mapping[str, NDArray[Any]]
) -> Callable[[], object]:
    """Runs the graph in these files again and again with the same inputs. Raises BundleError, DeviceError."""
    compiled, weights = compile_graph({"files": names}, files, threads, {})
    request: Any = compiled.create_infer_request()

    def run() -> object:
        # In the calling thread: waking another one takes longer than a small kernel, and never the same.
        if threads == 1:
            request.infer(share_inputs=True, share_outputs=True)
        else:
            request.start_async(share_inputs=True)
            request.wait()
        return weights  # which has to live as long as the request

    try:
        request.infer(dict(inputs))  # which the request keeps a copy of
    except (RuntimeError, ValueError) as error:
        raise DeviceError(f"OpenVINO failed: {first_line(error)}") from None
    return run


def compile_graph(
    model: Mapping[str, Any], files: Files, threads: int, further: Mapping[str, Any]
) -> tuple[Any, memoryview | None]:
    """The compiled model, and its weights' memory, which must live as long: OpenVINO does not hold a shared tensor's.

    `further` are settings beside the usual ones. Raises BundleError where OpenVINO cannot open it.
    """
    try:
        openvino: Any = importlib.import_module("openvino")
    except (ImportError, OSError) as error:
        raise MissingPackageError("openvino", "this model") from error
    graph, weights = _parts(model["files"])
    view = files.view(weights) if weights else None
    settings = {
        # Where a CPU has bfloat16, OpenVINO would compute in it: not what the gates have scored.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # Two programs that both pin their threads would share the same two cores while others idle.
        "ENABLE_CPU_PINNING": False,
        **further,
    }
    try:
        core = openvino.Core()
        text = files.read(graph).decode()
        if view is None:
            read = core.read_model(text.encode())
        else:
            array = np.frombuffer(view, np.uint8)
            read = core.read_model(text, openvino.Tensor(array, shared_memory=True))
        return core.compile_model(read, "CPU", settings), view
    except (RuntimeError, ValueError) as error:
        raise BundleError(
            f"OpenVINO cannot open {graph}: {first_line(error)}",
            "the version in the bundle's requirements.txt can",
        ) from None


def _parts(names: list[str]) -> tuple[str, str | None]:
    """The graph's file and the weights' file."""
    weights = [name for name in names if name.endswith(".bin")]
    return names[0], weights[0] if weights else None


def first_line(error: Exception) -> str:
    """OpenVINO's messages begin with where in its sources they were raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check "))]
    return (told or lines or [type(error).__name__])[0]
