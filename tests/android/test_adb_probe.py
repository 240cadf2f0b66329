"""`edgeslm probe --via adb`: Debian's adb client, a fake phone behind a loopback adbd, and one real arm64 process.

No test here measures a phone. What runs in the fake phone is emulated or made up, and says so in its report.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeslm.api import inspect
from edgeslm.backends.tflite.kernel_file import write_kernels
from edgeslm.emulator.userland import Userland
from edgeslm.errors import DeviceError, EdgeslmError
from edgeslm.formats.parcel import Parcel, open_parcel, write_tar
from edgeslm.probe import pushed
from edgeslm.probe.kernel_run import KernelRequest, measure_kernels
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.run import Outcome, ProbeRequest, probe
from edgeslm.probe.settings import AdbMode, OnEvent, ProbeSettings, on_line
from edgeslm.probe.transports import adb as transport
from edgeslm.target import load_target
from tests.android.adb_bundles import tiny_bundle
from tests.android.adb_phone import APP, Phone, adb_server, app_that_writes, phone, problem
from tests.android.adbd import Faults
from tests.arm64.userland import problem as emulator_problem
from tests.conftest import Answer
from tests.unit.tiny_build import tiny_build

pytestmark = pytest.mark.skipif(problem() is not None, reason=problem() or "")

START = {
    "section": "start",
    "protocol": 1,
    "pid": 1,
    "pgid": 1,
    "python": None,
    "emulated": False,
    "runs": 3,
    "threads": 2,
}
CONDITION = {
    "clock_mhz": 2000.0, "governor": "schedutil", "temperature_c": 30.0, "throttle_events": None,
    "load_average": None, "memory_available_mib": 3000.0,
}  # fmt: skip
DEVICE = {
    "section": "device", "machine": "aarch64", "cpu": None, "core": "cortex-a76", "cores": 8, "board": None,
    "virtual": None, "clock_max_mhz": 2400.0, "memory_mib": 8000.0, "system": None, "kernel": "6.1", "glibc": None,
    "condition": CONDITION,
}  # fmt: skip
LOAD = {
    "section": "load", "runtime": "LiteRT", "runtime_version": None, "reference_tokens": 16, "load_ms": 30.0,
    "first_run_ms": 4.0,
}  # fmt: skip
LENGTH = {
    "section": "length", "tokens": 16, "warm_up_runs": 3, "samples_ms": [2.0, 2.5, 3.0], "discarded": 0,
    "counted_runs": 0,
}  # fmt: skip
REST = [
    {"section": "throughput", "batch": 1, "batches": 4, "texts_per_s": 300.0, "tokens_per_s": None},
    {"section": "memory", "rss": 1 << 26, "peak_rss": 1 << 27, "private": 1 << 25},
    {"section": "energy", "measured": False, "why_not": "a fake phone takes none"},
    {
        "section": "after",
        "condition": CONDITION,
        "throttled": False,
        "reload_ms": 9.0,
        "clock_backwards": 0,
    },
    {"section": "profile", "tokens": 16, "signature": None, "runs": 0, "operators": [], "why_not": "a fake has none"},
    {"section": "end", "wall_clock_stepped_s": 0.0},
]
EVENTS: list[Mapping[str, Any]] = [START, DEVICE, LOAD, LENGTH, *REST]
"""Of a fake app. Its times are made up."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with adb_server(tmp_path_factory.mktemp("adb")) as env, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", env["ANDROID_ADB_SERVER_PORT"])
        for name in ("ANDROID_SERIAL", "EDGESLM_ADB"):
            patch.delenv(name, raising=False)
        yield env


