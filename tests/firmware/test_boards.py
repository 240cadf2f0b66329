"""Firmware on emulated boards, from outside: bundles of a stub model are built, run and probed by the command line."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.errors import (
    ConnectionLostError,
    DeviceError,
    DoesNotFitError,
    MissingToolError,
    ProbeTimeoutError,
    UnsupportedError,
)
from edgeslm.firmware.board import Board
from edgeslm.firmware.image import build_image
from edgeslm.firmware.open_board import open_board
from edgeslm.firmware.qemu import MACHINES, emulated, find_machine, is_emulated, not_run_here
from edgeslm.firmware.told import Done, Token
from edgeslm.firmware.wire import Frame, Receiver
from edgeslm.target import list_targets, load_target
from edgeslm.template_folder import template_folder
from tests.firmware.host_program import require_tool, talk
from tests.firmware.stub_bundle import CACHE_BYTES, CONTEXT, make_stub, stub_answer, write_stub_bundle

ROOT = Path(__file__).resolve().parents[2]
BOARDS = ("netduinoplus2", "mps2-an385")
"""The one that is silicon's: another UART, no semihosting; and the one without FPU. The others run real models."""
Edgeslm = Callable[..., Any]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    require_tool("qemu-system-arm", "qemu-system-arm")
    return {name: write_stub_bundle(name, tmp_path_factory.mktemp(name)).path for name in BOARDS}


@pytest.fixture(params=BOARDS)
def bundle(request: pytest.FixtureRequest, bundles: dict[str, Path]) -> Path:
    return bundles[request.param]


@pytest.fixture
def board(bundle: Path) -> Iterator[Board]:
    with open_board(bundle, inspect_bundle(bundle).manifest, "qemu") as started:
        yield started


def test_run_streams_the_boards_answer(edgeslm: Edgeslm, bundle: Path) -> None:
    said = edgeslm("run", bundle, "--via", "qemu", "--prompt", "Hello", "--max-tokens", "20")
    assert said.status == 0, said.stderr
    assert said.stdout.encode() == bytes(stub_answer(b"Hello", 20)).rstrip(b"\0") + b"\n"
    answer = edgeslm("run", bundle, "--via", "qemu", "--prompt", "Hello", "--max-tokens", "20", "--json")
    found = answer.json["generation"]
    assert found["tokens"] == stub_answer(b"Hello", 20)
    assert (found["prompt_tokens"], found["finish_reason"]) == (6, "stop" if found["tokens"][-1] == 0 else "length")


def test_run_says_what_a_board_cannot_do(edgeslm: Edgeslm, bundles: dict[str, Path]) -> None:
    bundle = bundles["mps2-an385"]
    for options, status, message in (
        (["--prompt", "x" * 60, "--via", "qemu"], 2, "61 tokens; the model's context has 48"),
        (["--prompt", "x", "--via", "qemu", "--top-k", "3"], 2, "a board does not know --top-k"),
        (["--prompt", "x", "--via", "qemu", "--max-tokens", "0"], 2, "--max-tokens is at least 1"),
        (["--text", "x", "--via", "qemu"], 2, "--text and --file are for other bundles"),
        (["--prompt", "x"], 3, "--via qemu runs it on the emulated board"),
        (["--prompt", "x", "--via", "pigeon"], 2, "--via pigeon is no way"),
        (["--prompt", "~", "--via", "qemu"], 6, "faulted at 0x"),
    ):
        said = edgeslm("run", bundle, *options)
        assert said.status == status, said.stderr
        assert message in said.stderr
    said = edgeslm("run", bundle, "--prompt", "x", "--via", "qemu", PATH="/nowhere")
    assert (said.status, "apt install qemu-system-arm" in said.stderr) == (5, True)


def test_other_ways_refuse_firmware(edgeslm: Edgeslm, bundles: dict[str, Path]) -> None:
    bundle = bundles["mps2-an385"]
    for command, status in (
        (["probe", bundle], 3),
        (["probe", bundle, "--via", "ssh://nobody@localhost:1"], 3),
        (["probe", bundle, "--via", "qemu", "--core", "cortex-m7"], 2),
        (["deploy", bundle, "ssh://nobody@localhost:1"], 3),
    ):
        said = edgeslm(*command)
        assert said.status == status, said.stderr


