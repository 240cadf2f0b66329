"""A board at a serial port by the command line alone. The port is a pseudo terminal of QEMU's, the board emulated; one
test has a fake board that claims to be silicon, as nothing here is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeslm.api import measure
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.errors import DeviceError, UnfitDeviceError
from edgeslm.firmware.open_board import open_board
from edgeslm.firmware.serial_line import Port, opened_port
from edgeslm.probe.report import ProbeReport
from tests.firmware.bad_wire import CLOCK_HZ, FakeBoard, Faults, mistreated, served, whole
from tests.firmware.host_program import require_tool
from tests.firmware.pty_qemu import PtyQemu, board_on_a_pty
from tests.firmware.stub_bundle import CONTEXT, stub_answer, write_stub_bundle

TARGET = "netduinoplus2"
PROMPT, MOST = "Hello", 20
ANSWER = bytes(stub_answer(PROMPT.encode(), MOST)).decode()
STEP_MS = 1680 * 1e3 / CLOCK_HZ
"""Of the fake board, for each token that was entered."""
Edgeslm = Callable[..., Any]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    require_tool("qemu-system-arm", "qemu-system-arm")
    return write_stub_bundle(TARGET, tmp_path_factory.mktemp("bundle")).path


@pytest.fixture(scope="module")
def sleeping_qemu(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PtyQemu]:
    with board_on_a_pty(TARGET, bundle, tmp_path_factory.mktemp("qemu")) as board:
        yield board


@pytest.fixture
def qemu(sleeping_qemu: PtyQemu) -> Iterator[PtyQemu]:
    sleeping_qemu.wake()
    yield sleeping_qemu
    sleeping_qemu.sleep()


def run(edgeslm: Edgeslm, bundle: Path, path: str, prompt: str = PROMPT, *more: str) -> Any:
    return edgeslm("run", bundle, "--via", f"serial:{path}", "--prompt", prompt, "--max-tokens", str(MOST), *more)


def test_run_streams_the_boards_answer(edgeslm: Edgeslm, bundle: Path, qemu: PtyQemu) -> None:
    said = run(edgeslm, bundle, qemu.path)
    assert (said.status, said.stdout, said.stderr) == (0, ANSWER.rstrip("\0") + "\n", "")
    found = run(edgeslm, bundle, f"{qemu.path}:115200", PROMPT, "--json").json["generation"]
    assert (found["text"], found["generated_tokens"]) == (ANSWER, MOST)


def test_a_probe_counts_what_it_counts_without_the_port(
    edgeslm: Edgeslm, bundle: Path, qemu: PtyQemu, tmp_path: Path
) -> None:
    """The board tells that it is emulated: instructions, to the last one, and no milliseconds."""
    reports = []
    for number, via in enumerate(("qemu", f"serial:{qemu.path}")):
        said = edgeslm("probe", bundle, "--via", via, "--length", "18", "--json", "-o", tmp_path / f"{number}.json")
        assert said.status == 0, said.stderr
        reports.append(said.json)
    there = reports[1]
    assert there["firmware"]["positions"] == reports[0]["firmware"]["positions"]
    assert (there["complete"], there["emulated"], there["via"]) == (True, True, f"serial:{qemu.path}")
    assert there["firmware"]["unit"] == "instructions"
    assert milliseconds(there) == []


def milliseconds(report: Any, place: str = "") -> list[str]:
    """Names of a report's fields that are times or speeds of the device, and have a value."""
    if isinstance(report, dict):
        return [found for name, value in report.items() for found in milliseconds(value, f"{place}.{name}")]
    if isinstance(report, list):
        return [found for value in report for found in milliseconds(value, place)]
    timed = any(word in place for word in ("_ms", "_per_s", "clock", ".ms"))
    return [place] if timed and report is not None else []


