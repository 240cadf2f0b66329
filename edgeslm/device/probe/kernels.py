"""Single kernels, for a cost model of this device: a .tflite with a signature for each, all in one program; or an IR of
OpenVINO's for each, of which a group is opened at a time.

Under an emulator each is profiled between two marks, so that instructions are told by operator. On a device as many as
have the weights of a small model take turns, round after round: each finds the caches as the others left them, as the
layers of a model do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from .. import litert_native
from ..container import open_container
from ..errors import DeviceError
from ..files import Files
from ..native_log import captured, errors_in
from ..openvino import openvino_runner
from .emulator import is_emulated
from .inputs import SEED
from .machine import condition, describe_device, has_throttled
from .mark import mark, steady
from .options import Options
from .profile import NoProfile
from .profile_litert import open_profiled
from .sections import start_event
from .stopwatch import Stopwatch

Event = dict[str, Any]

MEMBER = "model/kernels.json"
WARM_UP = 2
COUNTED_RUNS = 2
GROUP_BYTES = 16 << 20
"""Of weights that are read between two runs of a kernel: what a small model has, which larger caches hold."""


def probe_kernels(options: Options) -> Iterator[Event]:
    """A section `kernel` for each signature, between what the device is and how it fared. Raises DeviceError where the
    runtime is none that can be measured."""
    emulated = is_emulated()
    yield start_event(options, emulated)
    before = condition()
    yield {"section": "device", **describe_device(), "condition": before}
    yield from _measured(options, emulated)
    after = condition()
    yield {"section": "after", "condition": after, "throttled": has_throttled(before, after)}
    yield {"section": "end"}


def _measured(options: Options, emulated: bool) -> Iterator[Event]:
    container = open_container(options.bundle)
    kernels = json.loads(container.files.read(MEMBER))
    if container.manifest["model"]["runtime"] == "openvino":
        if not emulated:
            yield from _timed_openvino(container.files, kernels, options)
        return
    path = container.files.path(container.manifest["model"]["files"][0])
    if options.counted:
        yield from _counted(container.manifest["model"], path, kernels)
    elif not emulated:
        yield from _timed(path, kernels, options)


def _counted(model: Mapping[str, Any], path: Any, kernels: list[dict[str, Any]]) -> Iterator[Event]:
    with captured() as log, ExitStack() as handles:
        try:
            session = open_profiled(model, handles, path, 1)
        except NoProfile as reason:
            raise DeviceError(f"kernels cannot be counted: {reason}{errors_in(log)}") from None
        mark()  # what two marks take with nothing in between
        mark()
        with steady():
            for kernel in kernels:
                sizes = {
                    one["name"]: np.dtype(one["dtype"]).itemsize for one in (*kernel["inputs"], *kernel["outputs"])
                }
                session.choose(kernel["signature"], _inputs(kernel), sizes)
                for _ in range(WARM_UP):
                    session.run()
                runs = [session.profiled_run(mark) for _ in range(COUNTED_RUNS)]
                operators = [{"kind": one.kind, "source": one.source, "index": one.index} for one in runs[-1]]
                yield {
                    "section": "kernel",
                    "signature": kernel["signature"],
                    "runs": COUNTED_RUNS,
                    "operators": operators,
                    "samples_ms": [],
                }


def _timed(path: Any, kernels: list[dict[str, Any]], options: Options) -> Iterator[Event]:
    text = f"num_threads = {options.threads_used}\n"
    with captured() as log, ExitStack() as handles:
        try:
            model = litert_native.NativeModel(litert_native.load_library(), handles, path, [(b"xnnpack", text)])
        except (ImportError, OSError, DeviceError) as error:
            raise DeviceError(f"kernels cannot be timed: {error}{errors_in(log)}") from None
        memories: list[Any] = []
        runs = [_runner(model, kernel, memories) for kernel in kernels]
        samples = _samples(kernels, options, lambda group: [runs[place] for place in group])
    yield from _told(kernels, samples)


def _timed_openvino(files: Files, kernels: list[dict[str, Any]], options: Options) -> Iterator[Event]:
    """Of all at once each would have a thread of its own."""

    def opened(group: Sequence[int]) -> list[Callable[[], object]]:
        chosen = [kernels[place] for place in group]
        return [openvino_runner(one["files"], files, options.threads_used, _inputs(one)) for one in chosen]

    yield from _told(kernels, _samples(kernels, options, opened))


def _samples(
    kernels: list[dict[str, Any]], options: Options, opened: Callable[[Sequence[int]], list[Any]]
) -> list[list[float]]:
    """Milliseconds of each kernel's runs. `opened`: what runs those at these places."""
    stopwatch = Stopwatch()
    samples: list[list[float]] = [[] for _ in kernels]
    with steady():
        for group in _groups(kernels):
            runs = opened(group)
            for number in range(WARM_UP + options.runs):
                for place, run in zip(group, runs, strict=True):
                    ms = stopwatch.time(run)
                    if number >= WARM_UP and ms is not None:
                        samples[place].append(ms)
    return samples


def _told(kernels: list[dict[str, Any]], samples: list[list[float]]) -> Iterator[Event]:
    for kernel, taken in zip(kernels, samples, strict=True):
        yield {
            "section": "kernel",
            "signature": kernel["signature"],
            "runs": 0,
            "operators": [],
            "samples_ms": taken,
        }


def _groups(kernels: list[dict[str, Any]]) -> Iterator[list[int]]:
    """Places of kernels that follow each other, as many as have the weights of a small model."""
    group: list[int] = []
    taken = 0
    for place, kernel in enumerate(kernels):
        group.append(place)
        taken += kernel["weight_bytes"]
        if taken >= GROUP_BYTES:
            yield group
            group, taken = [], 0
    if group:
        yield group


def _runner(model: litert_native.NativeModel, kernel: Mapping[str, Any], memories: list[Any]) -> Any:
    signature = model.signatures[kernel["signature"]]
    given = _inputs(kernel)
    dtypes = {one["name"]: np.dtype(one["dtype"]) for one in (*kernel["inputs"], *kernel["outputs"])}
    buffers: list[list[Any]] = []
    for tensors in (signature.inputs, signature.outputs):
        made = []
        for tensor in tensors:
            memory = litert_native.aligned(int(np.prod(tensor.shape, dtype=np.int64)) * dtypes[tensor.name].itemsize)
            if tensor.name in given:
                memory[:] = np.ascontiguousarray(given[tensor.name]).reshape(-1).view(np.uint8)
            memories.append(memory)
            made.append(model.buffer(tensor, memory))
        buffers.append(made)
    return model.runner(signature.index, *buffers)


def _inputs(kernel: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers about one, whose products are neither huge nor subnormal, and ids below what the kernel's table has."""
    random = np.random.default_rng(SEED)
    inputs = {}
    for one in kernel["inputs"]:
        dtype = np.dtype(one["dtype"])
        below = one.get("below")
        if dtype.kind == "f":
            inputs[one["name"]] = random.normal(1, 0.05, one["shape"]).astype(dtype)
        else:
            inputs[one["name"]] = random.integers(0, below or 2, one["shape"]).astype(dtype)
    return inputs
