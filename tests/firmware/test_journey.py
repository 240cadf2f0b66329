"""stories260k to an emulated board by the command line alone: plan, build, run, and everything that goes wrong on the
way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.firmware.host_program import require_tool

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT.parent / "shared" / "models" / "stories260k"
TARGET = "mps2-an386"
CONTEXT = 128
STORY = ", there was a little girl named Lily. She loved to play outside in the park."
LIBRARIES = ("exp", "sin", "cos", "sqrt", "pow", "tanh", "erf", "log", "malloc", "printf")
"""What images do without: functions of libm, and others of the C library. With f behind it, or without."""
Edgeslm = Callable[..., Any]

pytestmark = pytest.mark.skipif(not MODEL.is_dir(), reason="shared/models/stories260k is not here")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool, package in (
        ("cc", "build-essential"),
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        ("qemu-system-arm", "qemu-system-arm"),
    ):
        require_tool(tool, package)
    folder = tmp_path_factory.mktemp("journey")
    (folder / "eval.txt").write_text("Once upon a time, there was a little dog. He liked to play in the park.\n")
    return folder


def flags(work: Path) -> list[str | Path]:
    return ["-t", TARGET, "-m", MODEL, "--context", str(CONTEXT), "--eval", work / "eval.txt", "-o", work]


@pytest.fixture(scope="module")
def bundle(edgeslm: Edgeslm, work: Path) -> Path:
    built = edgeslm("build", *flags(work), "--json", EDGESLM_CACHE=str(work / "cache"))
    assert built.status == 0, built.stderr
    return Path(built.json["bundle"])


def test_a_board_tells_the_story(edgeslm: Edgeslm, bundle: Path) -> None:
    said = edgeslm("run", bundle, "--via", "qemu", "--prompt", "Once upon a time", "--max-tokens", "24")
    assert said.status == 0, said.stderr
    assert len(said.stdout) > 40
    assert STORY.startswith(said.stdout.rstrip("\n"))
    begun = edgeslm("run", bundle, "--via", "qemu", "--prompt", "", "--max-tokens", "8", "--json").json["generation"]
    assert begun["prompt_tokens"] == 1  # the token that begins a text, once
    assert begun["text"].startswith("Once upon a")


def test_nothing_is_made_twice(edgeslm: Edgeslm, work: Path, bundle: Path) -> None:
    """Each stage is kept, the image as well; the bundle has the same bytes."""
    before = bundle.read_bytes()
    again = edgeslm("build", *flags(work), "--force", "--json", EDGESLM_CACHE=str(work / "cache"))
    assert again.status == 0, again.stderr
    assert {stage["name"] for stage in again.json["stages"]} >= {"memory", "generate", "score", "image"}
    assert [stage["name"] for stage in again.json["stages"] if not stage["cached"]] == []
    assert bundle.read_bytes() == before


def test_no_library_is_in_the_image(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        elf = archive.extract("firmware/firmware.elf", tmp_path)
    listed = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1] for line in listed.splitlines()}
    assert "edgeslm_step" in names
    assert names.isdisjoint({name + end for name in LIBRARIES for end in ("", "f")})
    assert not [line for line in listed.splitlines() if line.split()[-2] == "U"]


@pytest.mark.parametrize("path", ["nowhere", "no-host-compiler"])
def test_a_missing_tool_is_told_before_anything_is_computed(
    edgeslm: Edgeslm, work: Path, path: str, tmp_path: Path
) -> None:
    tools = tmp_path / path
    tools.mkdir()
    expected = "apt install gcc-arm-none-eabi"
    if path == "no-host-compiler":
        expected = "cc is not on PATH"
        for name in ("arm-none-eabi-gcc", "arm-none-eabi-objcopy"):
            (tools / name).write_text("#!/bin/sh\necho 12.2.1\n")
            (tools / name).chmod(0o755)
    out, cache = tmp_path / "out", tmp_path / "cache"
    asked = [*flags(work)[:-1], out]
    said = edgeslm("build", *asked, PATH=f"{tools}", EDGESLM_CACHE=str(cache))
    assert said.status == 5, said.stderr
    assert expected in said.stderr
    assert not out.exists()
    assert [entry.name.split("-")[0] for entry in cache.iterdir()] == ["memory"]  # nothing was compiled or scored


def test_ways_that_firmware_does_not_go(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    for command, status, message in (
        (["serve", bundle], 3, "it answers on a serial line, not over HTTP"),
        (["run", bundle, "--prompt", "x " * 120, "--via", "qemu"], 2, f"the model's context has {CONTEXT}"),
        (["run", bundle, "--prompt", "x" * 1025, "--via", "qemu"], 2, "the prompt has 1,025 bytes"),
        (["probe", bundle, "--via", "qemu", "--length", "129", "-o", tmp_path / "p.json"], 2, "room for 128"),
    ):
        said = edgeslm(*command)
        assert said.status == status, said.stderr
        assert message in said.stderr
    assert not list(tmp_path.iterdir())


def test_a_changed_image_is_not_run(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.edgeslm"
    with zipfile.ZipFile(bundle) as whole, zipfile.ZipFile(changed, "w") as other:
        for name in whole.namelist():
            content = bytearray(whole.read(name))
            content[len(content) // 2] ^= name == "firmware/firmware.elf"
            other.writestr(name, bytes(content))
    for command in ("run", "probe"):
        said = edgeslm(command, changed, "--via", "qemu", *(["--prompt", "x"] if command == "run" else []))
        assert (said.status, "firmware/firmware.elf does not match its digest" in said.stderr) == (8, True)


def test_ctrl_c_ends_an_answer_and_the_emulator(bundle: Path) -> None:
    asked = [sys.executable, "-m", "edgeslm", "run", str(bundle), "--via", "qemu"]
    asked += ["--prompt", "Once upon a time", "--max-tokens", "100"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, bufsize=0) as running:
        assert running.stdout is not None
        first = running.stdout.read(1)  # a token has come: more will
        (emulator,) = _children(running.pid)
        running.send_signal(signal.SIGINT)
        rest, complaint = running.communicate(timeout=60)
    assert running.returncode == 130, complaint
    assert STORY.startswith((first + rest).decode().rstrip("\n")[: len(STORY)])
    assert b"Traceback" not in complaint
    assert not Path(f"/proc/{emulator}").exists()


def _children(pid: int) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == pid:
            found.append(int(place.name))
    return found


def test_a_comparison_sets_memories_side_by_side(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "p.json"
    probed = edgeslm("probe", bundle, "--via", "qemu", "--length", "16", "-o", kept)
    assert probed.status == 0, probed.stderr
    report = json.loads(kept.read_text())
    figures = {one["figure"]: one for one in edgeslm("compare", kept, kept, "--json").json["figures"]}
    firmware = report["firmware"]
    assert figures["flash"]["values"] == [sum(firmware["flash"].values())] * 2
    assert figures["RAM"]["values"] == [sum(firmware["ram"].values())] * 2
    assert figures["stack, most used"]["values"] == [firmware["stack_used"]] * 2
    assert figures["model files"]["values"] == [firmware["flash"]["weights"]] * 2
    shown = edgeslm("inspect", bundle).stdout
    assert "kv cache" in shown
    assert "tensor" not in shown  # a board's model has no tensors to name