def test_probe_counts_every_position(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    reports = []
    for number in range(2):
        said = edgeslm("probe", bundle, "--via", "qemu", "--json", "-o", tmp_path / f"{number}.json")
        assert said.status == 0, said.stderr
        reports.append(said.json)
    report = reports[0]
    firmware, language = report["firmware"], report["language"]
    assert (report["complete"], report["emulated"], report["missing"]) == (True, True, [])
    assert [one["position"] for one in firmware["positions"]] == list(range(CONTEXT))
    assert all(0 < one["prefill"] < one["decode"] for one in firmware["positions"])
    assert firmware["positions"] == reports[1]["firmware"]["positions"]  # to the instruction
    assert 0 < firmware["stack_used"] < firmware["stack_bytes"] == 2048
    assert 0 < firmware["arena_used"] <= firmware["arena_bytes"] == 1024
    assert [one["tokens"] for one in language["decode"]] == [16]
    assert [one["tokens"] for one in language["prompts"]] == [16]
    assert (report["reference_tokens"], report["latency_ms"], report["tokens_per_s"]) == (CONTEXT, None, None)
    layers = {layer["layer"] for layer in report["profile"]["layers"]}
    assert {"embedding", "layer 0", "layer 1", "output layer"} < layers
    shown = edgeslm("probe", bundle, "--via", "qemu", "--length", "20", "-o", tmp_path / "shown.json")
    assert f"flash {sum(firmware['flash'].values()):,}, RAM {sum(firmware['ram'].values()):,} bytes" in shown.stdout
    assert f"stack {firmware['stack_used']:,} of 2,048; arena {firmware['arena_used']:,} of 1,024" in shown.stdout
    lines = [line.split() for line in shown.stdout.splitlines()]
    for place in (0, 15, 19):
        one = firmware["positions"][place]
        assert [str(place), f"{one['prefill']:,}", f"{one['decode']:,}"] in lines
    assert any(line[-2:] == ["layer", "1"] and line[0].endswith("%") and len(line) == 4 for line in lines)
    said = edgeslm("probe", bundle, "--via", "qemu", "--length", "49", "-o", tmp_path / "long.json")
    assert (said.status, "room for 48" in said.stderr) == (2, True)


def test_a_board_that_never_comes_back_is_told(board: Board) -> None:
    board._limit_s = 1.0
    with pytest.raises(ProbeTimeoutError, match="stays silent: answering"):
        list(board.answer("a}b"))


def test_a_fault_is_told_and_a_board_starts_again(bundles: dict[str, Path]) -> None:
    bundle = bundles["netduinoplus2"]
    with open_board(bundle, inspect_bundle(bundle).manifest, "qemu") as board:
        with pytest.raises(DeviceError, match="faulted at 0x0800"):
            list(board.answer("~"))
        board._await_greeting()
        assert list(board.answer("ab"))


def test_an_emulator_ends_with_its_program(bundles: dict[str, Path]) -> None:
    bundle = bundles["mps2-an385"]
    with open_board(bundle, inspect_bundle(bundle).manifest, "qemu") as board:
        board.stop()
        with pytest.raises(ConnectionLostError, match="mps2-an385 ended"):
            list(board.answer("ab"))


def test_ctrl_c_ends_an_answer(bundles: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(bundles["mps2-an385"]) as archive:
        elf = Path(archive.extract("firmware/firmware.elf", tmp_path))
    with emulated(load_target("mps2-an385"), elf, tmp_path / "qemu.log") as line:
        Board(line, "the board", starts=True)
        line.write(Frame("P", b"ab").encode() + b"\x03")  # it waits in the UART while the answer begins
        receiver, found = Receiver(), list[Frame]()
        while not found or found[-1].type != "d":
            found += receiver.feed(line.read(10.0))
    assert [frame.type for frame in found] == ["t", "d"]
    assert found[-1].words(1) == (3,)


def test_the_map_tells_where_every_byte_is(bundle: Path) -> None:
    firmware = inspect_bundle(bundle).manifest.firmware
    assert firmware is not None
    with zipfile.ZipFile(bundle) as archive:
        assert sum(firmware.flash.values()) == archive.getinfo(firmware.binary).file_size
    assert firmware.ram["stack"] == 2048
    assert (firmware.ram["arena"], firmware.ram["kv cache"]) == (1024, CACHE_BYTES)
    ours = sum(firmware.flash.get(room, 0) for room in ("boards", "board", "generate", "protocol"))
    # 3 KiB, and what version 2 of the protocol takes: numbers of requests, the image's digest, the clock.
    assert ours <= 3 * 1024 + 128 + firmware.flash.get("board", 0)


def test_a_bundle_is_the_project_of_its_firmware(bundles: dict[str, Path], tmp_path: Path) -> None:
    """Unpacked, CMake builds it again for the board, and for this machine: the same answers."""
    for tool in ("cmake", "ninja"):
        require_tool(tool, {"ninja": "ninja-build"}.get(tool, tool))
    bundle = bundles["mps2-an385"]
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"model/stub.c", "boards/mps2/board.h", "firmware/firmware.bin", "firmware/firmware.hex"} <= names
    assert not [name for name in names if "stm32f4" in name or name.endswith(".py")]
    for preset in ("mps2-an385", "host"):
        for command in (["--preset", preset, "-G", "Ninja"], ["--build", "--preset", preset]):
            done = subprocess.run(["cmake", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    built = (tmp_path / "build" / "mps2-an385" / "firmware.bin").read_bytes()
    assert len(built) == (tmp_path / "firmware" / "firmware.bin").stat().st_size
    program = tmp_path / "build" / "host" / "firmware"
    found = list(Receiver().feed(talk(program, Frame("P", b"Hello").encode())))
    assert [frame.words(2)[1] for frame in found[:-1]] == stub_answer(b"Hello", 256)[: len(found) - 1]


def test_the_checked_in_sample_is_built_by_cmake(tmp_path: Path) -> None:
    """As an IDE does it: for this machine and for a board, which give the same tokens."""
    for tool, package in (("cmake", "cmake"), ("ninja", "ninja-build"), ("arm-none-eabi-gcc", "gcc-arm-none-eabi")):
        require_tool(tool, package)
    require_tool("qemu-system-arm", "qemu-system-arm")
    for preset in ("host", "mps2-an386"):
        build = tmp_path / preset
        configure = ["cmake", "--preset", preset, "-G", "Ninja", "-B", str(build)]
        for command in (configure, ["cmake", "--build", str(build)]):
            done = subprocess.run(command, cwd=template_folder(), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    asked = Frame("P", b"a b")
    found = list(Receiver().feed(talk(tmp_path / "host" / "firmware", asked.encode())))
    expected = [frame.words(2)[1] for frame in found if frame.type == "t"]
    elf = tmp_path / "mps2-an386" / "firmware.elf"
    with emulated(load_target("mps2-an386"), elf, tmp_path / "qemu.log") as line:
        *tokens, done_frame = Board(line, "the board", starts=True).answer("a b")
    assert [token.id for token in tokens if isinstance(token, Token)] == expected
    assert isinstance(done_frame, Done)
    assert done_frame.tokens == len(expected) > 0


def test_the_same_firmware_has_the_same_bytes(bundles: dict[str, Path], tmp_path: Path) -> None:
    again = write_stub_bundle("mps2-an385", tmp_path)
    assert again.path.read_bytes() == bundles["mps2-an385"].read_bytes()


def test_what_does_not_fit_is_told_by_the_linkers_numbers(tmp_path: Path) -> None:
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    target = load_target("mps2-an386")
    small = target.model_copy(update={"memory": target.memory.model_copy(update={"ram_kib": 4, "storage_kib": 2})})
    with pytest.raises(DoesNotFitError, match=r"(?s)FLASH' overflowed by \d+ bytes.*RAM' overflowed by \d+ bytes"):
        build_image(small, make_stub(tmp_path / "model"), tmp_path / "image")


def test_a_missing_compiler_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match="arm-none-eabi-gcc") as caught:
        build_image(load_target("mps2-an386"), tmp_path, tmp_path / "image")
    assert "apt install gcc-arm-none-eabi" in (caught.value.hint or "")


def test_an_emulated_target_has_its_machines_name_and_the_others_say_so() -> None:
    boards = [target for target in list_targets() if target.firmware]
    emulated_names = {find_machine(target).name for target in boards if is_emulated(target)}
    assert emulated_names == {machine.name for machine in MACHINES.values()}
    for target in boards:
        if is_emulated(target):
            assert (find_machine(target).name, not_run_here(target)) == (target.name, ())
        else:
            assert "not run here" in not_run_here(target)[0]
            with pytest.raises(UnsupportedError, match=f"QEMU emulates no board like {target.name}: "):
                find_machine(target)


def test_the_checked_in_presets_are_the_targets_facts() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "presets.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