@pytest.fixture
def fake_phone(server: dict[str, str], tmp_path: Path) -> Iterator[Phone]:
    with phone(tmp_path / "phone", server) as made:
        yield made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def app_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a build for apps writes it, so far as a probe looks at it."""
    return tiny_bundle(tmp_path_factory.mktemp("bundle"), "android-arm64")


StandIn = Callable[[str], None]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    """stand_in(script): parcels of a few bytes, whose "Python" is this shell script."""

    def make(script: str) -> None:
        def parcel(name: str, members: Mapping[str, bytes | Path]) -> Parcel:
            path = tmp_path / f"{name}.tar"
            write_tar(path, members)
            return open_parcel(path, name)

        python = f"#!/system/bin/sh\n# A stand-in for Python, for tests.\n{script}\n".encode()
        made = {
            "python": parcel("python", {"lib/ld-linux-aarch64.so.1": python}),
            "packages": parcel("packages", {"numpy/core.so": os.urandom(1 << 20)}),
        }
        monkeypatch.setattr(pushed, "debian_userland", lambda: _AnyUserland(tmp_path, tmp_path))
        monkeypatch.setattr(pushed, "install_site", lambda *_: tmp_path)
        monkeypatch.setattr(pushed, "python_parcel", lambda _: made["python"])
        monkeypatch.setattr(pushed, "packages_parcel", lambda *_: made["packages"])

    return make


class _AnyUserland(Userland):
    @property
    def python(self) -> str:
        return "3.11"


def says(*events: Mapping[str, Any]) -> str:
    return "\n".join(f"echo '{json.dumps(event)}'" for event in events)


def ask(bundle: Path, via: str = "adb", mode: AdbMode = "auto", limit: float = 60, *, keep: bool = False) -> Outcome:
    settings = ProbeSettings(runs=3, lengths=(16,), time_limit_s=limit)
    request = ProbeRequest(bundle, via, settings, keep=keep, adb_mode=mode)
    (outcome,) = probe([request], lambda title: nullcontext(), lambda line: None)
    return outcome


def error_of(outcome: Outcome) -> EdgeslmError:
    assert outcome.error is not None, outcome.report
    return outcome.error


def report_of(outcome: Outcome) -> ProbeReport:
    assert outcome.error is None, outcome.error
    assert outcome.report is not None
    return outcome.report


def model_digest(bundle: Path) -> str:
    manifest = inspect(bundle).manifest
    return manifest.files[manifest.model.files[0]].sha256


def times(report: ProbeReport) -> list[Any]:
    found = [report.latency_ms, report.load_ms, report.reload_ms, report.first_run_ms, report.tokens_per_s]
    return [value for value in [*found, *report.throughput, *(part.latency_ms for part in report.lengths)] if value]


@pytest.mark.skipif(emulator_problem() is not None, reason=emulator_problem() or "")
def test_the_pushed_way_really_runs_on_arm64_and_shows_no_times(
    edgeslm: Callable[..., Answer], fake_phone: Phone, bundle: Path, tmp_path: Path
) -> None:
    """Everything is real but the phone: adb, the parcels, the shell, and an arm64 Python by its own loader."""
    server = {name: fake_phone.env[name] for name in ("ANDROID_ADB_SERVER_PORT",)}
    done = edgeslm("probe", bundle, "--via", "adb", "--length", "4", "--json", "-o", tmp_path / "r.json", **server)
    assert done.status == 0, done.stderr
    report = ProbeReport.model_validate_json(done.stdout)
    assert (report.complete, report.missing, report.emulated) == (True, (), True)
    assert (report.device.machine, report.device.core) == ("aarch64", "cortex-a76")
    assert report.device.is_target is False  # the core of a Raspberry Pi 5, and no Raspberry Pi 5
    assert report.device.system == "Android 14 (API 34)"
    assert report.runtime.name == "ai-edge-litert"
    assert report.device.glibc == "2.36"
    assert [part.tokens for part in report.lengths] == [4]
    assert times(report) == []
    assert report.android is not None
    assert (report.android.mode, report.android.title, report.android.sdk) == ("pushed", "Fake Phone", 34)
    assert any("is an emulator" in sentence for sentence in report.notes)
    assert any(sentence.startswith("pushed mode: ") for sentence in report.notes)
    assert [Path(path).name.partition("-")[0] for path in fake_phone.adbd.pushed] == ["python", "packages", "bundle"]
    assert all(path.endswith(".tar.part") for path in fake_phone.adbd.pushed)
    assert not fake_phone.base.exists()
    fake_phone.await_quiet()


def test_the_app_measures_where_it_holds_the_model(fake_phone: Phone, app_bundle: Path) -> None:
    digest = model_digest(app_bundle)
    fake_phone.install(
        {"other": "0" * 64, "int8": digest},
        app_that_writes([START, DEVICE, {**LOAD, "model_sha256": digest}, LENGTH, *REST]),
    )
    report = report_of(ask(app_bundle, f"adb:{fake_phone.serial}"))
    assert report.complete
    assert report.android is not None
    assert report.android.mode == "app"
    assert report.latency_ms is not None
    assert report.latency_ms.p50 == 2.5
    assert (report.device.board, report.device.system) == ("Fake Phone", "Android 14 (API 34)")
    assert report.device.is_target
    asked = (fake_phone.root / "apps" / APP / "asked").read_text().splitlines()
    assert {"model=int8", "runs=3", "threads=2", "lengths=16", "time_limit=60"} < set(asked)
    (pulled,) = set(fake_phone.adbd.pulled)
    assert pulled.startswith(f"/sdcard/Android/data/{APP}/files/probe-")
    assert not list(fake_phone.root.glob(f"sdcard/Android/data/{APP}/files/*"))  # nothing left behind
    assert not (fake_phone.root / "apps" / APP / "running").exists()
    assert fake_phone.adbd.pushed == []


def test_an_emulator_s_times_are_no_phone_s(fake_phone: Phone, app_bundle: Path) -> None:
    """Android's emulator may not know that it is one: adb tells, and what the app timed is not shown."""
    fake_phone.install({"int8": model_digest(app_bundle)}, app_that_writes(EVENTS))
    assert times(report_of(ask(app_bundle)))
    fake_phone.set(ro__kernel__qemu="1")
    report = report_of(ask(app_bundle))
    assert (report.emulated, report.complete, times(report)) == (True, True, [])
    assert report.android is not None
    assert report.android.emulator


