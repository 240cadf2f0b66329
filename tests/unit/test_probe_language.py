"""A language model's report: from events to figures, notes, bytes read and comparisons."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.bundle.inspect import Inspection, inspect_bundle
from edgeslm.bundle.manifest import LanguagePart
from edgeslm.probe.assemble import assemble
from edgeslm.probe.clock_reads import instructions_by_operator
from edgeslm.probe.compare import CompareAnswer, compare
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.settings import Event
from edgeslm.probe.step_reads import StepReads, openvino_weights, step_reads, tflite_weights
from tests.unit.device_bundles import TinyModel, openvino_files, tflite_files
from tests.unit.probe_reports import make_language_report, make_report
from tests.unit.test_device_language_probe import LANGUAGE
from tests.unit.test_probe_assemble import told as told_of_an_encoder
from tests.unit.tiny_build import tiny_build

WEIGHTS, ROW = 1_000_000, 64
READS = StepReads(WEIGHTS, ROW, LanguagePart.model_validate_json(json.dumps(LANGUAGE)))
OPERATORS = [
    {"kind": kind, "name": None, "source": "xnnpack", "index": number, "microseconds": [10.0, 10.0]}
    for number, kind in enumerate(["Fully Connected (NC, F32)", "Copy (NC, X32)", "Softmax (NC, F32)"])
]


def told(emulated: bool = False) -> list[Event]:
    """What a Raspberry Pi 4 tells of a language model, or an emulated one."""
    around = [event for event in told_of_an_encoder(emulated) if event["section"] not in ("length", "throughput")]
    prompts: list[Event] = [
        {
            "section": "prompt",
            "tokens": tokens,
            "warm_up_runs": 1,
            "samples_ms": [] if emulated else [2.0 * tokens, 3.0 * tokens, 2.5 * tokens],
            "discarded": 0,
            "prefill_ms": None if emulated else 2.0 * tokens,
            "counted_runs": 2 if emulated else 0,
            "why_not": None,
        }
        for tokens in (16, 32)
    ]
    decode: list[Event] = [
        {
            "section": "decode",
            "depth": depth,
            "warm_up_steps": 8,
            "samples_ms": [] if emulated else [10.0, 30.0, 11.0],
            "discarded": 0,
            "outside_ms": None if emulated else 0.5,
            "counted_runs": 2 if emulated else 0,
            "counted_steps": 10,
            "why_not": None,
        }
        for depth in (17, 32)
    ]
    bandwidth: list[Event] = [{"section": "bandwidth", "read_mib_s": 2000.0, "why_not": None}]
    place = next(number for number, event in enumerate(around) if event["section"] == "memory")
    events = [*around[:place], *prompts, *decode, around[place], *([] if emulated else bandwidth), *around[place + 1 :]]
    for event in events:
        if event["section"] == "profile":
            event |= {"operators": OPERATORS, "concatenated": 2}
        if event["section"] == "counts":
            profiled = [1, 2, 3, 4, 500, 60, 70, 50, 6, 7, 8, 200]
            runs = [[5, 1595], [5, 1595], [3300], [3300], [1, 5099], [5101], [5100 + 1000], [6100], profiled, profiled]
            event |= {"overhead": 100, "runs": runs}
    return events


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    folder = tmp_path_factory.mktemp("bundle")
    found = inspect_bundle(tiny_build(folder / "build").write(folder).path)
    return dataclasses.replace(found, manifest=found.manifest.model_copy(update={"task": "generation"}))


def report_of(inspection: Inspection, events: list[Event], reads: StepReads = READS, **rest: Any) -> ProbeReport:
    report = assemble(
        inspection,
        "ssh://pi@pi",
        events,
        started_at="2026-11-24T12:00:00+00:00",
        duration_s=12.3456,
        layers=None,
        reads=reads,
        **rest,
    )
    assert report is not None
    assert ProbeReport.model_validate_json(report.model_dump_json()) == report
    return report


def test_a_whole_probe(inspection: Inspection) -> None:
    report = report_of(inspection, told())
    assert (report.complete, report.missing, report.notes, report.lengths) == (True, (), (), ())
    assert report.reference_tokens == 32
    assert report.ttft_ms == 80  # the median of the prompt of 32
    assert report.tokens_per_s is not None
    assert report.tokens_per_s.prefill == pytest.approx(500)
    assert report.tokens_per_s.decode == pytest.approx(3 / 0.051)
    assert report.latency_ms is not None
    assert (report.latency_ms.p50, report.latency_ms.max, report.latency_ms.runs) == (11, 30, 3)
    assert report.instructions is None
    spoken = report.language
    assert spoken is not None
    assert [part.tokens for part in spoken.prompts] == [16, 32]
    assert [part.bytes_read for part in spoken.decode] == [WEIGHTS + 16 * ROW, WEIGHTS + 32 * ROW]
    # On its own board: the target's figure, and what was read in a test beside it.
    assert (spoken.bandwidth_mib_s, spoken.bandwidth_source, spoken.read_test_mib_s) == (3050, "target", 2000)
    assert spoken.decode[0].bandwidth_share == pytest.approx((WEIGHTS + 16 * ROW) / 2**20 / 0.011 / 3050)


def test_another_device_s_bandwidth_is_the_one_that_was_read_there(inspection: Inspection) -> None:
    events = told()
    events[1]["core"] = "cortex-a53"
    spoken = report_of(inspection, events).language
    assert spoken is not None
    assert (spoken.bandwidth_mib_s, spoken.bandwidth_source) == (2000, "read test")


def test_an_emulated_probe_has_instructions_and_no_times(inspection: Inspection) -> None:
    report = report_of(inspection, told(emulated=True))
    assert report.complete
    assert (report.ttft_ms, report.tokens_per_s, report.latency_ms) == (None, None, None)
    spoken = report.language
    assert spoken is not None
    counts = [part.instructions for part in spoken.prompts] + [part.instructions for part in spoken.decode]
    assert [count.per_inference for count in counts if count] == [1500, 3200, 500.05, 600]  # ten steps, less a mark
    assert [count.per_token for count in counts if count] == [1500 / 16, 100, 500.05, 600]
    assert report.instructions == spoken.decode[1].instructions
    assert (spoken.bandwidth_mib_s, spoken.read_test_mib_s) == (None, None)
    assert report.profile is not None
    assert [part.instructions for part in report.profile.operators] == [500, 130, 50]
    assert report.profile.covered == pytest.approx(680 / 600)


def test_counts_that_fit_no_operators_are_said(inspection: Inspection) -> None:
    events = told(emulated=True)
    for event in events:
        event.pop("concatenated", None)
    report = report_of(inspection, events)
    assert report.profile is None
    assert report.notes[-1].startswith("no profile by operator: the clock was not read")


@given(st.booleans(), st.integers(2, 20), st.integers(0, 10))
def test_any_part_of_a_probe_is_a_report(inspection: Inspection, emulated: bool, kept: int, counted: int) -> None:
    events = told(emulated)[:kept]
    if emulated:
        counts = told(emulated)[-1]
        events.append({**counts, "runs": counts["runs"][:counted]})
    report = report_of(inspection, events, problem="the connection was lost")
    assert (report.complete, report.problem) == (False, "the connection was lost")
    assert not {event["section"] for event in events} & set(report.missing)
    assert report.language is not None
    assert len(report.language.decode) == sum(event["section"] == "decode" for event in events)


@pytest.mark.parametrize(
    ("section", "changes", "note"),
    [
        ("prompt", {"why_not": "it would take 900 s"}, "no prompt of 16 tokens: it would take 900 s"),
        ("decode", {"why_not": "it would take 900 s"}, "no step at a depth of 17 tokens: it would take 900 s"),
        ("decode", {"discarded": 2}, "the device's clock went backwards: 4 readings"),
        ("decode", {"samples_ms": [0.01]}, "a step reads more than the memory gives"),
        ("bandwidth", {"read_mib_s": None, "why_not": "too little memory"}, "bandwidth was not measured: too little"),
    ],
)
def test_what_a_reader_has_to_know_is_a_note(
    inspection: Inspection, section: str, changes: dict[str, Any], note: str
) -> None:
    events = told()
    for event in events:
        if event["section"] == section:
            event |= changes
    assert any(note in found for found in report_of(inspection, events).notes)


def test_what_a_step_reads_may_be_unknown(inspection: Inspection, tmp_path: Path) -> None:
    report = report_of(inspection, told(), StepReads(None, ROW, READS.language, "no package here"))
    assert report.language is not None
    assert {part.bytes_read for part in report.language.decode} == {None}
    assert "how much a step reads is not known: no package here" in report.notes
    manifest = inspection.manifest
    described = manifest.model.model_copy(update={"language": READS.language})
    damaged = step_reads(inspection.path, manifest.model_copy(update={"model": described}))
    assert damaged is not None
    assert damaged.weight_bytes is None  # the tiny build's model is no .tflite
    assert "no .tflite model" in str(damaged.why_not)
    assert damaged.row_bytes == 2 * 2 * 1 * 4 * 4
    assert step_reads(inspection.path, manifest) is None


@pytest.mark.parametrize(("depth", "rows"), [(1, 16), (16, 16), (17, 16), (18, 32), (33, 32), (34, 64), (64, 64)])
def test_rows_are_those_of_the_signature_that_runs(depth: int, rows: int) -> None:
    assert READS.rows(depth) == rows
    own = READS.language.model_copy(update={"segments": (), "signatures": ()})
    assert StepReads(1, 1, own).rows(depth) == depth - 1  # a runtime that keeps the cache reads what is there


def test_of_a_table_that_is_looked_up_in_one_row_is_read() -> None:
    pytest.importorskip("ai_edge_litert")
    model = TinyModel("classification")
    constants = 3 * 4 + 4  # a shape and an axis
    row = model.table.nbytes // len(model.table)
    read = tflite_weights(tflite_files(model)["model/model.tflite"], "tokens_8")
    assert read == row + model.head.nbytes + constants


def test_the_same_in_openvino_s_graph() -> None:
    pytest.importorskip("openvino")
    model = TinyModel("classification")
    row = model.table.nbytes // len(model.table)
    read = openvino_weights(openvino_files(model)["model/model.xml"])
    assert row + model.head.nbytes <= read <= row + model.head.nbytes + 64  # axes


@pytest.mark.parametrize("tied", [False, True])
def test_a_table_that_is_multiplied_with_as_well_is_read_whole(tied: bool, tmp_path: Path) -> None:
    """A compressed one, as they are stored: integers, converted and scaled."""
    ov: Any = pytest.importorskip("openvino")
    op: Any = importlib.import_module("openvino.opset15")
    table, head = np.ones((100, 8), np.uint8), np.ones((50, 8), np.float32)
    token = op.parameter([1, 1], np.int32, name="tokens")
    weights = op.multiply(op.convert(op.constant(table), "f32"), op.constant(np.full((100, 1), 0.5, np.float32)))
    hidden = op.gather(weights, token, op.constant(0))
    graph = ov.Model([op.result(op.matmul(hidden, weights if tied else op.constant(head), False, True))], [token])
    ov.save_model(graph, tmp_path / "model.xml", compress_to_fp16=False)
    read = openvino_weights((tmp_path / "model.xml").read_bytes())
    expected = table.nbytes + 400 if tied else 8 + 4 + head.nbytes
    assert expected <= read <= expected + 16


def test_a_concatenation_takes_as_many_clock_reads_as_it_has_inputs() -> None:
    reads = [1, 2, 3, 4, 500, 60, 70, 50, 6, 7, 8, 200]
    assert instructions_by_operator(reads, OPERATORS, concatenated=2) == [500, 130, 50]
    assert instructions_by_operator(reads, OPERATORS) is None
    assert instructions_by_operator(reads, OPERATORS, concatenated=3) is None


def row(answer: CompareAnswer, label: str) -> tuple[float | None, ...]:
    return next(figure.ratios for figure in answer.figures if figure.label == label)


def test_language_models_are_compared_by_prompt_and_depth() -> None:
    answer = compare([make_language_report(), make_language_report(pace=2.0)])
    assert answer.warnings == ()
    assert row(answer, "decode, 512 tokens") == pytest.approx((1, 0.5))
    assert row(answer, "prefill, 128 tokens") == pytest.approx((1, 0.5))
    assert row(answer, "first token p50, 16 tokens") == pytest.approx((1, 2))
    assert row(answer, "token p99, 1,024 tokens") == pytest.approx((1, 2))
    better = {figure.label: figure.better for figure in answer.figures}
    assert (better["decode, 512 tokens"], better["token p50, 512 tokens"]) == ("higher", "lower")


def test_emulated_language_models_are_compared_by_instructions_alone() -> None:
    answer = compare([make_language_report(emulated=True), make_language_report(emulated=True, pace=1.5)])
    assert row(answer, "instructions per token, 256 tokens") == pytest.approx((1, 1.5))
    assert not [figure for figure in answer.figures if figure.unit in ("ms", "tokens/s")]
    mixed = compare([make_language_report(), make_language_report(emulated=True)])
    timed = [figure for figure in mixed.figures if figure.unit in ("ms", "tokens/s", "instructions")]
    assert timed
    assert all(None in figure.values for figure in timed)


def test_a_language_model_and_an_encoder_share_no_length() -> None:
    answer = compare([make_language_report(), make_report()])
    assert any("A generated text, the others did not" in warning for warning in answer.warnings)
    assert not [figure for figure in answer.figures if figure.tokens is not None and None not in figure.values]
    apart = make_language_report(language={"decode": []})
    assert any("no depth was measured in two" in warning for warning in compare([apart, apart]).warnings)
