"""`edgeslm profile-target` as a user runs it: kernels measured, a file written, and given back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeslm.backends.tflite.kernel_file import write_kernels
from edgeslm.cost.kernels import Kernel
from edgeslm.cost.points import load_points
from edgeslm.cost.profile import find_profile
from edgeslm.errors import DeviceError, EdgeslmError
from edgeslm.probe.kernel_run import KernelRequest, measure_kernels, read_points
from edgeslm.probe.settings import Event
from edgeslm.target import load_target
from scripts.bench_cost import POINTS
from tests.arm64.userland import problem
from tests.conftest import Answer

pytest.importorskip("ai_edge_litert")

Edgeslm = Callable[..., Answer]


def silent(title: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def test_this_machine_is_measured_and_the_file_is_a_profile_of_it(edgeslm: Edgeslm, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    answer = edgeslm("profile-target", "--target", "linux-x86_64", "--rounds", "3", "-o", path, "--json")
    assert answer.status == 0, answer.stderr
    told = answer.json
    profile = find_profile(load_target("linux-x86_64"), path)
    assert profile is not None
    assert (profile.unit, profile.measured, profile.name) == ("ms", True, "linux-x86_64")
    assert told["file"] == str(path)
    assert told["kernels"] == len(profile.kernel)
    assert told["held_out"] > 100
    assert {law.kind for law in profile.kernel} >= {"gemv", "gemm", "lookup", "softmax", "batch_matmul"}
    assert f"--target-profile {path}" in answer.stderr


@pytest.mark.skipif(problem() is not None, reason=problem() or "")
def test_kernels_counted_here_are_those_that_are_recorded() -> None:
    """The emulator counts the same instructions for the same shapes, whatever else is in the file."""
    counted = measure_kernels(KernelRequest(load_target("rpi4"), "qemu", small=True), silent)
    recorded = {
        (point.call, point.precision, point.group): point.cost
        for point in load_points((POINTS / "cortex-a72.json").read_text()).points
    }
    assert (counted.unit, counted.emulated) == ("instructions", True)
    assert len(counted.points) > 25
    for point in counted.points:
        known = recorded[point.call, point.precision, point.group]
        assert point.cost == pytest.approx(known, rel=2e-3, abs=150), point


@pytest.mark.parametrize(
    ("target", "via", "said", "status"),
    [
        ("rpi4", "serial:/dev/ttyACM0", "is for microcontrollers; rpi4 is none", 3),
        ("linux-x86_64", "qemu", "--via qemu emulates arm64 boards", 3),
        ("rpi4", "telnet://pi", "is no way to a device", 2),
    ],
)
def test_what_cannot_be_measured_is_said_at_once(target: str, via: str, said: str, status: int) -> None:
    with pytest.raises(EdgeslmError, match=said) as raised:
        measure_kernels(KernelRequest(load_target(target), via), silent)
    assert raised.value.exit_code == status


def test_the_command_leaves_no_file_behind_an_error(edgeslm: Edgeslm, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    answer = edgeslm("profile-target", "--target", "rpi4", "--via", "ssh://pi@pi4", "--rootfs", "/", "-o", path)
    assert (answer.status, "--rootfs goes with --via qemu" in answer.stderr) == (2, True)
    answer = edgeslm("profile-target", "--target", "linux-x86_64", "-o", tmp_path / "no" / "mine.toml")
    assert (answer.status, "is no folder" in answer.stderr) == (9, True)
    assert not list(tmp_path.iterdir())


def test_a_device_of_another_core_is_refused() -> None:
    kernels: tuple[Kernel, ...] = ()
    events: list[Event] = [{"section": "start", "emulated": False}, {"section": "device", "core": "cortex-a53"}]
    with pytest.raises(DeviceError, match="the device has a cortex-a53, and rpi4 is described with a cortex-a72"):
        read_points(kernels, events, load_target("rpi4"))
    events[0]["emulated"] = True
    with pytest.raises(DeviceError, match="the device is emulated, so it has no times to tell"):
        read_points(kernels, events, load_target("rpi4"))


def test_kernels_that_the_device_never_told_of_are_missed(tmp_path: Path) -> None:
    kernels = write_kernels(tmp_path / "kernels.tflite", small=True)
    with pytest.raises(DeviceError, match=f"{len(kernels)} of {len(kernels)} kernels were not measured"):
        read_points(kernels, [], load_target("rpi4"))
