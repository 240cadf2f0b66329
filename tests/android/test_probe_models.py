"""The probe of real models on the JVM over LiteRT: what the app measures becomes a report, and its page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeslm import api
from edgeslm.backends import load_backend
from edgeslm.bundle.inspect import Inspection, inspect_bundle
from edgeslm.bundle.manifest import LanguagePart
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.formats.description import describe_language
from edgeslm.probe.assemble import assemble
from edgeslm.probe.page import render_page
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.settings import Event, parse_event
from edgeslm.probe.step_reads import StepReads
from tests.android import litert_library
from tests.android.assets import bundle_assets, language_assets
from tests.android.conftest import RunJava
from tests.conftest import ROOT
from tests.tiny_language import build_language

STORIES = ROOT.parent / "shared" / "models" / "stories260k"
CONTEXT = 128

Probe = Callable[..., list[Event]]


@pytest.fixture(scope="module")
def probe(run_java: RunJava, shared_folder: Path) -> Probe:
    """probe(assets, kept, "int8", "runs=5") -> the events of the library's own probe."""
    missing = litert_library.problem() or load_backend("tflite").missing()
    if missing:
        pytest.skip(missing)
    options = [f"-Djava.library.path={litert_library.litert_folder(shared_folder / 'android')}"]

    def run(assets: Path, kept: Path, *words: str) -> list[Event]:
        told = run_java("org.edgeslm.JvmProbe", assets, kept, *words, options=options)
        events = [parse_event(line) for line in told.splitlines()]
        return [event for event in events if event is not None]

    return run


@pytest.fixture(scope="module")
def bundle(checkpoint_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = checkpoint_of("bert", "BertForSequenceClassification")
    out = tmp_path_factory.mktemp("encoder")
    return api.build("rpi4", str(folder), scheme="fp32", backend="tflite", out=out).bundle.path


def report_of(inspection: Inspection, events: list[Event], reads: StepReads | None = None) -> ProbeReport:
    report = assemble(
        inspection,
        "adb",
        events,
        started_at="2026-11-27T12:00:00+00:00",
        duration_s=1.0,
        layers=None,
        reads=reads,
    )
    assert report is not None
    return report


def test_a_classifier(probe: Probe, bundle: Path, tmp_path: Path) -> None:
    bundle_assets(tmp_path / "assets", "fp32", bundle)
    events = probe(tmp_path / "assets", tmp_path, "fp32", "runs=4", "threads=1")
    (load,) = (event for event in events if event["section"] == "load")
    inspection = inspect_bundle(bundle)
    (file,) = inspection.manifest.model.files
    assert load["model_sha256"] == inspection.manifest.files[file].sha256
    assert (load["model"], load["scheme"], load["threads"]) == ("fp32", "fp32", 1)
    report = report_of(inspection, events)
    assert report.complete, report.problem
    assert [part.tokens for part in report.lengths] == list(inspection.manifest.model.lengths)
    assert all(part.latency_ms is not None and part.latency_ms.runs == 4 for part in report.lengths)
    assert [part.batch for part in report.throughput] == [1, 8, 32]
    assert report.peak_rss_mib is not None
    assert report.device.virtual is not None
    assert report.device.virtual.startswith("no phone")
    assert any("which is no Raspberry Pi 4" in note for note in report.notes)  # the bundle's target
    assert "no phone" in render_page([report])


def test_a_language_model(probe: Probe, bundle: Path, tmp_path: Path) -> None:
    if not STORIES.is_dir():
        pytest.skip(f"stories260k is not at {STORIES}")
    compiled = build_language(STORIES, "fp32", CONTEXT, tmp_path / "stages", cache_writers=True)
    language_assets(tmp_path / "assets", "fp32", open_checkpoint(str(STORIES)), compiled, None)
    events = probe(tmp_path / "assets", tmp_path, "fp32", "runs=12")
    found = inspect_bundle(bundle)
    inspection = dataclasses.replace(found, manifest=found.manifest.model_copy(update={"task": "generation"}))
    language = LanguagePart.model_validate_json(json.dumps(describe_language(compiled)["language"]))
    report = report_of(inspection, events, StepReads(1_000_000, 64, language))
    assert report.complete, report.problem
    assert report.language is not None
    assert [part.tokens for part in report.language.prompts] == [16]
    assert [part.tokens for part in report.language.decode] == [16, 128]  # to the context's very end
    for prompt in report.language.prompts:
        assert prompt.ttft_ms is not None
        assert prompt.prefill_ms is not None
        assert 0 < prompt.prefill_ms <= prompt.ttft_ms.max
    for depth in report.language.decode:
        assert depth.latency_ms is not None
        assert depth.latency_ms.runs == 12
        assert depth.outside_ms is not None
        assert 0 < depth.outside_ms < depth.latency_ms.max
    assert report.tokens_per_s is not None
    assert report.tokens_per_s.decode is not None
    render_page([report])


def test_a_changed_model_is_not_measured(probe: Probe, bundle: Path, tmp_path: Path) -> None:
    bundle_assets(tmp_path / "assets", "fp32", bundle)
    model = tmp_path / "assets/edgeslm/fp32/model.tflite"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    events = probe(tmp_path / "assets", tmp_path, "fp32")
    assert [event["section"] for event in events] == ["start", "device", "error"]
    assert "model.tflite" in events[-1]["message"]
    assert events[-1]["hint"]
