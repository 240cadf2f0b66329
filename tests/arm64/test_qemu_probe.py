"""`edgeslm probe --via qemu`: the bundle on an emulated core, counted and never timed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeslm.api import build
from edgeslm.backends import load_backend
from edgeslm.emulator.counts import read_counts
from edgeslm.emulator.plugin import build_plugin, find_qemu
from edgeslm.emulator.userland import debian_userland
from edgeslm.probe.measured import latency_part
from edgeslm.probe.report import ProbeReport
from tests.arm64.userland import problem, run_python
from tests.conftest import ROOT, Answer

Edgeslm = Callable[..., Answer]
STORIES = Path(__file__).resolve().parents[3] / "shared/models/stories260k"
pytestmark = pytest.mark.skipif(problem() is not None, reason=problem() or "")


@pytest.fixture(scope="module")
def bundle_of(checkpoint_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def make(backend: str) -> Path:
        missing = load_backend(backend).missing()
        if missing:
            pytest.skip(f"{backend}: {missing}")
        if backend not in made:
            made[backend] = int8_of(str(checkpoint_of("minilm")), backend, tmp_path_factory.mktemp("bundles"))
        return made[backend]

    return make


def int8_of(model: str, backend: str, out: Path) -> Path:
    return build("rpi4", model, scheme="int8", backend=backend, allow_below_gate=True, out=out).bundle.path


def probe(edgeslm: Edgeslm, bundle: Path, kept: Path, *options: str | Path, **env: str) -> ProbeReport:
    done = edgeslm("probe", bundle, "--via", "qemu", "--length", "16", *options, "-o", kept, "--json", **env)
    assert done.status == 0, done.stderr
    report = ProbeReport.model_validate_json(done.stdout)
    assert ProbeReport.model_validate_json(kept.read_bytes()) == report
    return report


def per_inference(report: ProbeReport) -> float:
    assert report.instructions is not None
    return report.instructions.per_inference


def times(value: Any, path: str = "") -> list[str]:
    """Where in a report something has a name of a time and a value."""
    if isinstance(value, dict):
        return [found for name, part in value.items() for found in times(part, f"{path}.{name}")]
    if isinstance(value, (list, tuple)):
        return [found for part in value for found in times(part, path)]
    name = path.rsplit(".", 1)[-1]
    is_time = name == "ms" or name.endswith("_ms") or "_per_s" in name or path.startswith(".latency")
    return [path] if is_time and value not in (None, [], ()) else []


@pytest.fixture(scope="module")
def counted(
    edgeslm: Edgeslm, bundle_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ProbeReport]:
    """counted(backend) -> the small model's report for three lengths, of one probe."""
    made: dict[str, ProbeReport] = {}

    def make(backend: str) -> ProbeReport:
        if backend not in made:
            place = tmp_path_factory.mktemp("counted") / "r.json"
            made[backend] = probe(edgeslm, bundle_of(backend), place, "--length", "32", "--length", "64")
        return made[backend]

    return make


def shortest(report: ProbeReport) -> float:
    """Instructions of 16 tokens."""
    part = report.lengths[0]
    assert part.tokens == 16
    assert part.instructions is not None
    return part.instructions.per_inference


@pytest.mark.parametrize("backend", ["tflite", "openvino"])
def test_instructions_and_no_times(counted: Callable[[str], ProbeReport], backend: str) -> None:
    report = counted(backend)
    assert (report.complete, report.emulated, report.via) == (True, True, "qemu")
    assert (report.device.machine, report.device.core) == ("aarch64", "cortex-a72")
    assert times(report.model_dump()) == []
    assert report.throughput == ()
    assert report.instructions is not None
    assert report.instructions.per_token == pytest.approx(per_inference(report) / 64)
    for part in report.lengths:
        assert part.instructions is not None
        assert part.instructions.spread < 0.005  # so small a model that Python's share of it shows
    # The weights of two layers of MiniLM's shape, 16 tokens: some instructions each, not thousands.
    assert 1e5 < shortest(report) < 1e9
    assert report.peak_rss_mib is not None
    assert 20 < report.peak_rss_mib < 400
    assert any("times of the device are not known" in note for note in report.notes)


