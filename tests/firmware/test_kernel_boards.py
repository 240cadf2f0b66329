"""`edgeslm profile-target --via serial:…`: the firmware that measures kernels, on an emulated board behind a pseudo
terminal; and a fake board that claims to be silicon, as nothing here is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgeslm.backends.cortexm.packing import Layout
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.cost.points import load_points
from edgeslm.cost.profile import dump_profile, load_profile, parse_profile
from edgeslm.errors import (
    ConfigError,
    ConnectionLostError,
    DeviceError,
    EdgeslmError,
    ProbeTimeoutError,
    UnfitDeviceError,
    UnsupportedError,
)
from edgeslm.firmware import board as board_module
from edgeslm.firmware.board import Board
from edgeslm.firmware.wire import Frame, request
from edgeslm.probe import target_profile
from edgeslm.probe.board_grid import KERNELS, NUMBERS, board_grid
from edgeslm.probe.board_kernels import measure_bundle, measure_grid
from edgeslm.probe.kernel_run import KernelRequest
from edgeslm.target import load_target
from edgeslm.template_folder import template_folder
from scripts.bench_cost import POINTS
from tests.firmware.bad_wire import CLOCK_HZ, FakeBoard, Faults, MistreatedLine, mistreated, served, whole
from tests.firmware.host_program import require_tool
from tests.firmware.pty_qemu import board_on_a_pty

TARGET = "netduinoplus2"
AROUND = 30
"""Ticks that the fake board takes for nothing."""
Edgeslm = Callable[..., Any]


def silent(title: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


@pytest.fixture(scope="module")
def bundle(edgeslm: Edgeslm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `--firmware` writes."""
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    path = tmp_path_factory.mktemp("kernels") / "kernels.edgeslm"
    said = edgeslm("profile-target", "--target", TARGET, "--firmware", path, "--json")
    assert said.status == 0, said.stderr
    assert f"edgeslm flash {path}" in said.stderr
    told = said.json
    assert (told["file"], told["target"], told["bytes"]) == (str(path), TARGET, path.stat().st_size)
    assert told["digest"] == inspect_bundle(path).digest
    return path


@dataclass
class FakeKernels(FakeBoard):
    """A product takes a tick for each number of its matrix, other kernels one for each of their first argument. After
    `most_kernels` it says nothing any more."""

    name: str = "kernels"
    most_kernels: int = 10**9
    refused: int = -1

    def _frames(self, asked: Frame) -> Iterator[Frame]:
        if asked.type != "K":
            yield from super()._frames(asked)
            return
        kernel, runs, _, first, second = asked.words(5)
        ticks = 0 if kernel == 0 else first * second if kernel == NUMBERS["gemv_i8"] else first
        if kernel == self.refused:
            yield request("e", 22, kernel, 3)
        else:
            yield request("d", runs, runs * (ticks + AROUND), ticks + AROUND, 100)

    def take(self, content: bytes) -> bytes:
        return b"" if sum(one.type == "K" for one in self.carried_out) >= self.most_kernels else super().take(content)


