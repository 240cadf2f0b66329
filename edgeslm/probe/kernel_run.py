"""Single kernels measured on a device: the bundle of them, the way there, and what each cost.

The same transports as a probe's carry it: a bundle's own device package runs, and tells events line by line.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgeslm.backends.tflite.kernel_file import write_kernels
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.bundle.kernels import MODEL_FOLDER, write_kernel_bundle
from edgeslm.cost.kernels import CHAIN, EMPTY, MANY, MOST_COPIES, WIDE, Kernel
from edgeslm.cost.points import KernelPoint, Points
from edgeslm.errors import ConfigError, DeviceError, MissingExtraError, UnsupportedError
from edgeslm.probe.clock_reads import CONCATENATION, instructions_by_operator
from edgeslm.probe.settings import Event, OnEvent, ProbeSettings
from edgeslm.target import Target

if TYPE_CHECKING:
    from edgeslm.remote.login import Login

Announce = Callable[[str], AbstractContextManager[None]]
SSH, SERIAL, ADB = "ssh://", "serial:", "adb"
ROUNDS = 100
TIME_LIMIT_S = 1800.0
QUIET = 0.2
"""Share of the runs that are believed: the fastest fifth. What disturbs a run only ever makes it slower."""


@dataclass(frozen=True)
class KernelRequest:
    """`small`: a few shapes, for a look at whether it works. Points are of one `backend`."""

    target: Target
    via: str
    rounds: int = ROUNDS
    threads: int = 1
    small: bool = False
    rootfs: Path | None = None
    vendor_wheels: bool = False
    login: Login | None = None
    remote_dir: str | None = None
    backend: Literal["tflite", "openvino"] = "tflite"


def measure_kernels(request: KernelRequest, announce: Announce) -> Points:
    """What each kernel of the grid costs on the device. Raises DeviceError and its kin, and UnsupportedError where
    this way tells nothing of kernels."""
    _refuse_what_cannot_work(request)
    events: list[Event] = []
    with tempfile.TemporaryDirectory(prefix="edgeslm-kernels-") as folder:
        with announce("write the kernels"):
            files, kernels = _write(request, Path(folder))
            described = [
                {
                    "signature": one.signature,
                    "inputs": one.inputs,
                    "outputs": one.outputs,
                    "weight_bytes": one.weight_bytes,
                    "files": [f"{MODEL_FOLDER}/{name}" for name in one.files],
                }
                for one in kernels
            ]
            out, vendor_wheels = Path(folder) / "kernels.edgeslm", request.vendor_wheels
            bundle = write_kernel_bundle(
                files, request.backend, described, request.target, out, vendor_wheels=vendor_wheels
            ).path
        _measure(request, bundle, announce, events.append)
    return read_points(kernels, events, request.target, request.backend)


def _write(request: KernelRequest, folder: Path) -> tuple[list[Path], tuple[Kernel, ...]]:
    if request.backend == "openvino":
        from edgeslm.backends.openvino.kernel_file import write_kernels as write_irs

        kernels = write_irs(folder, request.small)
        return [folder / name for one in kernels for name in one.files], kernels
    file = folder / "kernels.tflite"
    return [file], write_kernels(file, request.small, repeat=request.via != "qemu")


def read_points(
    kernels: Sequence[Kernel],
    events: Sequence[Event],
    target: Target,
    backend: Literal["tflite", "openvino"] = "tflite",
) -> Points:
    """The points that the events tell. Raises DeviceError where kernels are missing, or the device is another one."""
    told = {event["signature"]: event for event in events if event["section"] == "kernel"}
    start, device = (_section(events, name) for name in ("start", "device"))
    emulated = bool(start.get("emulated"))
    if emulated and not any(event["section"] == "counts" for event in events):
        raise DeviceError("the device is emulated, so it has no times to tell", "--via qemu counts its instructions")
    missing = [one.signature for one in kernels if one.signature not in told]
    if missing:
        raise DeviceError(
            f"{len(missing)} of {len(kernels)} kernels were not measured", "the device ended early: measure again"
        )
    core = device.get("core")
    if core is not None and core != target.cpu.core and not target.is_android:  # which is a class of phones
        raise DeviceError(
            f"the device has a {core}, and {target.name} is described with a {target.cpu.core}",
            "edgeslm targets lists the targets; docs/adding-a-target.md says how to describe another",
        )
    counts = next((event for event in events if event["section"] == "counts"), None)
    empty, operator = (0.0, 0.0) if counts else _around(kernels, told)
    costs = _instructions(kernels, told, counts) if counts else _milliseconds(kernels, told, operator)
    return Points(
        core=target.cpu.core,
        unit="instructions" if counts else "ms",
        device=f"qemu-aarch64 -cpu {target.cpu.core}" if emulated else _named(device, target),
        emulated=emulated,
        throttled=bool(_section(events, "after").get("throttled")),
        empty=empty,
        operator=operator,
        points=tuple(_points(kernels, costs)),
        backend=backend,
    )


def _named(device: Event, target: Target) -> str:
    return str(device.get("board") or device.get("cpu") or target.title)


def _points(kernels: Sequence[Kernel], costs: dict[str, float]) -> Iterator[KernelPoint]:
    for kernel in kernels:
        if kernel.calls:
            cost = costs[kernel.signature] / len(kernel.calls)
            yield KernelPoint(kernel.calls[0], kernel.precision, kernel.group, kernel.held_out, cost)


def _instructions(kernels: Sequence[Kernel], told: dict[str, Any], counts: Event) -> dict[str, float]:
    """Of the operators alone, as the runtime's profiler tells them apart; the last run of each."""
    runs = iter(counts["runs"])
    costs = {}
    for kernel in kernels:
        event = told[kernel.signature]
        reads: list[list[int]] = [next(runs, []) for _ in range(event["runs"])]
        operators = event["operators"]
        joined = len(kernel.inputs) if any(one["kind"].startswith(CONCATENATION) for one in operators) else 1
        found = instructions_by_operator(reads[-1], operators, joined)
        if found is None:
            raise DeviceError(
                f"the runtime's clock reads do not fit the operators of {kernel.signature}",
                "the profiler's interface is known of ai-edge-litert 2.3",
            )
        costs[kernel.signature] = sum(found)
    return costs