@pytest.mark.parametrize(
    ("backend", "tolerance"),
    [
        ("tflite", 0.001),
        # OpenVINO's threads wake each other: some thousand instructions, which only so small a model shows.
        pytest.param("openvino", 0.01, marks=pytest.mark.deep),
    ],
)
def test_a_second_probe_counts_the_same(
    edgeslm: Edgeslm,
    bundle_of: Callable[[str], Path],
    counted: Callable[[str], ProbeReport],
    backend: str,
    tolerance: float,
    tmp_path: Path,
) -> None:
    again = probe(edgeslm, bundle_of(backend), tmp_path / "again.json")
    assert per_inference(again) == shortest(again)
    assert per_inference(again) == pytest.approx(shortest(counted(backend)), rel=tolerance)


def test_instructions_go_to_the_checkpoint_s_layers(counted: Callable[[str], ProbeReport]) -> None:
    report = counted("tflite")
    profile = report.profile
    assert profile is not None
    assert all(operator.ms is None and operator.instructions is not None for operator in profile.operators)
    layers = {layer.layer: layer.instructions or 0 for layer in profile.layers}
    query, key = (
        sum(count for layer, count in layers.items() if layer.endswith(f"0.attention.self.{name}"))
        for name in ("query", "key")
    )
    assert query == pytest.approx(key, rel=0.1)  # the same shape
    assert query > 0
    assert profile.covered is not None
    assert 0.5 < profile.covered < 1.1  # so small a model: the rest is Python's and the runtime's own
    assert sum(layers.values()) == pytest.approx(per_inference(report) * profile.covered)


def test_a_real_model_s_count_is_the_same_each_time(edgeslm: Edgeslm, tmp_path: Path) -> None:
    missing = load_backend("tflite").missing()
    if missing:
        pytest.skip(f"tflite: {missing}")
    built = edgeslm("build", "--target", "rpi4", "--backend", "tflite", "--scheme", "int8", "-o", tmp_path, "--json")
    assert built.status == 0, built.stderr
    report = probe(edgeslm, Path(built.json["bundle"]), tmp_path / "r.json")
    assert report.instructions is not None
    assert report.instructions.spread < 0.001
    # docs/measurements.md has 223.1 million for 64 tokens; attention apart, a quarter of the tokens takes a quarter.
    assert 50e6 < per_inference(report) < 60e6
    assert report.profile is not None
    assert report.profile.covered is not None
    assert 0.97 < report.profile.covered < 1.05
    shares = {layer.layer: layer.share for layer in report.profile.layers}
    assert shares["encoder.layer.0.intermediate.dense"] == pytest.approx(
        shares["encoder.layer.5.intermediate.dense"], rel=0.01
    )


