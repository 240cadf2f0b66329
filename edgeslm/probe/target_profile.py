"""A target's profile measured on a device: its kernels, the laws fitted to them, and the file."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edgeslm.artifacts import Bundle
from edgeslm.cache import explain_full_disk
from edgeslm.cost.points import Points
from edgeslm.cost.predict import Task
from edgeslm.cost.profile import RunLaw, TargetProfile, dump_profile, find_profile, fit_profile, join_profiles
from edgeslm.errors import ConfigError, UnsupportedError
from edgeslm.firmware.open_board import is_way_to_a_board
from edgeslm.firmware.qemu import find_machine, is_emulated
from edgeslm.firmware.serial_line import parse_port
from edgeslm.formats.archive import replacing
from edgeslm.probe.board_kernels import measure_board_kernels, require_profiled
from edgeslm.probe.kernel_run import Announce, KernelRequest, measure_kernels
from edgeslm.target import Target
from edgeslm.versions import tool_versions

SUFFIX = ".profile.toml"


class ProfileTargetAnswer(BaseModel):
    """`edgeslm profile-target --json`. `worst_spread`: the largest relative error of a matrix kernel's law on shapes
    that it was not fitted to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    target: str
    core: str
    device: str
    unit: str
    measured: bool
    kernels: int
    held_out: int
    worst_spread: float
    slow: tuple[str, ...]


class KernelFirmwareAnswer(BaseModel):
    """`edgeslm profile-target --firmware F --json`: a bundle for `edgeslm flash`. `digest`: the bundle's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    target: str
    digest: str
    bytes: int


def firmware_answer(written: Bundle, target: Target) -> KernelFirmwareAnswer:
    return KernelFirmwareAnswer(file=str(written.path), target=target.name, digest=written.digest, bytes=written.bytes)


RUNTIMES = {"tflite": "ai-edge-litert", "openvino": "openvino"}


def profile_target(
    request: KernelRequest, announce: Announce, backends: Sequence[Literal["tflite", "openvino"]] = ("tflite",)
) -> tuple[TargetProfile, list[Points]]:
    """Measure each backend and fit; a microcontroller has one. Raises DeviceError and its kin, ProfileError where
    nothing took any time."""
    if request.target.is_firmware:
        _refuse_what_no_board_takes(request)
        points, tool = measure_board_kernels(request.target, request.via, request.rounds, announce)
        return _fitted(request, points, tool), [points]
    measured = [measure_kernels(dataclasses.replace(request, backend=backend), announce) for backend in backends]
    tools = [f"{RUNTIMES[name]} {tool_versions(name).get(RUNTIMES[name], '')}" for name in backends]
    fitted = [_fitted(request, points, tool) for points, tool in zip(measured, tools, strict=True)]
    return functools.reduce(join_profiles, fitted), measured


def _fitted(request: KernelRequest, points: Points, tool: str) -> TargetProfile:
    date = datetime.now(UTC).date().isoformat()
    source = f"edgeslm profile-target --via {request.via.partition(':')[0]}, {date}, {tool}"
    target = request.target
    return fit_profile(points, target.name, source, request.threads, run_laws(target, points))


def _refuse_what_no_board_takes(request: KernelRequest) -> None:
    """Raises UnsupportedError and ConfigError before anything is built."""
    target = request.target
    require_profiled(target)
    if not is_way_to_a_board(request.via):
        emulated = ", or --via qemu" if is_emulated(target) else ""
        raise UnsupportedError(
            f"{target.name} is a microcontroller: --via {request.via} does not lead to it",
            f"flash what --firmware FILE writes, then --via serial:/dev/ttyACM0{emulated}",
        )
    if request.via == "qemu":
        find_machine(target)
    else:
        parse_port(request.via)
    if request.threads > 1 or request.vendor_wheels or request.rootfs is not None:
        raise ConfigError("--threads, --vendor-wheels and --rootfs are for targets that run Linux")


def run_laws(target: Target, points: Points) -> tuple[RunLaw, ...]:
    """What a run takes beside its kernels: on a device a run with hardly anything in it; in instructions what is
    shipped for the core, as a profiler hides it."""
    if target.is_firmware:  # the calls that its C is written from are all there is
        return ()
    if points.unit == "ms":
        tasks: tuple[Task, ...] = ("encoder", "decoder") if points.backend == "tflite" else ("encoder",)
        return tuple(RunLaw(backend=points.backend, task=task, call=points.empty) for task in tasks)
    shipped = find_profile(target)
    return shipped.run if shipped is not None and shipped.unit == points.unit else ()


def write_profile(profile: TargetProfile, path: Path) -> None:
    """Whole or not at all. Raises StorageError."""
    with explain_full_disk(path.parent), replacing(path) as partial:
        partial.write_text(dump_profile(profile), encoding="utf-8")


def default_path(target: Target) -> Path:
    return Path(f"{target.name}{SUFFIX}")


def answer(profile: TargetProfile, target: Target, path: Path) -> ProfileTargetAnswer:
    matrices = [law for law in profile.kernel if law.kind in ("gemv", "gemm")]
    return ProfileTargetAnswer(
        file=str(path),
        target=target.name,
        core=profile.core,
        device=profile.device,
        unit=profile.unit,
        measured=profile.measured,
        kernels=len(profile.kernel),
        held_out=sum(law.held_out for law in profile.kernel),
        worst_spread=max(law.spread for law in matrices),
        slow=tuple(f"{one.precision}{f'-g{one.group}' if one.group else ''}: {one.why}" for one in profile.slow),
    )