def test_an_app_of_another_model_is_not_measured(fake_phone: Phone, app_bundle: Path, stand_in: StandIn) -> None:
    fake_phone.install({"int8": "ab" * 32}, app_that_writes(EVENTS))
    error = error_of(ask(app_bundle, mode="app"))
    assert "holds another model: int8 (abababababab)" in error.message
    assert model_digest(app_bundle)[:12] in error.message
    stand_in(says(*EVENTS))
    report = report_of(ask(app_bundle))
    assert report.android is not None
    assert report.android.mode == "pushed"
    assert any("holds another model" in sentence for sentence in report.notes)


def test_an_app_that_lies_about_its_model_is_refused(fake_phone: Phone, app_bundle: Path) -> None:
    told: list[Mapping[str, Any]] = [START, DEVICE, {**LOAD, "model_sha256": "cd" * 32}, LENGTH, *REST]
    fake_phone.install({"int8": model_digest(app_bundle)}, app_that_writes(told))
    assert "the app ran another model (cdcdcdcdcdcd)" in error_of(ask(app_bundle)).message


def test_no_app(fake_phone: Phone, app_bundle: Path) -> None:
    error = error_of(ask(app_bundle, mode="app"))
    assert f"{APP} is not installed" in error.message
    fake_phone.install(
        {"int8": model_digest(app_bundle)}, "echo 'Error type 3'; echo 'Error: Activity class does not exist.'"
    )
    assert "could not be started: Error type 3" in error_of(ask(app_bundle, mode="app")).message


def test_an_app_that_crashes_leaves_what_it_measured(fake_phone: Phone, app_bundle: Path) -> None:
    digest = model_digest(app_bundle)
    fake_phone.install({"int8": digest}, app_that_writes(EVENTS[:4], crashes=True))
    outcome = ask(app_bundle)
    error = error_of(outcome)
    assert (error.exit_code, error.message) == (6, f"adb:{fake_phone.serial}: the app ended before its probe did")
    assert outcome.report is not None
    assert not outcome.report.complete
    assert outcome.report.latency_ms is not None


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        ("the asset is not what it was", "DeviceError", "the app gave up: the asset is not what it was"),
        ("the probe did not end within 60 s and was stopped", "ProbeTimeoutError", "did not end within 60 s"),
    ],
)
def test_an_app_that_gives_up_says_why(
    fake_phone: Phone, app_bundle: Path, message: str, kind: str, words: str
) -> None:
    told: list[Mapping[str, Any]] = [START, {"section": "error", "message": message, "hint": "install it again"}]
    fake_phone.install({"int8": model_digest(app_bundle)}, app_that_writes(told))
    error = error_of(ask(app_bundle))
    assert error.kind == kind
    assert words in error.message
    assert error.hint


def test_an_app_that_hangs_is_stopped(fake_phone: Phone, app_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "GRACE_S", 0.0)
    fake_phone.install({"int8": model_digest(app_bundle)}, app_that_writes(EVENTS[:3]))
    outcome = ask(app_bundle, limit=2)
    assert error_of(outcome).kind == "ProbeTimeoutError"
    assert not (fake_phone.root / "apps" / APP / "running").exists()
    fake_phone.await_quiet()


def test_what_is_kept_is_not_copied_again(fake_phone: Phone, bundle: Path, stand_in: StandIn) -> None:
    stand_in(says(*EVENTS))
    assert report_of(ask(bundle, keep=True)).complete
    assert len(fake_phone.adbd.pushed) == 3
    kept = {path.name for path in fake_phone.base.iterdir()}
    assert {name.partition("-")[0] for name in kept} == {"python", "packages", "bundle"}
    (fake_phone.base / "python-0000.tar.part").write_bytes(b"half")  # as a cable that was pulled leaves it
    (fake_phone.base / "run-0000").mkdir()
    assert report_of(ask(bundle)).complete
    assert len(fake_phone.adbd.pushed) == 3
    assert {path.name for path in fake_phone.base.iterdir()} == kept