def test_milliseconds_are_foretold_from_a_calibration_only(
    edgeslm: Edgeslm, bundle_of: Callable[[str], Path], counted: Callable[[str], ProbeReport], tmp_path: Path
) -> None:
    """The board's own report is a fake here: a Raspberry Pi 4 that takes a tenth of a nanosecond an instruction."""
    report = counted("tflite")
    assert report.estimate is None
    (tmp_path / "counted.json").write_text(report.model_dump_json())
    lengths = tuple(
        part.model_copy(
            update={"latency_ms": latency_part([part.instructions.per_inference * 1e-7]), "instructions": None}
        )
        for part in report.lengths
        if part.instructions is not None
    )
    device = report.device.model_copy(update={"board": "a fake Raspberry Pi 4"})
    measured = report.model_copy(update={"emulated": False, "lengths": lengths, "device": device})
    (tmp_path / "measured.json").write_text(measured.model_dump_json())
    options = ("--calibration", tmp_path / "counted.json", "--calibration", tmp_path / "measured.json")
    shown = edgeslm(
        "probe", bundle_of("tflite"), "--via", "qemu", "--length", "16", *options, "-o", tmp_path / "r.json"
    )
    assert "Predicted for a fake Raspberry Pi 4 from 3 measured and counted lengths" in shown.stdout, shown.stderr
    foretold = ProbeReport.model_validate_json((tmp_path / "r.json").read_bytes())
    assert foretold.estimate is not None
    assert (foretold.estimate.points, foretold.estimate.board) == (3, "a fake Raspberry Pi 4")
    assert foretold.estimate.lengths[0].ms == pytest.approx(per_inference(foretold) * 1e-7, rel=0.01)
    assert foretold.estimate.error < 0.01
    assert foretold.latency_ms is None
    half = ("--via", "qemu", "--length", "16", "--calibration", tmp_path / "counted.json", "--json")
    refused = edgeslm("probe", bundle_of("tflite"), *half, "-o", tmp_path / "half.json")
    assert refused.status == 2
    assert "has 0 measured and counted lengths" in refused.json["error"]["message"]


@pytest.mark.skipif(not STORIES.is_dir(), reason=f"needs {STORIES}")
def test_a_language_model_s_instructions_per_token(edgeslm: Edgeslm, tmp_path: Path) -> None:
    missing = load_backend("tflite").missing()
    if missing:
        pytest.skip(f"tflite: {missing}")
    kept = tmp_path / "r.json"
    bundle = int8_of(str(STORIES), "tflite", tmp_path)
    done = edgeslm("probe", bundle, "--via", "qemu", "--length", "32", "-o", kept, "--json")
    assert done.status == 0, done.stderr
    report = ProbeReport.model_validate_json(done.stdout)
    assert (report.complete, report.missing, report.lengths) == (True, (), ())
    assert times({name: part for name, part in report.model_dump().items() if name != "bundle"}) == []
    assert (report.ttft_ms, report.tokens_per_s) == (None, None)
    assert report.instructions is not None
    assert report.instructions.spread < 0.001
    per_token = report.instructions.per_token
    assert per_token is not None
    assert 2e5 < per_token < 2e6  # a quarter of a million weights, and Python's loop
    spoken = report.language
    assert spoken is not None
    assert [part.tokens for part in spoken.decode] == [32]
    (prompt,) = spoken.prompts
    assert prompt.instructions is not None
    assert prompt.instructions.per_token is not None
    assert prompt.instructions.per_token < per_token  # a chunk is cheaper than steps
    assert report.profile is not None  # the runtime's own share; the rest is the loop's
    assert report.profile.covered is not None
    assert 0.3 < report.profile.covered < 1
    products = {" ".join(layer.layer.split()[:2]) for layer in report.profile.layers[:2]}
    assert products == {"Fully Connected", "Batch Matrix"}


def test_a_newer_core_in_a_root_file_system_of_one_s_own(
    edgeslm: Edgeslm, bundle_of: Callable[[str], Path], counted: Callable[[str], ProbeReport], tmp_path: Path
) -> None:
    ours = debian_userland().system
    options = ("--core", "cortex-a76", "--rootfs", ours)
    a76 = probe(edgeslm, bundle_of("tflite"), tmp_path / "a76.json", *options)
    assert a76.emulated
    assert a76.device.core == "cortex-a76"
    assert a76.device.is_target is False
    assert per_inference(a76) < shortest(counted("tflite"))  # it has dot products


def test_what_is_no_root_file_system(edgeslm: Edgeslm, bundle_of: Callable[[str], Path], tmp_path: Path) -> None:
    wrong = edgeslm("probe", bundle_of("tflite"), "--via", "qemu", "--rootfs", "/", "--json", cwd=tmp_path)
    assert wrong.status == 2
    assert "is no arm64 program" in wrong.json["error"]["message"]
    empty = edgeslm("probe", bundle_of("tflite"), "--via", "qemu", "--rootfs", tmp_path, "--json", cwd=tmp_path)
    assert empty.status == 2
    assert "has no usr/bin" in empty.json["error"]["message"]


