"""The device's own probe: what it tells of a bundle, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.device_bundles import LENGTHS, TinyModel, members, write_file

RUNTIMES = ["openvino", "ai-edge-litert"]


@pytest.fixture(params=RUNTIMES)
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    pytest.importorskip(request.param.replace("-", "_"))
    return write_file(tmp_path / "tiny.edgeslm", members(TinyModel("classification"), request.param))


def start(bundle: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgeslm_device", "probe", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(bundle), "PYTHONDONTWRITEBYTECODE": "1", **env},
    )


def events(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Everything it tells. Its stdin stays open until it is done."""
    assert process.stdout is not None
    told = [json.loads(line) for line in process.stdout]
    assert process.stderr is not None
    assert process.wait() == 0, process.stderr.read()
    return told


def test_it_tells_each_section_as_it_comes(bundle: Path) -> None:
    told = events(start(bundle, "--events", "--runs", "7", "--threads", "1"))
    sections = [event["section"] for event in told]
    lengths, throughput = ["length"] * len(LENGTHS), ["throughput"] * 3
    head, tail = ["start", "device", "load"], ["memory", "energy", "after", "profile", "end"]
    assert sections == [*head, *lengths, *throughput, *tail]
    by_name = {event["section"]: event for event in told}
    assert by_name["start"]["emulated"] is False
    assert by_name["start"]["threads"] == 1
    assert by_name["load"]["load_ms"] > 0 < by_name["load"]["first_run_ms"]
    assert by_name["load"]["reference_tokens"] == max(LENGTHS)
    timed = [event for event in told if event["section"] == "length"]
    assert [event["tokens"] for event in timed] == LENGTHS
    assert all(len(event["samples_ms"]) == 7 and min(event["samples_ms"]) > 0 for event in timed)
    assert all(event["texts_per_s"] > 0 < event["tokens_per_s"] for event in told if event["section"] == "throughput")
    memory = by_name["memory"]
    assert memory["peak_rss"] >= memory["rss"] > memory["private"] > 1 << 20
    assert by_name["after"]["reload_ms"] > 0
    assert by_name["profile"]["operators"] or by_name["profile"]["why_not"]


def test_a_person_reads_lines(bundle: Path) -> None:
    process = start(bundle, "--runs", "2", "--length", "8")
    output, _ = process.communicate()
    assert process.returncode == 0
    assert "latency     8 tokens: median" in output
    assert output.count("tokens: median") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--length", "5"], "has no length of 5 tokens"),
        (["--runs", "0"], "--runs must be more than 0"),
        (["--meter", "/nowhere"], "the meter /nowhere cannot be opened"),
    ],
)
def test_wrong_use_is_told(bundle: Path, arguments: list[str], told: str) -> None:
    process = start(bundle, "--runs", "1", *arguments)
    _, error = process.communicate()
    assert process.returncode != 0
    assert told in error
    assert "Traceback" not in error


def test_it_ends_when_nobody_listens(bundle: Path) -> None:
    process = start(bundle, "--events", "--runs", "1000000")
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    process.stdin.close()
    assert process.wait(timeout=30) == -signal.SIGKILL


def test_it_ends_at_its_time_limit_whatever_it_does(bundle: Path) -> None:
    started = time.monotonic()
    process = start(bundle, "--events", "--runs", "100000000", "--time-limit", "2")
    assert process.stdout is not None
    told = [json.loads(line)["section"] for line in process.stdout]
    assert process.stderr is not None
    error = process.stderr.read()
    assert process.wait(timeout=30) != 0
    assert 2 <= time.monotonic() - started < 20
    assert "Timeout (" in error
    assert told[:2] == ["start", "device"]  # what was known by then had been told
    assert "end" not in told


def test_a_hang_in_native_code_ends_too(tmp_path: Path) -> None:
    # A sleep that holds the interpreter's lock, as a driver that hangs in a call would.
    code = "import ctypes; ctypes.PyDLL(None).sleep(60)"
    watch = "import sys; sys.path.insert(0, sys.argv[1]); from watch import limit_time; limit_time(1);"
    folder = Path(__file__).parents[2] / "edgeslm" / "device" / "probe"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", watch + code, str(folder)], capture_output=True, check=False)
    assert done.returncode != 0
    assert time.monotonic() - started < 15


def test_a_plain_module_has_one_length_without_tokens(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    files = members(TinyModel("classification"), "openvino", task="tensors", tokenizer=None, labels=[])
    manifest = json.loads(files["manifest.json"])
    for tensor in manifest["model"]["inputs"]:
        tensor["shape"] = [1, 3]
    manifest["model"]["lengths"] = []
    bundle = write_file(tmp_path / "a.edgeslm", {**files, "manifest.json": json.dumps(manifest).encode()})
    told = events(start(bundle, "--events", "--runs", "3"))
    lengths = [event for event in told if event["section"] == "length"]
    assert [event["tokens"] for event in lengths] == [None]
    assert all(event["tokens_per_s"] is None for event in told if event["section"] == "throughput")


def test_the_clock_that_goes_backwards_is_noticed(bundle: Path, tmp_path: Path) -> None:
    """A fake: the device's monotonic clock, which a kernel keeps from going back, is patched to do so."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "sitecustomize.py").write_text(
        "import time, itertools\n"
        "real, wall, number = time.perf_counter_ns, time.time, itertools.count()\n"
        "time.perf_counter_ns = lambda: real() - 10**9 * (next(number) // 7)\n"
        "time.time = lambda: wall() - next(number) * 3600\n"
    )
    process = start(bundle, "--events", "--runs", "20", PYTHONPATH=f"{bundle}{os.pathsep}{tmp_path / 'fake'}")
    told = events(process)
    timed = [event for event in told if event["section"] == "length"]
    assert sum(event["discarded"] for event in timed) > 0
    assert all(0 < value < 10_000 for event in timed for value in event["samples_ms"])
    assert told[-1]["wall_clock_stepped_s"] < -3600
