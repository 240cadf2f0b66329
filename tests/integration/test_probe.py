"""`edgeslm probe` on this machine, as a user calls it: real bundles of both backends, and every way it can end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeslm.api import build
from edgeslm.backends import load_backend
from edgeslm.bundle.manifest import FilePart, parse_manifest
from edgeslm.digest import file_digest
from edgeslm.probe.report import ProbeReport
from tests.conftest import ROOT, Answer

Edgeslm = Callable[..., Answer]


@pytest.fixture(scope="module")
def bundle_of(checkpoint_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """bundle_of("tflite", target) -> a small sentence encoder in int8; made once, not to be changed."""
    made: dict[tuple[str, str], Path] = {}

    def make(backend: str, target: str = "linux-x86_64") -> Path:
        missing = load_backend(backend).missing()
        if missing:
            pytest.skip(f"{backend}: {missing}")
        if (backend, target) not in made:
            model, out = str(checkpoint_of("minilm")), tmp_path_factory.mktemp("bundles")
            report = build(target, model, scheme="int8", backend=backend, allow_below_gate=True, out=out)
            made[backend, target] = report.bundle.path
        return made[backend, target]

    return make


@pytest.fixture(params=["tflite", "openvino"])
def bundle(request: pytest.FixtureRequest, bundle_of: Callable[..., Path]) -> Path:
    return bundle_of(request.param)


def test_this_machine_s_figures(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    done = edgeslm("probe", bundle, "--runs", "12", "--threads", "1", "-o", kept, "--json")
    assert done.status == 0, done.stderr
    report = ProbeReport.model_validate_json(done.stdout)
    assert ProbeReport.model_validate_json(kept.read_bytes()) == report
    assert (report.complete, report.emulated, report.via, report.missing) == (True, False, "local", ())
    assert report.instructions is None
    manifest = edgeslm("inspect", bundle, "--json").json
    assert report.bundle.digest == manifest["digest"]
    assert [part.tokens for part in report.lengths] == manifest["manifest"]["model"]["lengths"]
    for part in report.lengths:
        assert part.latency_ms is not None
        at = part.latency_ms
        assert 0 < at.min <= at.p50 <= at.p90 <= at.p99 <= at.max
        assert at.runs == len(part.samples_ms) == 12
    assert report.latency_ms == next(p.latency_ms for p in report.lengths if p.tokens == report.reference_tokens)
    assert report.runtime.threads == 1
    assert report.load_ms is not None
    assert report.reload_ms is not None
    assert report.load_ms > report.reload_ms > 0
    assert report.peak_rss_mib is not None
    assert report.memory.private is not None
    assert 1024 > report.peak_rss_mib > report.memory.private > 5
    assert [part.batch for part in report.throughput] == [1, 8, 32]
    assert report.device.is_target
    assert report.device.machine == "x86_64"
    assert report.energy.measured or report.energy.why_not


def test_the_profile_speaks_of_the_checkpoint_s_layers(edgeslm: Edgeslm, bundle: Path, tmp_path: Path) -> None:
    done = edgeslm("probe", bundle, "--runs", "5", "--length", "16", "-o", tmp_path / "r.json", "--json")
    report = ProbeReport.model_validate_json(done.stdout)
    profile, (length,) = report.profile, report.lengths
    assert profile is not None
    assert profile.tokens == 16
    layers = {layer.layer for layer in profile.layers}
    assert any(layer.endswith("attention.self.query") for layer in layers)
    assert sum(layer.share for layer in profile.layers) == pytest.approx(1)
    assert [layer.share for layer in profile.layers] == sorted((layer.share for layer in profile.layers), reverse=True)
    # Both were timed on a machine that may have been busy with one of them: what is held is the unit.
    assert length.latency_ms is not None
    spent = sum(operator.ms or 0 for operator in profile.operators)
    assert profile.covered == pytest.approx(spent / length.latency_ms.p50, rel=0.1)


def test_a_table_for_people_and_a_file_beside_the_bundle(edgeslm: Edgeslm, bundle_of: Callable[..., Path]) -> None:
    bundle = bundle_of("tflite")
    done = edgeslm("probe", bundle, "--runs", "5", "--length", "16", "--length", "32")
    assert done.status == 0, done.stderr
    kept = bundle.with_name(f"{bundle.stem}.probe-local.json")
    assert f"report: {kept}" in done.stderr
    report = json.loads(kept.read_text())
    assert f"{report['latency_ms']['p50']:.2f}" in done.stdout
    assert [part["tokens"] for part in report["lengths"]] == [16, 32]
    assert "Where the time goes" in done.stdout


def test_another_device_s_bundle_says_so(edgeslm: Edgeslm, bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    done = edgeslm(
        "probe", bundle_of("tflite", "rpi4"), "--runs", "3", "--length", "16", "-o", tmp_path / "r.json", "--json"
    )
    assert done.json["device"]["is_target"] is False
    assert any("which is no Raspberry Pi 4" in note for note in done.json["notes"])
    assert "these figures are not that device's" in done.json["notes"][0]


def test_the_page_is_written_too(edgeslm: Edgeslm, bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    options = ("--runs", "5", "--length", "16", "-o", tmp_path / "r.json", "--html", page)
    assert edgeslm("probe", bundle_of("tflite"), *options).status == 0
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")


def test_two_reports_are_compared(edgeslm: Edgeslm, bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    files = []
    for backend in ("tflite", "openvino"):
        files.append(tmp_path / f"{backend}.json")
        assert edgeslm("probe", bundle_of(backend), "--runs", "5", "-o", files[-1]).status == 0
    done = edgeslm("compare", *files, "--html", tmp_path / "c.html", "--json")
    assert done.status == 0, done.stderr
    assert (tmp_path / "c.html").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--via", "carrier-pigeon"], 2, "is no way to a device"),
        (["--via", "qemu"], 3, "emulates arm64 boards"),
        (["--core", "cortex-a53"], 2, "go with --via qemu"),
        (["--via", "local", "--via", "local"], 2, "more than once"),
        (["--length", "17"], 6, "has no length of 17 tokens"),
        (["--runs", "0"], 2, "--runs"),
        (["--meter", "/nowhere"], 6, "the meter /nowhere cannot be opened"),
        (["-o", "/nowhere/r.json", "--runs", "1", "--length", "16"], 9, "/nowhere"),
        (["--calibration", "nowhere.json"], 2, "nowhere.json cannot be read"),
    ],
)
def test_wrong_use_is_told(
    edgeslm: Edgeslm, bundle_of: Callable[..., Path], arguments: list[str], status: int, told: str, tmp_path: Path
) -> None:
    done = edgeslm("probe", bundle_of("tflite"), *arguments, "--json", cwd=tmp_path)
    assert done.status == status, done.stderr
    assert told in done.json["error"]["message"]
    assert "Traceback" not in done.stderr


def test_a_damaged_bundle_is_not_run(edgeslm: Edgeslm, bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    content = bytearray(bundle_of("tflite").read_bytes())
    content[content.index(b"edgeslm_device/__init__.py") + 200] ^= 1
    (tmp_path / "b.edgeslm").write_bytes(content)
    done = edgeslm("probe", tmp_path / "b.edgeslm", "--json")
    assert done.status == 8


def test_a_time_limit_leaves_what_was_measured(
    edgeslm: Edgeslm, bundle_of: Callable[..., Path], tmp_path: Path
) -> None:
    kept = tmp_path / "r.json"
    options = ("--runs", "10000000", "--time-limit", "4", "-o", kept, "--json")
    started = time.monotonic()
    done = edgeslm("probe", bundle_of("tflite"), *options)
    assert time.monotonic() - started < 30
    assert (done.status, done.json["error"]["kind"]) == (6, "ProbeTimeoutError")
    assert str(kept) in done.json["error"]["hint"]
    report = ProbeReport.model_validate_json(kept.read_bytes())
    assert report.complete is False
    assert "did not end within 4 s" in str(report.problem)
    assert {"memory", "energy", "after", "profile", "end"} <= set(report.missing)
    assert report.load_ms is not None
    assert report.load_ms > 0


def test_ctrl_c_keeps_what_was_measured_and_ends_everything(bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    kept = tmp_path / "r.json"
    command = [
        sys.executable,
        "-m",
        "edgeslm",
        "probe",
        str(bundle_of("tflite")),
        "--runs",
        "10000000",
        "-o",
        str(kept),
    ]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, start_new_session=True
    )
    until = time.monotonic() + 60
    while not (children := _children(process.pid)) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(3)  # into the measuring
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"interrupted" in error
    assert b"Traceback" not in error
    report = ProbeReport.model_validate_json(kept.read_bytes())
    assert (report.complete, report.problem) == (False, "interrupted")
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_bundle_of_an_older_edgeslm_is_told(edgeslm: Edgeslm, bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    """Its device package cannot probe: the folder of it is taken out of an unpacked bundle, digests and all."""
    folder = tmp_path / "old"
    with zipfile.ZipFile(bundle_of("tflite")) as archive:
        archive.extractall(folder)
    main = folder / "edgeslm_device" / "__main__.py"
    main.write_text("import argparse\nargparse.ArgumentParser().add_subparsers().add_parser('run')\nimport sys\n"
                    "sys.exit('invalid choice: ' + repr(sys.argv[1]))\n")  # fmt: skip
    manifest = parse_manifest((folder / "manifest.json").read_bytes(), "old")
    part = FilePart(sha256=file_digest(main), bytes=main.stat().st_size)
    files = {**manifest.files, "edgeslm_device/__main__.py": part}
    (folder / "manifest.json").write_bytes(manifest.model_copy(update={"files": files}).content)
    done = edgeslm("probe", folder, "--json", cwd=tmp_path)
    assert done.status == 6
    assert "does not know this probe" in done.json["error"]["message"]