@pytest.mark.parametrize(
    ("absent", "hint"), [("qemu-aarch64", "qemu-user"), ("mmdebstrap", "mmdebstrap"), ("cc", "gcc")]
)
def test_a_missing_tool_is_named(
    edgeslm: Edgeslm, bundle_of: Callable[[str], Path], absent: str, hint: str, tmp_path: Path
) -> None:
    """On a PATH that holds everything else, and with nothing made yet."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if tool.name not in {absent, "gcc", "clang"}:
            (tools / tool.name).symlink_to(tool)
    done = edgeslm(
        "probe",
        bundle_of("tflite"),
        "--via",
        "qemu",
        "--json",
        cwd=tmp_path,
        PATH=str(tools),
        EDGESLM_DATA=str(tmp_path / "data"),
    )
    assert (done.status, done.json["error"]["kind"]) == (5, "MissingToolError")
    assert hint in done.json["error"]["hint"]
    doctor = edgeslm("doctor", "--json", PATH=str(tools)).json["found"]
    assert next(found["problem"] for found in doctor if found["name"] == absent) is not None


def test_everything_is_made_without_privileges(tmp_path: Path) -> None:
    """The userland, the plugin and a run, by a process that could not mount, change owners or make devices."""
    code = (
        "from edgeslm.emulator.userland import debian_userland\n"
        "from edgeslm.emulator.plugin import build_plugin, find_qemu\n"
        "from edgeslm.emulator.command import emulated_python\n"
        "import subprocess\n"
        "program = 'import os, platform; os.getppid(); os.getppid(); print(platform.machine())'\n"
        "plugin = f'{build_plugin(find_qemu())},counts=counts'\n"
        "userland, arguments = debian_userland(), ['-c', program]\n"
        "command, env = emulated_python(userland, 'cortex-a72', arguments, path=[], env={}, plugin=plugin)\n"
        "print(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)\n"
    )
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*without, sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "EDGESLM_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "aarch64"
    assert read_counts(tmp_path / "counts").overhead > 0


def test_both_interfaces_of_the_plugin_count_the_same(tmp_path: Path) -> None:
    """That of QEMU 9 and later calls back at each block; QEMU 7.2 has it too."""
    program = (
        "import os; os.getppid(); os.getppid()\nfor n in (100, 200): os.getppid(); sum(range(n * 1000)); os.getppid()"
    )
    found = []
    for interface in (1, 2):
        plugin = build_plugin(find_qemu(), interface)
        if interface == 2:
            # It declares a version that QEMU 7.2 does not know: the declaration alone is changed.
            plugin = _declaring_version_1(plugin, tmp_path)
        counts = tmp_path / f"counts-{interface}"
        run_python("cortex-a72", ["-c", program], site="litert", plugin=f"{plugin},counts={counts}")
        found.append(read_counts(counts))
    for one, other in zip(found[0].runs, found[1].runs, strict=True):
        assert sum(one) == pytest.approx(sum(other), rel=0.001)
    first, second = (sum(run) for run in found[0].runs)
    assert second == pytest.approx(2 * first, rel=0.05)


def _declaring_version_1(plugin: Path, folder: Path) -> Path:
    source = ROOT / "edgeslm" / "emulator" / "instructions.c"
    text = source.read_text().replace("qemu_plugin_version = PLUGIN_VERSION", "qemu_plugin_version = 1")
    (folder / "copy.c").write_text(text)
    made = folder / plugin.name
    command = ["cc", "-std=c11", "-O2", "-fvisibility=hidden", "-DPLUGIN_VERSION=2", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(made), str(folder / "copy.c")], check=True)
    return made
