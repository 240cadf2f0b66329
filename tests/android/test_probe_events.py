"""The probe in Java tells what the host's side of a probe understands: real events of a fake model, on the JVM."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.bundle.inspect import Inspection, inspect_bundle
from edgeslm.bundle.manifest import LanguagePart
from edgeslm.probe.assemble import SECTIONS, assemble
from edgeslm.probe.language import SECTIONS as LANGUAGE_SECTIONS
from edgeslm.probe.page import render_page
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.settings import Event, parse_event
from edgeslm.probe.step_reads import StepReads
from tests.android.jvm import Classes
from tests.unit.test_device_language_probe import LANGUAGE
from tests.unit.tiny_build import tiny_build

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(android_classes: Classes) -> Iterator[Ask]:
    """ask("command", "word", …) -> its answer, from one JVM for all of them."""
    command = android_classes.command("org.edgeslm.probe.ProbeCases")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as java:
        assert java.stdin is not None
        assert java.stdout is not None

        def answer(*words: str) -> Any:
            java.stdin.write(" ".join(words) + "\n")  # type: ignore[union-attr]  # asserted above
            java.stdin.flush()  # type: ignore[union-attr]
            line = java.stdout.readline()  # type: ignore[union-attr]
            assert line.isascii()
            return json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))["answer"]

        yield answer
        java.stdin.close()
    assert java.returncode == 0


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    folder = tmp_path_factory.mktemp("bundle")
    return inspect_bundle(tiny_build(folder / "build").write(folder).path)


def events_of(ask: Ask, *words: str) -> tuple[bool, list[Event], list[str]]:
    ended, lines, seen = ask("probe", *words)
    events = [parse_event(line) for line in lines]
    assert None not in events
    return ended, [event for event in events if event is not None], seen


def report_of(inspection: Inspection, events: list[Event], problem: str | None = None) -> ProbeReport:
    speaks = inspection.manifest.task == "generation"
    language = LanguagePart.model_validate_json(json.dumps(LANGUAGE))
    report = assemble(
        inspection,
        "adb:PHONE",
        events,
        started_at="2026-11-27T12:00:00+00:00",
        duration_s=1.0,
        layers=None,
        reads=StepReads(1_000_000, 64, language) if speaks else None,
        problem=problem,
    )
    assert report is not None
    assert ProbeReport.model_validate_json(report.model_dump_json()) == report
    return report


def speaking(inspection: Inspection) -> Inspection:
    manifest = inspection.manifest.model_copy(update={"task": "generation"})
    return dataclasses.replace(inspection, manifest=manifest)


def test_an_encoder(ask: Ask, inspection: Inspection) -> None:
    ended, events, seen = events_of(ask)
    assert ended
    assert tuple(dict.fromkeys(event["section"] for event in events)) == SECTIONS
    report = report_of(inspection, events)
    assert report.complete
    assert (report.runtime.name, report.runtime.threads, report.runtime.python) == ("LiteRT", 3, None)
    assert [part.tokens for part in report.lengths] == [16, 64, 128]
    assert report.reference_tokens == 64
    assert report.latency_ms is not None
    assert report.latency_ms.p50 == pytest.approx(0.64)  # 10 µs a token
    assert report.latency_ms.runs == 20
    assert [part.warm_up_runs for part in report.lengths] == [3, 3, 3]
    assert [part.batch for part in report.throughput] == [1, 8, 32]
    assert report.throughput[1].texts_per_s == pytest.approx(10)  # 100 ms a text
    assert report.load_ms == report.reload_ms == 30
    assert report.first_run_ms == pytest.approx(0.64)
    assert not report.energy.measured
    assert "64 tokens: 0.64 ms" in seen
    page = render_page([report])
    assert "no phone: " in page


def test_a_language_model(ask: Ask, inspection: Inspection) -> None:
    ended, events, seen = events_of(ask, "language")
    assert ended
    assert tuple(dict.fromkeys(event["section"] for event in events)) == LANGUAGE_SECTIONS
    report = report_of(speaking(inspection), events)
    assert report.complete
    assert report.language is not None
    assert [part.tokens for part in report.language.prompts] == [16, 128]  # 512 is more than the context has
    assert [part.tokens for part in report.language.decode] == [16, 128, 256]
    assert report.ttft_ms == pytest.approx(128 * 0.1 + 0.5)
    depth = report.language.decode[1]
    assert depth.latency_ms is not None
    assert (depth.latency_ms.p50, depth.latency_ms.runs, depth.warm_up_steps) == (2.5, 20, 8)
    assert depth.latency_ms.max == 2.5  # entering the prompt's last token (9 ms) is no step
    assert depth.outside_ms == pytest.approx(0.5)
    assert report.tokens_per_s is not None
    assert report.tokens_per_s.decode == pytest.approx(400)
    assert report.language.read_test_mib_s is None
    assert any("how fast Java adds" in note for note in report.notes)
    assert "at 128 tokens: 400.0 tokens a second" in seen
    render_page([report])


def test_only_the_lengths_that_were_asked_for(ask: Ask) -> None:
    _, events, _ = events_of(ask, "length=64")
    assert [event["tokens"] for event in events if event["section"] == "length"] == [64]
    _, events, _ = events_of(ask, "language", "length=5", "length=100")
    assert [event["tokens"] for event in events if event["section"] == "prompt"] == [5, 100]
    assert [event["depth"] for event in events if event["section"] == "decode"] == [5, 100]
    _, events, _ = events_of(ask, "language", "length=4")  # a depth with no room for steps that warm up
    (decode,) = (event for event in events if event["section"] == "decode")
    assert (decode["warm_up_steps"], max(decode["samples_ms"])) == (0, 2.5)


def test_what_is_no_phone_says_so(ask: Ask, inspection: Inspection) -> None:
    report = report_of(inspection, events_of(ask)[1])
    assert report.device.virtual is not None
    assert report.device.virtual.startswith("no phone: ")
    assert report.device.board is None
    assert any(note.startswith("a virtual machine (no phone: ") for note in report.notes)


def test_an_emulator_has_no_times(ask: Ask, inspection: Inspection) -> None:
    for words in (["emulated"], ["emulated", "language"]):
        ended, events, seen = events_of(ask, *words)
        assert ended
        report = report_of(speaking(inspection) if "language" in words else inspection, events)
        assert report.complete
        assert (report.emulated, report.latency_ms, report.load_ms, report.ttft_ms) == (True, None, None, None)
        assert not [event for event in events if event.get("samples_ms")]
        assert any("its times are not shown" in note for note in report.notes)
        assert not any(" ms" in line or "a second" in line for line in seen)


@pytest.mark.parametrize(
    ("words", "last", "message", "hint"),
    [
        (["fails"], "load", "it broke", "mend it"),
        (["missing"], "device", "the asset is missing", "build it again"),
        (["cancelled"], "load", "the probe was cancelled", None),
        (["no-time"], "device", "the probe did not end within 0 s and was stopped", "--time-limit S gives it longer"),
        (["length=17"], "device", "fake has no length of 17 tokens", "its lengths are 16, 64, 128"),
        (["language", "length=257"], "device", "fake has no length of 257 tokens", "have room for 256"),
    ],
)
def test_what_ends_it_early(
    ask: Ask, inspection: Inspection, words: list[str], last: str, message: str, hint: str | None
) -> None:
    ended, events, seen = events_of(ask, *words)
    assert not ended
    assert [event["section"] for event in events[-2:]] == [last, "error"]
    assert events[-1]["message"] == message
    assert hint is None if events[-1]["hint"] is None else hint in events[-1]["hint"]
    assert seen[-1] == f"error: {message}"
    report = report_of(inspection, events, message)
    assert (report.complete, report.problem) == (False, message)
    assert "end" in report.missing


def test_a_clock_that_stands_still_gives_no_times(ask: Ask, inspection: Inspection) -> None:
    ended, events, _ = events_of(ask, "still")
    assert ended
    report = report_of(inspection, events)
    assert [part.latency_ms for part in report.lengths] == [None] * 3
    assert [event["discarded"] for event in events if event["section"] == "length"] == [20] * 3
    assert report.load_ms is None


def test_a_phone_that_is_hot(ask: Ask, inspection: Inspection) -> None:
    assert report_of(inspection, events_of(ask, "hot")[1]).device.throttled is True
    assert report_of(inspection, events_of(ask)[1]).device.throttled is None


def test_the_machine_is_what_its_files_say(ask: Ask, tmp_path: Path) -> None:
    """A Pixel 8's: two X3-class clusters told apart by their clocks, zones that report nonsense, memory in kB."""
    cores = {0: ("0xd46", 1704000), 4: ("0xd4d", 2367000), 8: ("0xd4e", 2914000)}
    cpuinfo = ""
    for number, (part, clock) in cores.items():
        cpuinfo += f"processor\t: {number}\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n"
        folder = tmp_path / f"sys/devices/system/cpu/cpu{number}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(f"{clock}\n")
        (folder / "scaling_cur_freq").write_text("500000\n")
        (folder / "scaling_governor").write_text("sched_pixel\n")
    for number, text in enumerate(["41200", "-273000", "999999", "none"]):
        folder = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        folder.mkdir(parents=True)
        (folder / "temp").write_text(text)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    (tmp_path / "proc/meminfo").write_text("MemTotal:        8192 kB\nMemAvailable:    2048 kB\n")
    (tmp_path / "proc/self/status").write_text("VmHWM:\t    3 kB\nVmRSS:\t    2 kB\nRssAnon:\t    1 kB\n")
    device, condition, memory = ask("machine", str(tmp_path))
    assert (device["core"], device["clock_max_mhz"], device["memory_mib"]) == ("cortex-x3", 2914, 8)
    assert (condition["temperature_c"], condition["clock_mhz"], condition["governor"]) == (41.2, 500, "sched_pixel")
    assert condition["memory_available_mib"] == 2
    assert memory == {"rss": 2048, "peak_rss": 3072, "private": 1024}