def test_an_emulator_whose_clock_is_this_machines_is_refused(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    with board_on_a_pty(TARGET, bundle, tmp_path, counted=False) as board:
        said = edgeslm("probe", bundle, "--via", f"serial:{board.path}", "-o", tmp_path / "p.json")
    assert (said.status, "counts the same work differently" in said.stderr) == (6, True), said.stderr
    assert "-icount shift=0" in said.stderr


@pytest.mark.parametrize("seed", [1, 2])
def test_over_a_bad_wire_the_text_is_right_or_the_command_fails(
    seed: int, edgeslm: Edgeslm, bundle: Path, qemu: PtyQemu
) -> None:
    """Bytes are dropped, doubled and changed on the way to the board and back, and requests come twice."""
    with mistreated(qemu.path, Faults(seed, 0.01, doubled=0.5), Faults(seed, 0.002)) as port:
        said = run(edgeslm, bundle, port.path)
    if said.status == 0:
        assert said.stdout == ANSWER.rstrip("\0") + "\n"
    else:
        assert said.status == 6, said.stderr
        assert ANSWER.startswith(said.stdout.rstrip("\n"))
        assert any(word in said.stderr for word in ("lost on the way", "stays silent", "a damaged byte")), said.stderr


def test_requests_that_come_twice_are_answered_once_by_the_c(bundle: Path, qemu: PtyQemu) -> None:
    manifest = inspect_bundle(bundle).manifest
    with (
        mistreated(qemu.path, Faults(1, 0.0, doubled=1.0), whole) as port,
        open_board(bundle, manifest, f"serial:{port.path}") as board,
    ):
        board.set_options(MOST)
        for prompt in (PROMPT, "ab", PROMPT):
            *tokens, _ = board.answer(prompt)
            assert [token.id for token in tokens] == stub_answer(prompt.encode(), MOST)  # type: ignore[union-attr]


def test_what_happens_to_a_port_midway_is_told(edgeslm: Edgeslm, bundle: Path, qemu: PtyQemu) -> None:
    seen = 0

    def unplug(content: bytes) -> bytes:
        nonlocal seen
        seen += len(content)
        if seen > 300:
            port.unplug()
        return content

    with mistreated(qemu.path, whole, unplug) as port:
        said = run(edgeslm, bundle, port.path)
    assert (said.status, "was unplugged in the middle" in said.stderr) == (6, True), said.stderr
    assert ANSWER.startswith(said.stdout.rstrip("\n"))

    came, taken = bytearray(), list[bool]()

    def reset(content: bytes) -> bytes:
        came.extend(content)
        if came.count(b"\xfda") == 2 and not taken:  # options were taken, then the prompt
            taken.append(True)
            qemu.reset()
        return content

    with mistreated(qemu.path, whole, reset) as port:
        said = run(edgeslm, bundle, port.path, "a}b")  # no answer ever comes to this one
    assert (said.status, "started again in the middle of answering" in said.stderr) == (6, True), said.stderr


def test_two_probes_of_one_port(edgeslm: Edgeslm, bundle: Path, qemu: PtyQemu, tmp_path: Path) -> None:
    with opened_port(Port(Path(qemu.path))):
        said = edgeslm("probe", bundle, "--via", f"serial:{qemu.path}", "-o", tmp_path / "p.json")
    assert said.status == 6
    assert f"{qemu.path} is in use by " in said.stderr
    assert f"({os.getpid()})" in said.stderr
    assert not (tmp_path / "p.json").exists()


def test_a_person_talks_to_it_through_a_pipe(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    """With the bundle named, whose board it has to be; and to the one that is emulated for it alone."""
    visible = "".join(letter if letter.isprintable() else "?" for letter in stub_text("cx"))
    with board_on_a_pty(TARGET, bundle, tmp_path) as own:  # the shared one may be silent on a busy machine
        through_port = edgeslm("monitor", own.path, bundle, stdin="cx\n")
    for said in (through_port, edgeslm("monitor", "--via", "qemu", bundle, stdin="cx\n")):
        assert said.status == 0, said.stderr
        assert f"> cx\n{visible[:20]}" in said.stdout
        assert said.stdout.endswith("\n> \n")
    assert f"stub, fp32, {told_by(bundle)}\n" in said.stdout


def told_by(bundle: Path) -> str:
    """What of its digest the bundle's image tells."""
    firmware = inspect_bundle(bundle).manifest.firmware
    assert firmware is not None
    assert firmware.digest is not None
    return firmware.digest[:16]


def stub_text(prompt: str) -> str:
    return bytes(stub_answer(prompt.encode(), CONTEXT - 1 - len(prompt))).decode().rstrip("\0")


def test_ports_that_are_none(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    for arguments, status, message in (
        (["run", bundle, "--prompt", "x", "--via", f"serial:{bundle}"], 6, "is no serial port"),
        (["probe", bundle, "--via", f"serial:{tmp_path}/none", "-o", tmp_path / "p.json"], 6, "there is no port"),
        (["monitor", bundle, "--via", "qemu", "/dev/ttyACM0"], 2, "--via qemu takes a bundle, and no port"),
    ):
        said = edgeslm(*arguments, stdin="")
        assert (said.status, message in said.stderr) == (status, True), said.stderr


# ---- A fake board that claims to be silicon --------------------------------------------------------------------------


def test_silicon_has_milliseconds_by_its_own_clock(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    with served(FakeBoard(image=told_by(bundle)).take) as port:
        said = edgeslm("probe", bundle, "--via", f"serial:{port.path}", "-o", tmp_path / "p.json")
    assert said.status == 0, said.stderr
    report = ProbeReport.model_validate_json((tmp_path / "p.json").read_text())
    assert (report.complete, report.emulated, report.reference_tokens) == (True, False, CONTEXT)
    firmware, language = report.firmware, report.language
    assert firmware is not None
    assert language is not None
    assert (firmware.counter, firmware.unit, firmware.clock_hz) == ("DWT", "cycles", CLOCK_HZ)
    assert [(one.prefill, one.decode) for one in firmware.positions[:2]] == [(1680, 2520), (3360, 4200)]
    assert report.latency_ms is not None
    assert report.latency_ms.p50 == pytest.approx((CONTEXT + 0.5) * STEP_MS)
    assert report.instructions is None
    (prompt,) = language.prompts
    assert prompt.ttft_ms is not None
    assert prompt.ttft_ms.p50 == pytest.approx((sum(range(1, 17)) + 0.5) * STEP_MS)
    assert prompt.tokens_per_s == pytest.approx(16e3 / (sum(range(1, 17)) * STEP_MS))
    assert report.tokens_per_s is not None
    assert report.tokens_per_s.decode == pytest.approx(1e3 / ((CONTEXT + 0.5) * STEP_MS))
    assert report.profile is not None
    (layer,) = [one for one in report.profile.layers if one.layer == "layer 0"]
    assert layer.cycles == 1680 * CONTEXT // 2
    assert layer.ms == pytest.approx(CONTEXT * STEP_MS / 2)
    assert "counter  DWT, cycles of 168 MHz" in said.stdout
    assert "cycles, prefill" in said.stdout
    assert "instructions" not in said.stdout


@pytest.mark.parametrize(
    ("fake", "note", "timed"),
    [
        (
            FakeBoard(clock_hz=16_000_000, ticks_of_a_step=168),
            "runs at 16 MHz, and its target says 168",
            True,
        ),  # its PLL did not lock
        (FakeBoard(clock_hz=0), "does not tell its clock", False),
        (FakeBoard(ticks_of_a_step=10**7), "more cycles than a clock of 168 MHz has in the time that passed", False),
    ],
)
def test_a_clock_that_is_not_known_gives_no_times(fake: FakeBoard, note: str, timed: bool, bundle: Path) -> None:
    fake.image = told_by(bundle)
    with served(fake.take) as port:
        report = measure(bundle, via=f"serial:{port.path}")
    assert any(note in one for one in report.notes), report.notes
    assert bool(milliseconds(report.model_dump(mode="json"))) is timed
    assert report.firmware is not None
    assert report.firmware.positions[0].prefill == fake.ticks_of_a_step


def test_another_boards_image_is_refused(bundle: Path) -> None:
    manifest = inspect_bundle(bundle).manifest
    own = told_by(bundle)
    for fake, other in (
        (FakeBoard(name="stories260k", image=own), "model stories260k instead of stub"),
        (FakeBoard(image="0123456789abcdef"), f"image 0123456789abcdef instead of {own}"),  # built otherwise
    ):
        with served(fake.take) as port:
            with pytest.raises(UnfitDeviceError, match=f"runs another image than this bundle's: {other}"):
                open_board(bundle, manifest, f"serial:{port.path}").__enter__()
            with opened_port(Port(Path(port.path))):  # and the port is free again
                pass
    assert issubclass(UnfitDeviceError, DeviceError)
