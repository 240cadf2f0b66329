"""A report of whatever a device told, up to wherever it came; and its notes."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.bundle.inspect import Inspection, inspect_bundle
from edgeslm.errors import DeviceError, ProbeTimeoutError
from edgeslm.probe.assemble import assemble
from edgeslm.probe.endings import explain_ending
from edgeslm.probe.measured import instructions_part, latency_part
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.settings import Event, ProbeSettings, device_arguments, parse_event
from tests.unit.tiny_build import tiny_build

CONDITION = {
    "clock_mhz": 1500.0,
    "governor": "performance",
    "temperature_c": 48.0,
    "throttle_events": None,
    "load_average": 0.1,
    "memory_available_mib": 3000.0,
    "throttled_bits": 0,
}
OPERATORS = [
    {"kind": kind, "name": None, "source": "xnnpack", "index": number, "microseconds": [10.0 * (number + 1)] * 2}
    for number, kind in enumerate(["Fully Connected (NC, F32)", "Softmax (NC, F32)"])
]


def told(emulated: bool = False) -> list[Event]:
    """What a Raspberry Pi 4 tells, or an emulated one."""
    lengths: list[Event] = [
        {
            "section": "length",
            "tokens": tokens,
            "warm_up_runs": 3,
            "samples_ms": [] if emulated else [1.0 * tokens, 1.5 * tokens, 1.25 * tokens],
            "discarded": 0,
            "counted_runs": 2 if emulated else 0,
        }
        for tokens in (16, 32)
    ]
    throughput: list[Event] = [
        {"section": "throughput", "batch": 1, "batches": 9, "texts_per_s": 20.0, "tokens_per_s": 160.0}
    ]
    return [
        {"section": "start", "protocol": 1, "pid": 7, "pgid": 7, "python": "3.11.2", "emulated": emulated, "runs": 3,
         "threads": 2},
        {"section": "device", "machine": "aarch64", "cpu": "cortex-a72", "core": "cortex-a72", "cores": 4,
         "board": "Raspberry Pi 4 Model B Rev 1.4", "virtual": None, "clock_max_mhz": 1500.0, "memory_mib": 3793.0,
         "system": "Debian GNU/Linux 12 (bookworm)", "kernel": "6.6", "glibc": "2.36", "condition": CONDITION},
        {"section": "load", "runtime": "ai-edge-litert", "runtime_version": "2.3.0", "reference_tokens": 32,
         "load_ms": None if emulated else 400.0, "first_run_ms": None if emulated else 50.0},
        *lengths,
        *([] if emulated else throughput),
        {"section": "memory", "rss": 100 << 20, "peak_rss": 110 << 20, "private": 40 << 20},
        {"section": "energy", "measured": False, "why_not": "nothing tells"},
        {"section": "after", "condition": CONDITION, "throttled": False, "reload_ms": None if emulated else 90.0,
         "clock_backwards": 0},
        {"section": "profile", "tokens": 32, "signature": "run", "runs": 2, "operators": OPERATORS, "why_not": None},
        {"section": "end", "wall_clock_stepped_s": 0.0},
        *([{"section": "counts", "overhead": 100,
            "runs": [[5, 1095], [5, 1096], [9, 2091], [9, 2091],
                     [1, 2, 3, 4, 500, 50, 6, 7, 8, 200], [1, 2, 3, 4, 500, 50, 6, 7, 8, 200]]}] if emulated else []),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    folder = tmp_path_factory.mktemp("bundle")
    return inspect_bundle(tiny_build(folder / "build").write(folder).path)


def report_of(inspection: Inspection, events: list[Event], problem: str | None = None) -> ProbeReport | None:
    return assemble(
        inspection,
        "ssh://pi@pi",
        events,
        started_at="2026-11-24T12:00:00+00:00",
        duration_s=12.3456,
        layers=None,
        problem=problem,
    )


def whole(inspection: Inspection, events: list[Event]) -> ProbeReport:
    report = report_of(inspection, events)
    assert report is not None
    return report


def changed(section: str, **changes: Any) -> list[Event]:
    events = copy.deepcopy(told())
    for event in events:
        if event["section"] == section:
            event.update(changes)
    return events


def test_a_whole_probe(inspection: Inspection) -> None:
    report = whole(inspection, told())
    assert (report.complete, report.problem, report.missing, report.notes) == (True, None, (), ())
    assert report.device.is_target
    assert report.latency_ms == latency_part([32.0, 48.0, 40.0])
    assert report.latency_ms is not None
    assert (report.latency_ms.p50, report.latency_ms.min, report.latency_ms.max) == (40, 32, 48)
    assert (report.load_ms, report.reload_ms, report.first_run_ms) == (400, 90, 50)
    assert (report.peak_rss_mib, report.memory.private) == (110, 40)
    assert report.profile is not None
    assert report.profile.covered == pytest.approx(0.03 / 40)
    assert report.bundle.digest == inspection.digest
    assert ProbeReport.model_validate_json(report.model_dump_json()) == report


def test_an_emulated_probe_has_counts_less_what_a_mark_takes(inspection: Inspection) -> None:
    report = whole(inspection, told(emulated=True))
    assert report.complete
    assert [part.instructions.per_inference for part in report.lengths if part.instructions] == [1000.5, 2000]
    assert report.instructions is not None
    assert report.instructions.per_token == 2000 / 32
    assert report.lengths[0].instructions is not None
    assert report.lengths[0].instructions.spread == pytest.approx(1 / 1000.5)
    assert report.latency_ms is None
    # Neither the emulating machine's memory nor the board whose files the emulated core shows.
    assert (report.device.memory_mib, report.device.board, report.device.kernel) == (None, None, None)
    assert report.profile is not None
    assert [operator.ms for operator in report.profile.operators] == [None, None]
    assert [operator.instructions for operator in report.profile.operators] == [500, 50]


@settings(max_examples=60)
@given(st.booleans(), st.integers(0, 20), st.integers(0, 5))
def test_any_part_of_a_probe_is_a_report_or_nothing(
    inspection: Inspection, emulated: bool, kept: int, counted: int
) -> None:
    events = told(emulated)[:kept]
    if emulated:
        counts = told(emulated)[-1]
        events.append({**counts, "runs": counts["runs"][:counted]})
    report = report_of(inspection, events, "the connection was lost")
    if kept < 2:
        assert report is None
        return
    assert report is not None
    assert (report.complete, report.problem) == (False, "the connection was lost")
    there = {event["section"] for event in events}
    assert not there & set(report.missing)
    assert len(report.lengths) == sum(event["section"] == "length" for event in events)
    assert ProbeReport.model_validate_json(report.model_dump_json()) == report


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                ["section", "tokens", "samples_ms", "runs", "operators", "emulated", "machine", "overhead"]
            ),
            st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=3)),
        ).map(lambda event: {"section": "length", **event}),
        max_size=4,
    )
)
def test_nonsense_from_a_device_is_a_device_error(inspection: Inspection, events: list[Event]) -> None:
    if not all(isinstance(event["section"], str) for event in events):
        return  # parse_event lets none of those through
    with contextlib.suppress(DeviceError):
        report_of(inspection, [*told()[:3], *events])


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200))
def test_percentiles_are_numpy_s(samples: list[float]) -> None:
    part = latency_part(samples)
    assert part is not None
    assert (part.p50, part.p90, part.p99) == tuple(np.percentile(samples, [50, 90, 99]))
    assert part.min <= part.p50 <= part.p90 <= part.p99 <= part.max
    assert part.mean == pytest.approx(np.mean(samples))


def test_nothing_counted_is_no_count() -> None:
    assert instructions_part([], 16) is None
    assert latency_part([]) is None
    part = instructions_part([10, 12, 11], None)
    assert part is not None
    assert (part.per_inference, part.per_token, part.spread) == (11, None, 2 / 11)


@pytest.mark.parametrize(
    ("section", "changes", "note"),
    [
        ("device", {"core": "cortex-a76", "board": "Raspberry Pi 5"}, "on Raspberry Pi 5, which is no Raspberry Pi 4"),
        ("device", {"virtual": "KVM"}, "a virtual machine (KVM)"),
        ("device", {"condition": {**CONDITION, "load_average": 3.0}}, "busy before the probe began: load 3.00"),
        ("device", {"condition": {**CONDITION, "governor": "ondemand"}}, "governor ondemand"),
        ("after", {"throttled": True}, "slowed itself down"),
        ("after", {"clock_backwards": 2}, "the device's clock went backwards: 2 readings"),
        ("length", {"discarded": 3}, "the device's clock went backwards: 6 readings"),
        ("end", {"wall_clock_stepped_s": -3600.0}, "the device's date was set by -3600 s"),
        ("profile", {"operators": [], "why_not": "the runtime gives none"}, "no profile by operator: the runtime"),
    ],
)  # fmt: skip
def test_what_a_reader_has_to_know_is_a_note(
    inspection: Inspection, section: str, changes: dict[str, Any], note: str
) -> None:
    notes = whole(inspection, changed(section, **changes)).notes
    assert len(notes) == 1
    assert note in notes[0]


def test_an_emulated_device_behind_ssh_tells_no_times(inspection: Inspection) -> None:
    events = [event for event in told(emulated=True) if event["section"] != "counts"]
    for event in events:
        event["counted_runs"] = 0
    report = whole(inspection, events)
    assert report.latency_ms is None
    assert report.instructions is None
    assert report.profile is None
    assert "the device is an emulator" in report.notes[0]


@pytest.mark.parametrize(
    ("stderr", "status", "kind", "told"),
    [
        ("", 124, ProbeTimeoutError, "did not end within 600 s"),
        ('Timeout (0:00:02)!\nThread 0x1 (most recent call first):\n  File "a.py", line 3 in wait\n', 1,
         ProbeTimeoutError, 'it was in "a.py", line 3 in wait'),
        ("usage: x\nx: error: argument command: invalid choice: 'probe'\n", 2, DeviceError, "another edgeslm made it"),
        ("noise\nerror: no length of 17 -> its lengths are 16\n", 2, DeviceError, "gave up: no length of 17"),
        ("Segmentation fault\n", -11, DeviceError, "was ended by signal 11"),
        ("", 3, DeviceError, "status 3 without a word"),
    ],
)  # fmt: skip
def test_why_a_probe_ended(stderr: str, status: int, kind: type[DeviceError], told: str) -> None:
    error = explain_ending(stderr, status, ProbeSettings())
    assert type(error) is kind
    assert told in error.message


def test_the_device_s_words(tmp_path: Path) -> None:
    settings = ProbeSettings(runs=7, threads=3, lengths=(16, 32), time_limit_s=1.5, meter="tcp://a:1")
    arguments = device_arguments(tmp_path, settings)
    assert arguments[:4] == ["-m", "edgeslm_device", "probe", str(tmp_path)]
    for words in ("--events", "--runs 7", "--threads 3", "--length 16", "--length 32", "--meter tcp://a:1"):
        assert words in " ".join(arguments)


@given(st.text(max_size=50))
def test_a_line_is_an_event_or_nothing(line: str) -> None:
    event = parse_event(line)
    assert event is None or isinstance(event["section"], str)
    assert parse_event(json.dumps({"section": line})) == {"section": line}
    assert parse_event(json.dumps([line])) is None
    assert parse_event("[" * 100_000) is None