def test_a_machine_that_tells_nothing(ask: Ask, tmp_path: Path) -> None:
    device, condition, memory = ask("machine", str(tmp_path))
    assert device["core"] is None
    assert set(condition.values()) == set(memory.values()) == {None}


@pytest.mark.parametrize(
    ("hardware", "product", "fingerprint", "emulated"),
    [
        ("ranchu", "sdk_gphone64_x86_64", "google/sdk_gphone64_x86_64/emu64x:14/A/1:userdebug/dev-keys", True),
        ("goldfish", "sdk", "generic/sdk/generic:8.0.0/A/1:eng/test-keys", True),
        ("cutf_cvm", "aosp_cf_arm64_phone", "generic/aosp_cf_arm64_phone/vsoc_arm64:15/A/1:eng/test-keys", True),
        ("shiba", "shiba", "google/shiba/shiba:14/A/1:user/release-keys", False),
        ("qcom", "dm1qxxx", "samsung/dm1qxxx/dm1q:14/A/1:user/release-keys", False),
    ],
)
def test_emulators_are_known(ask: Ask, hardware: str, product: str, fingerprint: str, emulated: bool) -> None:
    assert ask("emulator", hardware, product, fingerprint) is emulated


def test_options_from_an_intent(ask: Ask) -> None:
    assert ask("options") == [50, 2, [], 600]
    assert ask("options", "runs=7", "threads=1", "lengths=16,64", "time_limit=2.5") == [7, 1, [16, 64], 2.5]