def _milliseconds(kernels: Sequence[Kernel], told: dict[str, Any], operator: float) -> dict[str, float]:
    """The median of the fastest fifth, less what a run with as many tensors takes that computes hardly anything; an
    operator's own start is left in."""
    taken = {one.signature: _undisturbed(told[one.signature]["samples_ms"]) for one in kernels}
    empty, result, given = _baselines(kernels, taken)
    costs = {}
    for number, kernel in enumerate(kernels):
        tensors = result(number) * (len(kernel.outputs) - 1) + given(number) * (len(kernel.inputs) - 1)
        costs[kernel.signature] = max(taken[kernel.signature] - empty(number) + operator - tensors, 0.0)
    return costs


Line = Callable[[float], float]


def _baselines(kernels: Sequence[Kernel], taken: dict[str, float]) -> tuple[Line, Line, Line]:
    """What a run takes that computes hardly anything, and what each further result and each further input adds, by a
    kernel's place in the file: LiteRT looks tensors up among all that came before."""
    measured = {
        name: [(n, taken[one.signature]) for n, one in enumerate(kernels) if one.signature.startswith(name)]
        for name in (EMPTY, WIDE, MANY)
    }
    lines = [_line(measured[EMPTY])]
    for name in (WIDE, MANY if measured[MANY] else WIDE):
        pairs = zip(measured[EMPTY], measured[name], strict=True)
        lines.append(_line([(n, max(0.0, ms - empty) / (MOST_COPIES - 1)) for (_, empty), (n, ms) in pairs]))
    return lines[0], lines[1], lines[2]


def _line(points: Sequence[tuple[int, float]]) -> Line:
    places, values = zip(*points, strict=True)
    slope, start = np.polyfit(places, values, 1)
    return lambda place: float(start + slope * place)