def test_kernels_are_measured_on_a_phone_and_nothing_is_left_there(
    fake_phone: Phone, stand_in: StandIn, tmp_path: Path
) -> None:
    """Of `edgeslm profile-target --via adb`; the phone's times are made up."""
    kernels = write_kernels(tmp_path / "kernels.tflite", small=True, repeat=True)
    told = [
        {"section": "kernel", "signature": one.signature, "runs": 0, "operators": [], "samples_ms": [0.5, 0.25, 1.0]}
        for one in kernels
    ]
    there = '[ -f "$8/model/kernels.json" ] && [ -f "$8/model/kernels.tflite" ] || exit 3'
    stand_in(f'case "$*" in *--kernels*) ;; *) exit 4 ;; esac\n{there}\n{says(START, DEVICE, *told)}')
    request = KernelRequest(load_target("rpi5"), f"adb:{fake_phone.serial}", rounds=3, small=True)
    points = measure_kernels(request, lambda title: nullcontext())
    assert (points.unit, points.device, points.emulated) == ("ms", "Fake Phone", False)
    assert len(points.points) == sum(bool(one.calls) for one in kernels)
    assert not fake_phone.base.exists()
    with pytest.raises(DeviceError, match="the device has a cortex-a76, and rpi4 is described with a cortex-a72"):
        measure_kernels(replace(request, target=load_target("rpi4")), lambda title: nullcontext())
    # Another phone of the class: its cores are its own.
    phones = measure_kernels(replace(request, target=load_target("android-arm64")), lambda title: nullcontext())
    assert phones.points
    fake_phone.set(ro__kernel__qemu="1")
    with pytest.raises(DeviceError, match="the device is emulated, so it has no times to tell"):
        measure_kernels(request, lambda title: nullcontext())


