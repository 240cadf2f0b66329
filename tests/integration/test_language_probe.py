"""`edgeslm probe` of a real language model on this machine: report, table, page and comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeslm.api import build
from edgeslm.backends import load_backend
from edgeslm.probe.page.figures import show
from edgeslm.probe.report import ProbeReport
from tests.conftest import Answer
from tests.integration.test_probe_page_browser import CHROMIUM, DRIVER, browser, evaluate, log_of, open_page
from tests.unit.probe_reports import figures_of

__all__ = ["browser"]  # the fixture

Edgeslm = Callable[..., Answer]
STORIES = Path(__file__).resolve().parents[3] / "shared/models/stories260k"

pytestmark = pytest.mark.skipif(not STORIES.is_dir(), reason=f"needs {STORIES}")


@pytest.fixture(scope="module", params=["tflite", "openvino"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = load_backend(request.param).missing()
    if missing:
        pytest.skip(f"{request.param}: {missing}")
    out = tmp_path_factory.mktemp("bundles")
    report = build("linux-x86_64", str(STORIES), scheme="int8", backend=request.param, allow_below_gate=True, out=out)
    return report.bundle.path


@pytest.fixture(scope="module")
def probed(bundle: Path, edgeslm: Edgeslm, tmp_path_factory: pytest.TempPathFactory) -> tuple[ProbeReport, Path]:
    """Its report and its page."""
    folder = tmp_path_factory.mktemp("probed")
    page = folder / "page.html"
    done = edgeslm("probe", bundle, "--runs", "20", "--threads", "1", "-o", folder / "r.json", "--html", page, "--json")
    assert done.status == 0, done.stderr
    return ProbeReport.model_validate_json(done.stdout), page


def test_this_machine_s_figures(probed: tuple[ProbeReport, Path]) -> None:
    report, _ = probed
    assert (report.complete, report.emulated, report.missing) == (True, False, ())
    assert (report.lengths, report.throughput, report.reference_tokens) == ((), (), 128)
    spoken = report.language
    assert spoken is not None
    assert (spoken.context, spoken.vocabulary) == (512, 512)
    assert [part.tokens for part in spoken.prompts] == [16, 128]
    assert [part.tokens for part in spoken.decode] == [16, 128, 256, 512]
    for prompt in spoken.prompts:
        assert prompt.ttft_ms is not None
        assert prompt.prefill_ms is not None
        assert 0 < prompt.prefill_ms <= prompt.ttft_ms.max
        assert prompt.ttft_ms.runs == len(prompt.samples_ms) == 3
    for depth in spoken.decode:
        at, outside = depth.latency_ms, depth.outside_ms
        assert at is not None
        assert outside is not None
        assert 0 < at.min <= at.p50 <= at.p90 <= at.p99 <= at.max
        assert 0 < outside < at.p50
        assert at.runs == len(depth.samples_ms) == 20
        assert depth.tokens_per_s == pytest.approx(1000 / at.mean)
        assert depth.bandwidth_share is not None
        assert depth.bandwidth_share > 0
    assert report.latency_ms == spoken.decode[1].latency_ms
    assert report.ttft_ms == spoken.prompts[1].ttft_ms.p50 if spoken.prompts[1].ttft_ms else None
    assert report.tokens_per_s is not None
    assert report.tokens_per_s.decode == spoken.decode[1].tokens_per_s
    assert report.tokens_per_s.prefill == spoken.prompts[1].tokens_per_s
    # 260 thousand weights of a byte; the vocabulary's table is tied, so it is read whole.
    assert spoken.weight_bytes is not None
    assert 250_000 < spoken.weight_bytes < 330_000
    assert spoken.bandwidth_source == "read test"
    assert report.peak_rss_mib is not None
    assert 10 < report.peak_rss_mib < 400


@pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver")
def test_the_page_is_quiet_and_has_every_figure(
    request: pytest.FixtureRequest, probed: tuple[ProbeReport, Path]
) -> None:
    report, path = probed
    shown = request.getfixturevalue("browser")
    asked = open_page(shown, path)
    assert [address for address in asked if not address.startswith("data:")] == [path.as_uri()]
    assert log_of(shown, "browser") == []
    text = evaluate(shown, "document.body.textContent")
    figures = dict(figures_of(json.loads(report.model_dump_json())))
    assert {place: value for place, value in figures.items() if show(value) not in text} == {}
    assert evaluate(shown, "document.querySelector('svg[aria-label=\"Decode by depth\"]') !== null")


def test_a_table_for_people_and_a_comparison(
    edgeslm: Edgeslm, bundle: Path, probed: tuple[ProbeReport, Path], tmp_path: Path
) -> None:
    done = edgeslm("probe", bundle, "--runs", "5", "--length", "128", "--threads", "1")
    assert done.status == 0, done.stderr
    kept = bundle.with_name(f"{bundle.stem}.probe-local.json")
    report = json.loads(kept.read_text())
    assert f"{report['tokens_per_s']['decode']:.1f}" in done.stdout
    assert "first token p50 ms" in done.stdout
    (tmp_path / "other.json").write_text(probed[0].model_dump_json())
    compared = edgeslm("compare", kept, tmp_path / "other.json", "--json")
    assert compared.status == 0, compared.stderr
    assert "decode" in {figure["figure"] for figure in compared.json["figures"]}


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [(["--length", "513"], 6, "has no length of 513 tokens"), (["--via", "qemu"], 3, "emulates arm64 boards")],
)
def test_wrong_use_is_told(
    edgeslm: Edgeslm, bundle: Path, arguments: list[str], status: int, told: str, tmp_path: Path
) -> None:
    done = edgeslm("probe", bundle, *arguments, "--json", cwd=tmp_path)
    assert done.status == status, done.stderr
    assert told in done.json["error"]["message"]