def _around(kernels: Sequence[Kernel], told: dict[str, Any]) -> tuple[float, float]:
    """What a run takes, and each operator in it."""
    first = next(one.signature for one in kernels if one.signature.startswith(EMPTY))
    one, chain = (_undisturbed(told[name]["samples_ms"]) for name in (first, CHAIN))
    return one, max(chain - one, 0.0) / (MOST_COPIES - 1)


def _undisturbed(samples: Sequence[float]) -> float:
    if not samples:
        raise DeviceError("the device's clock gave no times that can be believed", "it may run under an emulator")
    fastest = sorted(samples)[: max(1, int(len(samples) * QUIET))]
    return statistics.median(fastest)


def _section(events: Sequence[Event], name: str) -> Event:
    return next((event for event in events if event["section"] == name), {"section": name})


def _measure(request: KernelRequest, bundle: Path, announce: Announce, take: OnEvent) -> None:
    settings = ProbeSettings(runs=request.rounds, threads=request.threads, time_limit_s=TIME_LIMIT_S, kernels=True)
    if request.via == "local":
        from edgeslm.probe.transports import local

        local.measure(bundle, settings, announce, take)
    elif request.via == "qemu":
        from edgeslm.probe.transports import qemu

        qemu.measure(bundle, request.target.cpu.core, settings, request.rootfs, announce, take)
    elif _is_adb(request.via):
        from edgeslm.probe.transports import adb

        manifest, serial = inspect_bundle(bundle).manifest, request.via.partition(":")[2] or None
        adb.measure(bundle, manifest, serial, "pushed", settings, announce, take, keep=False)
    else:
        _measure_there(request, bundle, settings, announce, take)


def _measure_there(
    request: KernelRequest, bundle: Path, settings: ProbeSettings, announce: Announce, take: OnEvent
) -> None:
    from edgeslm.probe.transports import ssh
    from edgeslm.remote.address import parse_address
    from edgeslm.remote.ask import NOBODY
    from edgeslm.remote.login import Login
    from edgeslm.remote.together import wait_for

    address = parse_address(request.via)
    with announce(f"measure on {address}"):
        wait_for(
            ssh.measure_there(
                bundle,
                inspect_bundle(bundle),
                address,
                settings,
                take,
                keep=False,
                login=request.login or Login(NOBODY),
                announce=lambda line: None,
                remote_dir=request.remote_dir or ssh.REMOTE_DIR,
            )
        )


def _refuse_what_cannot_work(request: KernelRequest) -> None:
    target, via = request.target, request.via
    if via.startswith(SERIAL):
        raise UnsupportedError(
            f"--via {via} is for microcontrollers; {target.name} is none", "local, qemu, adb, or ssh://user@host:port"
        )
    if request.backend == "openvino":
        _refuse_without_openvino(target, via)
    if via == "qemu":
        if target.cpu.arch != "aarch64":
            raise UnsupportedError(
                f"--via qemu emulates arm64 boards; {target.name} is {target.cpu.arch}",
                "--via local measures on this machine",
            )
    elif request.rootfs is not None:
        raise ConfigError("--rootfs goes with --via qemu")
    if via not in ("local", "qemu") and not via.startswith(SSH) and not _is_adb(via):
        raise ConfigError(f"--via {via} is no way to a device", "local, qemu, adb, adb:SERIAL, or ssh://user@host:port")


def _refuse_without_openvino(target: Target, via: str) -> None:
    """OpenVINO's kernels are timed alone: its counters tell no instructions, and which operators it joins is asked of
    this machine's own plugin."""
    from edgeslm.backends.openvino import missing

    if missing() is not None:
        raise MissingExtraError("openvino", "openvino", "writing OpenVINO's kernels")
    if target.cpu.arch != "x86_64" or via == "qemu" or _is_adb(via):
        raise UnsupportedError(
            f"kernels of OpenVINO are timed on x86-64 alone, and {target.name} is {target.cpu.arch}",
            "--backend tflite is measured there",
        )


def _is_adb(via: str) -> bool:
    return via == ADB or via.startswith(f"{ADB}:")
