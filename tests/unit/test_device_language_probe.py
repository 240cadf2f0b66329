"""The device's own probe of a language model: what it tells, in which order, and how it reaches a depth."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.device.probe.inputs import prompt_ids
from edgeslm.device.probe.language import LEAST_DEPTH, answer_to
from edgeslm.device.probe.language_profile import step_inputs, step_signature
from tests.unit.device_bundles import write_file
from tests.unit.language_bundles import language_members

LANGUAGE = {
    "context": 64,
    "vocabulary": 512,
    "layers": 2,
    "kv_heads": 1,
    "head_dim": 4,
    "kv_cache": "float32",
    "segments": [16, 16, 32],
    "signatures": [
        {"name": "step_16", "segments": 1, "tokens": 1},
        {"name": "step_32", "segments": 2, "tokens": 1},
        {"name": "step_64", "segments": 3, "tokens": 1},
        {"name": "chunk_8", "segments": 0, "tokens": 8},
    ],
}


def language_bundle(folder: Path, **fake: Any) -> Path:
    members = language_members(fake)
    manifest = json.loads(members["manifest.json"])
    manifest["model"]["language"] = LANGUAGE
    return write_file(folder / "writer.edgeslm", {**members, "manifest.json": json.dumps(manifest).encode()})


def start(bundle: Path, *arguments: str, events: bool = True) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgeslm_device", "probe", *(["--events"] if events else []), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(bundle), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def events(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Everything it tells. Its stdin stays open until it is done."""
    assert process.stdout is not None
    told = [json.loads(line) for line in process.stdout]
    assert process.stderr is not None
    assert process.wait() == 0, process.stderr.read()
    return told


def test_it_tells_prompts_and_depths_as_they_come(tmp_path: Path) -> None:
    told = events(start(language_bundle(tmp_path, delay=0.002), "--runs", "12", "--threads", "1"))
    sections = [event["section"] for event in told]
    head, tail = ["start", "device", "load"], ["memory", "bandwidth", "energy", "after", "profile", "end"]
    assert sections == [*head, "prompt", "decode", *tail]  # its context of 64 has room for 16 alone
    by_name = {event["section"]: event for event in told}
    assert by_name["load"]["reference_tokens"] == 16
    assert by_name["load"]["load_ms"] > 0 < by_name["load"]["first_run_ms"]
    prompt, decode = by_name["prompt"], by_name["decode"]
    assert (prompt["tokens"], len(prompt["samples_ms"])) == (16, 3)  # a tenth of the runs, three at least
    assert 2 <= prompt["prefill_ms"] <= max(prompt["samples_ms"])
    assert (decode["depth"], len(decode["samples_ms"])) == (16, 12)
    assert min(decode["samples_ms"]) >= 2  # the whole step, its runtime's part included
    assert 0 < decode["outside_ms"] < min(decode["samples_ms"])
    assert by_name["bandwidth"]["read_mib_s"] > 100
    assert by_name["memory"]["peak_rss"] >= by_name["memory"]["rss"] > 1 << 20
    assert by_name["after"]["reload_ms"] > 0
    assert by_name["profile"]["operators"] == []  # the fake has none, and that does not end the probe
    assert by_name["profile"]["why_not"]


def test_lengths_that_are_asked_for_are_prompts_and_depths(tmp_path: Path) -> None:
    asked = [argument for length in ("3", "20", "64") for argument in ("--length", length)]
    told = events(start(language_bundle(tmp_path), "--runs", "40", *asked))
    assert [event["tokens"] for event in told if event["section"] == "prompt"] == [3, 20]  # 64 leaves no room to answer
    depths = {event["depth"]: event for event in told if event["section"] == "decode"}
    assert list(depths) == [20, 64]
    assert all(len(event["samples_ms"]) == 40 for event in depths.values())


def test_a_person_reads_lines(tmp_path: Path) -> None:
    output, error = start(language_bundle(tmp_path), "--runs", "3", events=False).communicate()
    assert "prompt      16 tokens: first token after" in output, error
    assert "decode      at 16 tokens:" in output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--length", "65"], "has no length of 65 tokens"), (["--meter", "/nowhere"], "/nowhere cannot be opened")],
)
def test_wrong_use_is_told(tmp_path: Path, arguments: list[str], told: str) -> None:
    process = start(language_bundle(tmp_path), "--runs", "1", *arguments, events=False)
    _, error = process.communicate()
    assert process.returncode != 0
    assert told in error
    assert "Traceback" not in error


def test_a_time_limit_leaves_what_was_told(tmp_path: Path) -> None:
    process = start(language_bundle(tmp_path), "--runs", "100000000", "--time-limit", "3", "--length", "20")
    assert process.stdout is not None
    told = [json.loads(line)["section"] for line in process.stdout]
    assert process.wait(timeout=30) != 0
    assert told[:3] == ["start", "device", "load"]
    assert "end" not in told


def test_it_ends_when_nobody_listens(tmp_path: Path) -> None:
    process = start(language_bundle(tmp_path, delay=0.01), "--runs", "1000000")
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    process.stdin.close()
    assert process.wait(timeout=30) == -signal.SIGKILL