def test_ctrl_c_ends_what_runs_there(
    fake_phone: Phone, bundle: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(f"trap '' HUP TERM\n{says(START, DEVICE)}\nsleep 600 & sleep 600")

    def with_a_hand(on_event: OnEvent) -> Callable[[str], None]:
        def take(line: str) -> None:
            on_line(on_event)(line)
            if '"device"' in line:
                os.kill(os.getpid(), signal.SIGINT)

        return take

    monkeypatch.setattr(pushed, "on_line", with_a_hand)
    outcome = ask(bundle)
    assert outcome.interrupted
    assert outcome.report is not None
    assert outcome.report.problem == "interrupted"
    fake_phone.await_quiet()
    assert not list(fake_phone.base.rglob("*")), fake_phone.adbd.commands[-3:]


def test_a_probe_that_hangs_is_ended_with_all_it_started(
    fake_phone: Phone, bundle: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushed, "GRACE_S", 0.0)
    stand_in(f"trap '' HUP TERM\n{says(START)}\nsleep 600 & sleep 600")
    error = error_of(ask(bundle, limit=3))
    assert error.kind == "ProbeTimeoutError"
    assert "still there" not in error.message
    fake_phone.await_quiet()


def test_a_device_package_that_gives_up(fake_phone: Phone, bundle: Path, stand_in: StandIn) -> None:
    stand_in("echo 'error: tiny has no length of 9 tokens -> its lengths are 4, 8, 16' >&2; exit 2")
    error = error_of(ask(bundle))
    assert "tiny has no length of 9 tokens" in error.message
    assert error.hint == "its lengths are 4, 8, 16"
    stand_in("kill -s KILL $$")
    assert "ended by signal 9" in error_of(ask(bundle)).message


@pytest.mark.parametrize(
    ("faults", "kind", "words"),
    [
        (Faults(full_after=300_000), "UnfitDeviceError", "is full"),
        (Faults(lose_after=300_000), "ConnectionLostError", "was lost while copying packages"),
        (Faults(lose_at='"device"'), "ConnectionLostError", "was lost while measuring"),
        (Faults(damage=True), "DeviceError", "its digest is"),
    ],
    ids=["full", "lost while copying", "lost while measuring", "damaged"],
)
def test_what_goes_wrong_midway(
    fake_phone: Phone, bundle: Path, stand_in: StandIn, faults: Faults, kind: str, words: str
) -> None:
    stand_in(says(*EVENTS))
    fake_phone.adbd.faults = faults
    outcome = ask(bundle)
    error = error_of(outcome)
    assert (error.kind, error.exit_code) == (kind, 6)
    assert words in error.message
    if kind != "ConnectionLostError":
        assert not fake_phone.base.exists()
        return
    assert "offline" in error.message
    whole = [path.name for path in fake_phone.base.iterdir() if not path.name.endswith(".part")]
    assert not any(name.startswith("packages") for name in whole) or faults.lose_at
    # The same command again, with the cable firm: what is there is taken, what is half is not.
    fake_phone.adbd.faults = Faults()
    fake_phone.disconnect()
    fake_phone.connect()
    assert report_of(ask(bundle)).complete
    assert not fake_phone.base.exists()


def test_devices_that_cannot_take_it(fake_phone: Phone, bundle: Path, stand_in: StandIn) -> None:
    stand_in(says(*EVENTS))
    fake_phone.set(abilist="x86_64,x86", sdk="21")
    error = error_of(ask(bundle))
    assert (error.kind, error.exit_code) == ("UnfitDeviceError", 6)
    assert "it runs x86_64, x86, and the bundle is for arm64-v8a" in error.message
    assert "API level 21 (Android 14), and 26 is the least" in error.message
    fake_phone.set(abilist="arm64-v8a", sdk="34")
    df = fake_phone.root / "system/bin/df"
    df.unlink()
    df.write_text(
        "#!/system/bin/sh\n# A fake, for tests.\necho 'x 1K-blocks Used Available Use%'\necho 'd 9 9 999 99% /data'\n"
    )
    df.chmod(0o755)
    error = error_of(ask(bundle))
    assert error.kind == "UnfitDeviceError"
    assert "has 1 MB free, and 7" in error.message
    assert fake_phone.adbd.pushed == []


def test_bundles_that_cannot_be_pushed(fake_phone: Phone, tmp_path: Path) -> None:
    openvino = tiny_build(tmp_path / "o", "openvino", "rpi5").write(tmp_path / "out").path
    error = error_of(ask(openvino))
    assert (error.kind, error.exit_code) == ("UnsupportedError", 3)
    fake_phone.set(abilist="x86_64")
    there = tiny_bundle(tmp_path / "x", "android-x86_64")
    assert "is for arm64-v8a alone" in error_of(ask(there)).message


def test_a_device_that_lets_nobody_in(server: dict[str, str], tmp_path: Path, bundle: Path) -> None:
    assert "adb sees no device" in error_of(ask(bundle)).message
    with phone(tmp_path / "one", server) as one:
        one.disconnect()
        one.adbd.faults.unauthorized = True
        one.connect()
        error = error_of(ask(bundle))
        assert (error.kind, error.exit_code) == ("DeviceNotFoundError", 6)
        assert "does not know this machine's key (adb: unauthorized)" in error.message
        assert error.hint is not None
        assert "Allow USB debugging" in error.hint
        one.disconnect()
        one.adbd.faults.unauthorized = False
        one.connect()
        one.adbd.drop()
        assert "is offline" in error_of(ask(bundle)).message


def test_several_devices_and_no_serial(
    fake_phone: Phone, server: dict[str, str], tmp_path: Path, app_bundle: Path
) -> None:
    with phone(tmp_path / "two", server) as other:
        error = error_of(ask(app_bundle))
        assert (error.kind, error.exit_code) == ("ConfigError", 2)
        assert fake_phone.serial in error.message
        assert other.serial in error.message
        assert "adb sees no device nobody; it sees " in error_of(ask(app_bundle, "adb:nobody")).message
        other.install({"int8": model_digest(app_bundle)}, app_that_writes(EVENTS))
        assert report_of(ask(app_bundle, f"adb:{other.serial}")).complete
        assert fake_phone.adbd.commands == []


def test_no_adb(edgeslm: Callable[..., Answer], bundle: Path, tmp_path: Path) -> None:
    done = edgeslm("probe", bundle, "--via", "adb", "--json", cwd=tmp_path, EDGESLM_ADB=str(tmp_path / "adb"))
    assert (done.status, done.json["error"]["kind"]) == (5, "MissingToolError")
    assert "EDGESLM_ADB names" in done.json["error"]["message"]
    assert "apt-get install adb" in done.json["error"]["hint"]


def test_ways_that_do_not_fit(bundle: Path, app_bundle: Path) -> None:
    with pytest.raises(EdgeslmError, match="was built for apps") as refused:
        ask(app_bundle, "local")
    assert refused.value.exit_code == 3
    with pytest.raises(EdgeslmError, match="goes with --via adb"):
        ask(bundle, "local", mode="app")