@pytest.mark.parametrize(
    "word", ["runs=0", "runs=-1", "runs=1e3", "threads=", "lengths=16,", "lengths=a", "time_limit=0", "time_limit=NaN",
             "time_limit=1e9", "runs=99999999999"]
)  # fmt: skip
def test_options_that_make_no_sense(ask: Ask, word: str) -> None:
    name, _, value = word.partition("=")
    assert ask("options", word).startswith(f"the extra {name} is '{value}' -> it wants ")


@given(text=st.text(st.characters(codec=None), max_size=20))
@settings(max_examples=100, deadline=None)
def test_texts_are_json(ask: Ask, text: str) -> None:
    """Lone surrogates too: Java's strings may hold them."""
    raw = text.encode("utf-16-be", "surrogatepass")
    units = [raw[place : place + 2].hex() for place in range(0, len(raw), 2)]
    assert ask("text", *units).encode("utf-16-be", "surrogatepass") == raw


@given(number=st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=50, deadline=None)
def test_numbers_are_json(ask: Ask, number: float) -> None:
    found = ask("number", repr(number))
    assert found == number
    assert math.copysign(1, found) == math.copysign(1, number)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "object"])
def test_what_json_has_no_word_for_is_refused(ask: Ask, word: str) -> None:
    assert ask("refuses", word) is True