def test_counted_work_is_marked_and_told_in_the_same_order(tmp_path: Path) -> None:
    """Without an emulator: the marks are system calls, which a fake of `os.getppid` sees."""
    bundle = language_bundle(tmp_path)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "sitecustomize.py").write_text(
        "import os, sys\nreal = os.getppid\nos.getppid = lambda: (sys.stderr.write('mark\\n'), real())[1]\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeslm_device", "probe", "--events", "--counted"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "marks").open("w"),
        text=True,
        env={**os.environ, "PYTHONPATH": f"{bundle}{os.pathsep}{tmp_path / 'fake'}"},
    )
    assert process.stdout is not None
    told = [json.loads(line) for line in process.stdout]
    assert process.wait() == 0
    counted = [event["counted_runs"] for event in told if event["section"] in ("prompt", "decode")]
    assert min(counted) >= 2
    assert (tmp_path / "marks").read_text().count("mark") == 2 + 2 * sum(counted)
    assert next(event for event in told if event["section"] == "decode")["counted_steps"] == answer_to(16).measured
    assert not any(event["samples_ms"] for event in told if event["section"] in ("prompt", "decode"))


@given(st.integers(LEAST_DEPTH, 100_000), st.integers(2, 64), st.integers(0, 16))
def test_an_answer_ends_at_its_depth(depth: int, span: int, warm_up: int) -> None:
    answer = answer_to(depth, span, warm_up)
    assert answer.prompt >= 1
    assert answer.measured >= 1
    assert answer.prompt + answer.steps + 1 == depth
    assert answer.steps < span or answer.prompt == depth // 2


def test_prompts_begin_alike_and_lie_within_the_vocabulary() -> None:
    longest = prompt_ids(300, 512)
    assert all(prompt_ids(count, 512) == longest[:count] for count in (1, 16, 299))
    assert set(longest) <= set(range(512))
    assert prompt_ids(4, 1) == [0, 0, 0, 0]


@pytest.mark.parametrize(("depth", "name"), [(1, "step_16"), (17, "step_16"), (18, "step_32"), (64, "step_64")])
def test_the_step_that_reads_all_rows_before_it_is_profiled(depth: int, name: str) -> None:
    step = step_signature(LANGUAGE, depth)
    assert step is not None
    assert step["name"] == name
    inputs = step_inputs(LANGUAGE, step["segments"], depth)
    rows = sum(array.shape[1] for tensor, array in inputs.items() if tensor.startswith("key_0_"))
    assert rows >= depth - 1
    assert inputs["position"] == depth - 1


def test_a_cache_of_integers_has_scales() -> None:
    inputs = step_inputs({**LANGUAGE, "kv_cache": "int8"}, 2, 20)
    assert inputs["key_1_1"].dtype == "int8"
    assert inputs["value_scale_1_1"].shape == (1, 16)
    assert inputs.keys() - step_inputs(LANGUAGE, 2, 20).keys() == {
        f"{kind}_scale_{layer}_{segment}" for kind in ("key", "value") for layer in (0, 1) for segment in (0, 1)
    }


def test_a_runtime_with_a_cache_of_its_own_has_no_step_to_profile() -> None:
    assert step_signature({**LANGUAGE, "segments": [], "signatures": []}, 16) is None


def test_a_depth_is_reached_by_steps_of_the_loop_that_answers(tmp_path: Path) -> None:
    """The fake notes its calls: each measured answer is a prompt and single steps up to its depth."""
    from edgeslm.device.context import Context
    from edgeslm.device.probe.language import LanguageSubject
    from edgeslm.device.probe.options import Options
    from edgeslm.device.probe.stopwatch import Stopwatch
    from edgeslm.device.tokenizer import Tokenizer
    from tests.unit.fake_open_language import FakeEngine
    from tests.unit.language_bundles import tokenizer_json

    engine = FakeEngine(context=64)

    class Language:
        context = Context(engine)

    class Model:
        name = "tiny"
        _language = Language()
        tokenizer = Tokenizer(tokenizer_json("sentencepiece"), 64, cut=False)

    model: Any = Model()
    subject = LanguageSubject(model, Options(tmp_path, runs=20), False, Stopwatch())
    engine.calls.clear()
    event = list(subject.measure())[-1]
    answer = answer_to(16)
    steps = [position for kind, position, _ in engine.calls if kind == "step"]
    whole = range(answer.prompt, answer.prompt + answer.steps)
    assert all(step in whole for step in steps)
    assert max(steps) == 14  # the sixteenth token is chosen and not entered
    assert len(event["samples_ms"]) == 20
    measured = sum(position >= answer.prompt + answer.warm_up for position in steps)
    assert measured == 20
    emulated = LanguageSubject(model, Options(tmp_path, runs=20), True, Stopwatch())  # as over SSH: nothing to tell
    assert [(one["samples_ms"], one["counted_runs"]) for one in emulated.measure()] == [([], 0), ([], 0)]
    # Energy is that of steps: one a call, whatever answer it belongs to.
    engine.calls.clear()
    for _ in itertools.repeat(None, 10):
        subject.run(16)
    assert {count for kind, _, count in engine.calls[1:]} == {1}