def test_a_board_at_a_port_counts_what_is_recorded_of_its_core(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    """The image is built again by the command, and the board runs that one. It says that it is emulated, so that no
    time is in the profile; and its instructions are those that scripts/bench cost counted kernel by kernel."""
    require_tool("qemu-system-arm", "qemu-system-arm")
    path = tmp_path / "board.toml"
    with board_on_a_pty(TARGET, bundle, tmp_path) as board:
        via = f"serial:{board.path}"
        said = edgeslm("profile-target", "--target", TARGET, "--via", via, "--rounds", "3", "-o", path)
        assert said.status == 0, said.stderr
    assert "a row, instructions" in said.stdout
    profile = load_profile(path)
    assert (profile.unit, profile.measured, profile.run) == ("instructions", False, ())
    recorded = load_points((POINTS / "cortex-m4.json").read_text()).points
    kinds = {(point.call.kind, point.precision, point.group) for point in recorded}
    assert {(law.kind, law.precision, law.group) for law in profile.kernel} == kinds
    for point in recorded:
        law = profile.find("cortexm", point.call.kind, point.precision, point.group)
        assert law is not None
        # A law, of attention in rows of four, is off by some percent; a counter's tick is 6 instructions.
        assert law.law.cost(point.call) == pytest.approx(point.cost, rel=0.1, abs=8), point


def test_it_is_no_model_to_other_commands(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    said = edgeslm("probe", bundle, "--via", "serial:/dev/ttyACM0", "-o", tmp_path / "p.json")
    assert (said.status, "single kernels to be measured, and no model" in said.stderr) == (3, True), said.stderr
    assert edgeslm("inspect", bundle).status == 0


def test_silicon_has_milliseconds_by_its_own_clock(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeKernels(image=told_by(bundle), clock_hz=CLOCK_HZ // 2)
    monkeypatch.setattr(
        target_profile, "measure_board_kernels", lambda _, via, rounds, __: measure_bundle(bundle, via, rounds, silent)
    )
    with served(fake.take) as port:
        asked = KernelRequest(load_target(TARGET), f"serial:{port.path}", rounds=3)
        profile, (points,) = target_profile.profile_target(asked, silent)
    assert (profile.unit, profile.measured, profile.core) == ("ms", True, "cortex-m4")
    assert "84 MHz" in profile.device
    assert "--via serial, " in profile.source
    assert len(points.points) == len(board_grid(Layout.PAIRS))
    products = [point for point in points.points if (point.call.kind, point.precision) == ("gemv", "int8")]
    for point in products:
        ticks = point.call.inputs * point.call.outputs
        assert point.cost == pytest.approx(ticks * 1e3 / fake.clock_hz)
    assert parse_profile(dump_profile(profile), "again") == profile


def told_by(bundle: Path) -> str:
    """What of its digest the bundle's image tells."""
    firmware = inspect_bundle(bundle).manifest.firmware
    assert firmware is not None
    assert firmware.digest is not None
    return firmware.digest[:16]


@pytest.mark.parametrize(
    ("fake", "error", "message"),
    [
        (FakeKernels(image="0123456789abcdef"), UnfitDeviceError, "runs another image .*: image 0123456789abcdef"),
        (FakeKernels(name="stub", image="own"), UnfitDeviceError, "model stub instead of kernels"),
        (FakeKernels(clock_hz=0, image="own"), DeviceError, "no times: the board does not tell its clock"),
        (FakeKernels(clock_hz=1, image="own"), DeviceError, "more cycles than a clock of 1e-06 MHz has"),
        (FakeKernels(refused=9, image="own"), DeviceError, "kernels were measured; then .* has no kernel 9"),
    ],
)
def test_a_board_that_cannot_be_believed_is_refused(
    fake: FakeKernels, error: type[DeviceError], message: str, bundle: Path
) -> None:
    fake.image = fake.image.replace("own", told_by(bundle))
    with served(fake.take) as port, pytest.raises(error, match=message):
        measure_bundle(bundle, f"serial:{port.path}", 3, silent)


def test_a_port_that_is_unplugged_midway_is_told_with_how_far_it_came(bundle: Path) -> None:
    seen = 0

    def unplug(content: bytes) -> bytes:
        nonlocal seen
        seen += len(content)
        if seen > 1000:
            port.unplug()
        return content

    with (
        served(FakeKernels(image=told_by(bundle)).take) as board,
        mistreated(board.path, whole, unplug) as port,
        pytest.raises(ConnectionLostError, match=r"[1-9][0-9]* of [0-9]+ kernels were measured; then .* was unplugged"),
    ):
        measure_bundle(bundle, f"serial:{port.path}", 3, silent)


class Clock:
    """Time that passes where a board is waited for in vain, and nowhere else."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def line_to(fake: FakeKernels, monkeypatch: pytest.MonkeyPatch, rate: float = 0.0) -> MistreatedLine:
    clock = Clock()
    monkeypatch.setattr(board_module, "time", clock)
    return MistreatedLine(fake, Faults(1, rate), Faults(2, rate), clock.wait)


def test_a_board_that_goes_silent_midway_is_told_with_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(line_to(FakeKernels(most_kernels=7), monkeypatch), "the board")
    with pytest.raises(ProbeTimeoutError, match=r"7 of [0-9]+ kernels were measured; then the board stays silent"):
        measure_grid(board, load_target(TARGET), 3)


def test_a_kernel_whose_answer_is_damaged_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    target = load_target(TARGET)
    clean = measure_grid(Board(line_to(FakeKernels(emulated=True), monkeypatch), "the board"), target, 3)
    again = measure_grid(Board(line_to(FakeKernels(emulated=True), monkeypatch, 0.001), "the board"), target, 3)
    assert again == clean


@pytest.mark.parametrize(
    ("target", "via", "error", "message"),
    [
        (TARGET, "local", UnsupportedError, "--via local does not lead to it"),
        ("mps2-an385", "qemu", UnsupportedError, "computes with fixed-point numbers"),
        ("nucleo-f446re", "qemu", UnsupportedError, "QEMU emulates no board like nucleo-f446re"),
        (TARGET, "serial:/dev/ttyACM0:0", ConfigError, "0 is no baud rate"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is_built(
    target: str, via: str, error: type[EdgeslmError], message: str
) -> None:
    with pytest.raises(error, match=message):
        target_profile.profile_target(KernelRequest(load_target(target), via), silent)


def test_kernels_have_the_numbers_that_the_c_knows_them_by() -> None:
    text = (template_folder() / "measure" / "serve_kernels.c").read_text()
    for name, number in NUMBERS.items():
        case = text.partition(f"case {number}:")[2].partition("break;")[0]
        assert number == 0 or f"edgeslm_{name}(" in case, name
    assert f"case {len(KERNELS.split())}:" not in text
