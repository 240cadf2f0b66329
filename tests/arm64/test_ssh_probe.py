"""`edgeslm probe --via ssh://…` against OpenSSH's own server, on arm64 and on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.bundle.requirements import OLDEST_GLIBC
from edgeslm.cost.profile import load_profile
from edgeslm.errors import ConnectionLostError, DeviceError, ProbeTimeoutError, UnfitDeviceError
from edgeslm.formats.archive import open_archive
from edgeslm.probe.run import ProbeRequest
from edgeslm.probe.run import probe as run_probe
from edgeslm.probe.settings import Event, ProbeSettings
from edgeslm.probe.transports import ssh
from edgeslm.remote import connection, install
from edgeslm.remote.address import parse_address
from edgeslm.remote.login import Login
from edgeslm.remote.together import wait_for
from tests.arm64.altered import CLOCK_GOES_BACKWARDS, HANG, altered, without_wheels
from tests.arm64.conftest import BundleOf
from tests.arm64.proxy import proxy_to
from tests.arm64.sshd import PASSWORD, Device, arm64_device, host_device, problem
from tests.conftest import ROOT, Answer

pytestmark = pytest.mark.skipif(problem() is not None, reason=problem() or "")

CACHE = ".cache/edgeslm"
Probe = Callable[..., Answer]


@pytest.fixture
def probe(edgeslm: Callable[..., Answer], tmp_path: Path) -> Probe:
    """probe(bundle, device, *flags) -> the command's answer; its report lies in tmp_path/report.json."""

    def run(
        bundle: Path, device: Device, *flags: str | Path, known: bool = True, key: bool = True, **env: str
    ) -> Answer:
        home = device.user_home(tmp_path / "home", known=known)
        identity = ("--identity", device.identity) if key else ()
        where = ("--via", env.pop("via", device.address), "-o", tmp_path / "report.json", "--runs", "5")
        given = {"HOME": str(home), "SSH_AUTH_SOCK": "", **env}
        return edgeslm("probe", bundle, *where, *identity, *flags, stdin="", **given)

    return run


def report(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "report.json").read_text())


def measure(
    bundle: Path,
    device: Device,
    on_event: Callable[[Event], None] = lambda event: None,
    announce: Callable[[str], None] = lambda line: None,
    *,
    port: int | None = None,
    keep: bool = False,
    settings: ProbeSettings | None = None,
) -> None:
    """The transport itself, for what has to happen in the middle."""
    address = parse_address(f"ssh://{device.user}@127.0.0.1:{port or device.port}")
    login = Login(identity=device.identity, accept_host_keys=(device.fingerprint,))
    settings = settings or ProbeSettings(runs=3)
    wait_for(
        ssh.measure_there(
            bundle, inspect_bundle(bundle), address, settings, on_event, keep=keep, login=login, announce=announce
        )
    )


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For `measure`: nobody's own keys, settings and known hosts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def test_a_pi_behind_ssh(settled: dict[str, Answer], bundle_of: BundleOf, pi: Device) -> None:
    check_pi(settled["tflite-rpi4"], pi, bundle_of("tflite", "rpi4"), "tflite")


@pytest.mark.deep
def test_openvino_on_a_pi_behind_ssh(settled_openvino: Answer, bundle_of: BundleOf, second_pi: Device) -> None:
    """The runtime itself runs on an emulated core in test_qemu_probe.py, from the same pins."""
    check_pi(settled_openvino, second_pi, bundle_of("openvino", "rpi4"), "openvino")
    check_size(second_pi, "openvino", "aarch64")


def check_pi(answer: Answer, device: Device, bundle: Path, backend: str) -> None:
    assert answer.status == 0, answer.stderr
    told = answer.json
    assert told["complete"]
    assert told["via"] == device.address
    assert told["device"]["core"] == "cortex-a72"
    assert told["device"]["glibc"] == "2.36"
    assert told["device"]["is_target"]
    assert told["runtime"]["python"].startswith("3.11")
    assert told["emulated"]  # so there are no times: the device's own package saw it
    assert told["latency_ms"] is None
    assert [length["tokens"] for length in told["lengths"]] == [16, 32, 64]
    assert told["peak_rss_mib"] > 20
    kept = device.home / CACHE / f"probes/minilm-rpi4-{backend}-fp32/bundle"
    assert inspect_files(kept) == inspect_files(bundle, "cp312", "cp313")


def inspect_files(bundle: Path, *without: str) -> set[str]:
    with open_archive(bundle) as archive:
        return {name for name in archive.sizes if not any(f"-{tag}-" in name for tag in without)}


def test_this_machine_behind_ssh_has_latencies(settled: dict[str, Answer]) -> None:
    told = settled["tflite-linux-x86_64"].json
    assert not told["emulated"]
    assert told["latency_ms"]["runs"] == 5
    assert 0 < told["latency_ms"]["p50"] < 1000
    assert told["load_ms"] > told["reload_ms"] > 0


def test_only_what_changed_is_copied_and_what_was_kept_stays(
    settled: dict[str, Answer], bundle_of: BundleOf, box: Device, probe: Probe, tmp_path: Path
) -> None:
    changes = {"README.md": "other words", "LICENSE": None, "model/new.txt": "new"}
    bundle = altered(bundle_of("tflite", "linux-x86_64"), tmp_path / "b.edgeslm", changes)
    answer = probe(bundle, box)
    assert answer.status == 0, answer.stderr
    # The manifest itself is the third; the wheels are of no use any more, since their packages are there.
    assert "copied 3 files" in answer.stderr
    assert "packages are there already" in answer.stderr
    kept = box.home / CACHE / "probes/minilm-linux-x86_64-tflite-fp32/bundle"
    assert inspect_files(kept) == {name for name in inspect_files(bundle) if not name.startswith("wheels/")}
    assert (kept / "README.md").read_text() == "other words"


def test_a_run_without_keep_leaves_nothing(bundle_of: BundleOf, probe: Probe, tmp_path: Path) -> None:
    with host_device(tmp_path / "device") as device:
        (device.home / ".cache").mkdir()
        (device.home / ".cache/mine").write_text("not edgeslm's")
        answer = probe(bundle_of("tflite", "linux-x86_64"), device)
        assert answer.status == 0, answer.stderr
        assert "installing packages from the bundle" in answer.stderr
        assert [path.name for path in device.home.rglob("*")] == [".cache", "mine"]


def test_packages_come_from_an_index_where_the_bundle_has_none(
    bundle_of: BundleOf, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip is pointed at a folder of wheels by the device's own settings, as at piwheels on a Raspberry Pi."""
    whole = bundle_of("tflite", "linux-x86_64")
    with zipfile.ZipFile(whole) as opened:
        opened.extractall(tmp_path / "index", [name for name in opened.namelist() if name.startswith("wheels/")])
    bundle = without_wheels(whole, tmp_path / "b.edgeslm")
    with host_device(tmp_path / "device") as device:
        settings = device.home / ".config/pip"
        settings.mkdir(parents=True)
        (settings / "pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {tmp_path}/index/wheels\n")
        answer = probe(bundle, device)
        assert answer.status == 0, answer.stderr
        assert "installing packages with pip" in answer.stderr
        (settings / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/\nretries = 0\n")
        answer = probe(bundle, device, "--json", EDGESLM_CACHE=str(tmp_path / "cache"))
    assert answer.status == 6
    assert "--vendor-wheels" in answer.json["error"]["hint"]
    assert "its last lines" in answer.json["error"]["message"]
    [log] = (tmp_path / "cache/logs").glob("install-*.log")
    assert str(log) in answer.json["error"]["hint"]
    assert not (device.home / CACHE).exists()


def test_the_glibc_that_is_asked_for_is_the_wheels(bundle_of: BundleOf) -> None:
    for backend, target in (("tflite", "rpi4"), ("openvino", "rpi4"), ("tflite", "linux-x86_64")):
        manifest = inspect_bundle(bundle_of(backend, target)).manifest
        needed = []
        for name in manifest.files:
            tags = re.findall(r"manylinux_2_(\d+)_", name) + ["17" for _ in re.findall("manylinux2014", name)]
            needed += [min(map(int, tags))] if tags else []
        assert OLDEST_GLIBC[manifest.model.runtime, manifest.target.cpu.arch] == (2, max(needed))


# Getting in.


def refused(answer: Answer, kind: str = "DeviceNotFoundError", status: int = 6) -> str:
    """The error's message and hint."""
    assert answer.status == status, answer.stderr
    error = answer.json["error"]
    assert error["kind"] == kind
    assert "Traceback" not in answer.stderr
    return f"{error['message']}\n{error['hint']}"


def test_an_unknown_host_key_is_shown_and_not_trusted(
    bundle_of: BundleOf, pi: Device, probe: Probe, tmp_path: Path
) -> None:
    bundle = bundle_of("tflite", "rpi4")
    told = refused(probe(bundle, pi, "--json", known=False))
    assert f"ssh-ed25519 {pi.fingerprint}" in told
    assert f"--accept-host-key {pi.fingerprint}" in told
    wrong = "SHA256:" + "A" * 43
    told = refused(probe(bundle, pi, "--json", "--accept-host-key", wrong, known=False))
    assert pi.fingerprint in told
    assert (tmp_path / "home/.ssh/known_hosts").read_text() == ""
    told = refused(probe(bundle, pi, "--json", "--accept-host-key", "MD5:00"), "ConfigError", 2)
    assert "no fingerprint" in told


def test_a_changed_host_key_is_always_refused(bundle_of: BundleOf, pi: Device, probe: Probe, tmp_path: Path) -> None:
    other = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    assert other.returncode == 0
    kind, key = (tmp_path / "other.pub").read_text().split()[:2]
    known = tmp_path / "known hosts"
    line = f"[127.0.0.1]:{pi.port} {kind} {key}\n"
    bundle = bundle_of("tflite", "rpi4")
    for flags in ((), ("--accept-host-key", pi.fingerprint)):
        known.write_text(line)
        told = refused(probe(bundle, pi, "--json", *flags, EDGESLM_KNOWN_HOSTS=str(known)))
        assert "HAS CHANGED" in told
        assert pi.fingerprint in told
        assert f"{known}:1" in told
        assert f"ssh-keygen -f '{known}' -R '[127.0.0.1]:{pi.port}'" in told
        assert known.read_text() == line


def test_who_is_not_let_in(bundle_of: BundleOf, pi: Device, probe: Probe, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "locked", "-f", tmp_path / "locked"], check=True)
    bundle = bundle_of("tflite", "rpi4")
    told = refused(probe(bundle, pi, "--json", "--identity", tmp_path / "other", key=False))
    assert "does not let root in: no key that it knows" in told
    assert "ssh-copy-id" in told
    assert "EDGESLM_SSH_PASSWORD" in told
    told = refused(probe(bundle, pi, "--json", key=False, EDGESLM_SSH_PASSWORD="wrong"))
    assert "neither a key that it knows nor the right password" in told
    assert "wrong" not in told
    told = refused(probe(bundle, pi, "--json", "--identity", tmp_path / "locked", key=False), "ConfigError", 2)
    assert "ssh-add" in told
    told = refused(probe(bundle, pi, "--json", "--identity", bundle, key=False), "ConfigError", 2)
    assert "no private key" in told
    told = refused(probe(bundle, pi, "--json", "--identity", tmp_path / "none", key=False), "ConfigError", 2)
    assert "No such file" in told


def test_where_nothing_answers(bundle_of: BundleOf, pi: Device, probe: Probe) -> None:
    bundle = bundle_of("tflite", "rpi4")
    assert "nothing listens on port 9" in refused(probe(bundle, pi, "--json", via="ssh://127.0.0.1:9"))
    assert "no address is known" in refused(probe(bundle, pi, "--json", via="ssh://no-such-host.invalid"))
    told = refused(probe(bundle, pi, "--json", via="ssh://root:secret@127.0.0.1"), "ConfigError", 2)
    assert "secret" not in told
    with proxy_to(9) as closing:  # accepts, and goes away without a word
        assert "an SSH server?" in refused(probe(bundle, pi, "--json", via=f"ssh://127.0.0.1:{closing.port}"))


class Terminal:
    """A command under a terminal of its own, where it can ask."""

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-m", "edgeslm", *arguments], env)
        self.shown = ""

    def expect(self, words: str, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while words not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._terminal], [], [], 1)[0]:
                with contextlib.suppress(OSError):
                    self.shown += os.read(self._terminal, 65536).decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def type_unseen(self, text: str) -> None:
        """Once the terminal has stopped showing what is typed: the question is there a moment before."""
        await_that(lambda: not termios.tcgetattr(self._terminal)[3] & termios.ECHO)
        self.type(text)

    def status(self) -> int:
        """How it ended."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if select.select([self._terminal], [], [], 0.1)[0]:
                    self.shown += os.read(self._terminal, 65536).decode(errors="replace")
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(self.shown)


@contextlib.contextmanager
def asking(bundle: Path, device: Device, home: Path) -> Iterator[Terminal]:
    env = {**os.environ, "HOME": str(home), "SSH_AUTH_SOCK": "", "PYTHONPATH": str(ROOT)}
    arguments = ["probe", str(bundle), "--via", device.address, "-o", str(home / "r.json"), "--runs", "3"]
    terminal = Terminal(arguments, env)
    yield terminal


def test_a_person_is_asked_for_host_key_and_password(
    settled: dict[str, Answer], bundle_of: BundleOf, pi: Device, tmp_path: Path
) -> None:
    home = pi.user_home(tmp_path / "home", known=False)
    with asking(bundle_of("tflite", "rpi4"), pi, home) as terminal:
        terminal.expect("Is that the device's key?")
        assert pi.fingerprint in terminal.shown
        terminal.type("yes\n")
        terminal.expect("password for")
        terminal.type_unseen("wrong\n")
        terminal.expect("password for ssh://root@127.0.0.1", 30)
        terminal.shown = ""
        terminal.expect("password for")
        terminal.type_unseen(f"{PASSWORD}\n")
        terminal.expect("looking at the device")
        assert PASSWORD not in terminal.shown
        terminal.type("\x03")
        assert terminal.status() == 130
        assert "Traceback" not in terminal.shown
    assert (home / ".ssh/known_hosts").read_text() == pi.known


def test_no_and_ctrl_c_are_answers(bundle_of: BundleOf, pi: Device, tmp_path: Path) -> None:
    home = pi.user_home(tmp_path / "home", known=False)
    bundle = bundle_of("tflite", "rpi4")
    with asking(bundle, pi, home) as terminal:
        terminal.expect("Is that the device's key?")
        terminal.type("\n")
        assert terminal.status() == 6
    with asking(bundle, pi, home) as terminal:
        terminal.expect("Is that the device's key?")
        terminal.type("\x03")
        assert terminal.status() == 130
        assert "Traceback" not in terminal.shown
    assert (home / ".ssh/known_hosts").read_text() == ""


# Devices that are not what the bundle needs.


def test_a_wrong_architecture_is_found_before_anything_is_copied(
    bundle_of: BundleOf, box: Device, probe: Probe
) -> None:
    told = refused(probe(bundle_of("openvino", "rpi4"), box, "--json", "--remote-dir", "~/none"), "UnfitDeviceError")
    assert "x86_64" in told
    assert "aarch64" in told
    assert "nothing was copied" in told
    assert not (box.home / "none").exists()


def test_no_python_and_no_space_are_told_together(bundle_of: BundleOf, probe: Probe, tmp_path: Path) -> None:
    folder = tmp_path / "device"
    (tmp_path / "nothing").write_text("")
    absent = [(tmp_path / "nothing", f"/usr/bin/{name}") for name in ("python3.11", "python3")]
    mount = f"mount -t tmpfs -o size=16m none {folder}/home"
    with arm64_device(folder, binds=absent, mount=mount) as device:
        told = refused(probe(bundle_of("tflite", "rpi4"), device, "--json"), "UnfitDeviceError")
        told_x86 = refused(probe(bundle_of("tflite", "linux-x86_64"), device, "--json"), "UnfitDeviceError")
        left = list(device.mounted_home.iterdir())
    assert "it has no Python" in told
    assert "apt-get install python3 python3-venv" in told
    assert "its architecture is aarch64, and the bundle is for x86_64" in told_x86
    assert "it has no Python" in told_x86
    assert "17 MB free" in told
    assert "--remote-dir" in told
    assert left == []


def test_a_disk_that_fills_up_while_copying(bundle_of: BundleOf, own_home: Path, tmp_path: Path) -> None:
    """There is room when it is asked for; then somebody else takes it."""
    folder = tmp_path / "device"
    with arm64_device(folder, mount=f"mount -t tmpfs -o size=400m none {folder}/home") as device:
        home = device.mounted_home

        def announce(line: str) -> None:
            if line.startswith("copying"):
                with (home / "filler").open("wb") as filler, contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(1 << 20))
                free = (home / "filler").stat().st_size - (5 << 20)
                os.truncate(home / "filler", free)

        with pytest.raises(UnfitDeviceError) as raised:
            measure(bundle_of("tflite", "rpi4"), device, announce=announce)
        left = [path.name for path in home.rglob("*")]
    assert "is full" in raised.value.message
    assert "MB are free" in raised.value.message
    assert sorted(left) == [".cache", "filler"]


# What goes wrong in the middle.


def test_a_connection_lost_while_copying(
    settled: dict[str, Answer], bundle_of: BundleOf, box: Device, own_home: Path, tmp_path: Path
) -> None:
    """Only whole files are there afterwards, and the next run goes on from them."""
    filler = {f"model/{number}.bin": os.urandom(300_000) for number in range(8)}
    bundle = altered(bundle_of("tflite", "linux-x86_64"), tmp_path / "b.edgeslm", filler, name="cut")
    lines: list[str] = []
    with proxy_to(box.port) as proxy:

        def announce(line: str) -> None:
            if line.startswith("copying"):
                proxy.cut_after(1_500_000)

        with pytest.raises(ConnectionLostError) as raised:
            measure(bundle, box, announce=announce, port=proxy.port)
    assert "lost while copying" in raised.value.message
    folder = box.home / CACHE / "probes/cut-linux-x86_64-tflite-fp32"
    whole = [path for path in (folder / "bundle/model").glob("*.bin") if path.stat().st_size == 300_000]
    assert 2 <= len(whole) <= 6
    for path in whole:
        assert path.read_bytes() == filler[f"model/{path.name}"]
    events: list[Event] = []
    measure(bundle, box, events.append, lines.append)
    assert events[-1]["section"] == "end"
    [copied] = [line for line in lines if line.startswith("copied") and "already" in line]
    found = re.fullmatch(r"copied (\d+) files, .* MB; (\d+) were there already", copied)
    assert found
    assert int(found[2]) >= len(whole)
    assert not folder.exists()  # the remains of the first run went with the second


def await_that(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert reached()


def await_gone(pid: int) -> None:
    await_that(lambda: not Path(f"/proc/{pid}").exists())


def test_a_connection_lost_while_measuring(
    settled: dict[str, Answer], bundle_of: BundleOf, box: Device, own_home: Path
) -> None:
    """What was told until then was handed over; the device stops by itself."""
    events: list[Event] = []
    with proxy_to(box.port) as proxy:

        def on_event(event: Event) -> None:
            events.append(event)
            if event["section"] == "length":
                proxy.cut()

        with pytest.raises(ConnectionLostError, match="lost while measuring"):
            measure(bundle_of("tflite", "linux-x86_64"), box, on_event, port=proxy.port)
    assert [event["section"] for event in events][:3] == ["start", "device", "load"]
    await_gone(events[0]["pid"])


def test_a_link_that_falls_silent_is_noticed(
    settled: dict[str, Answer], bundle_of: BundleOf, box: Device, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_S", 0.5)
    started = 0.0
    with proxy_to(box.port) as proxy:

        def on_event(event: Event) -> None:
            nonlocal started
            if event["section"] == "device":
                started = time.monotonic()
                proxy.fall_silent()

        with pytest.raises(ConnectionLostError):
            measure(bundle_of("tflite", "linux-x86_64"), box, on_event, port=proxy.port)
    assert time.monotonic() - started < 10


def test_a_probe_that_hangs_is_ended_with_all_its_children(
    settled: dict[str, Answer],
    bundle_of: BundleOf,
    box: Device,
    own_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh, "GRACE_S", 0.0)
    files = {"edgeslm_device/probe/memory.py": HANG}
    bundle = altered(bundle_of("tflite", "linux-x86_64"), tmp_path / "b.edgeslm", files, name="hang")
    before = sleepers()
    login = Login(identity=box.identity, accept_host_keys=(box.fingerprint,))
    request = ProbeRequest(bundle, box.address, ProbeSettings(runs=3, time_limit_s=15), login=login)
    [outcome] = run_probe([request], lambda title: contextlib.nullcontext(), lambda line: None)
    assert isinstance(outcome.error, ProbeTimeoutError)
    assert "was ended" in outcome.error.message
    assert "still there" not in outcome.error.message
    assert sleepers() == before
    kept = outcome.report
    assert kept is not None
    assert not kept.complete
    assert kept.problem is not None
    assert "took longer" in kept.problem
    assert [length.tokens for length in kept.lengths] == [16, 32, 64]
    assert "memory" in kept.missing
    assert not (box.home / CACHE / "probes/hang-linux-x86_64-tflite-fp32").exists()


def sleepers() -> int:
    """Processes of this machine that sleep for a thousand seconds: HANG's child is one."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += entry.read_bytes().endswith(b"sleep\0001000\0")
    return found


def test_a_clock_that_goes_backwards(
    settled: dict[str, Answer], bundle_of: BundleOf, box: Device, probe: Probe, tmp_path: Path
) -> None:
    """The fake is on the device's own path: Python imports sitecustomize at its start."""
    files = {"sitecustomize.py": CLOCK_GOES_BACKWARDS}
    bundle = altered(bundle_of("tflite", "linux-x86_64"), tmp_path / "b.edgeslm", files, name="clock")
    answer = probe(bundle, box)
    assert answer.status == 0, answer.stderr
    told = report(tmp_path)
    for length in told["lengths"]:
        assert length["latency_ms"] is None or length["latency_ms"]["min"] > 0
        assert all(sample > 0 for sample in length["samples_ms"])
        assert len(length["samples_ms"]) < 5
    assert any("clock" in sentence for sentence in told["notes"])


def test_ctrl_c_ends_the_probe_on_the_device_and_removes_what_it_brought(
    settled: dict[str, Answer], bundle_of: BundleOf, box: Device, tmp_path: Path
) -> None:
    files = {"edgeslm_device/probe/memory.py": HANG}
    bundle = altered(bundle_of("tflite", "linux-x86_64"), tmp_path / "b.edgeslm", files, name="interrupted")
    home = box.user_home(tmp_path / "home")
    before = sleepers()
    command = [sys.executable, "-m", "edgeslm", "probe", str(bundle), "--via", box.address]
    command += ["--identity", str(box.identity), "-o", str(tmp_path / "report.json"), "--runs", "3"]
    env = {**os.environ, "HOME": str(home), "SSH_AUTH_SOCK": "", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while sleepers() == before and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert sleepers() == before
    assert not (box.home / CACHE / "probes/interrupted-linux-x86_64-tflite-fp32").exists()
    assert not report(tmp_path)["complete"]


def test_two_at_a_time_on_one_device_are_refused(
    settled: dict[str, Answer], bundle_of: BundleOf, box: Device, own_home: Path
) -> None:
    bundle = bundle_of("tflite", "linux-x86_64")
    raised: list[DeviceError] = []

    def on_event(event: Event) -> None:
        if event["section"] == "device":

            def second() -> None:
                try:
                    measure(bundle, box)
                except DeviceError as error:
                    raised.append(error)

            other = threading.Thread(target=second)
            other.start()
            other.join(60)

    measure(bundle, box, on_event, keep=True)
    [error] = raised
    assert "is busy" in error.message


def test_several_devices_at_once(
    settled: dict[str, Answer],
    bundle_of: BundleOf,
    pi: Device,
    box: Device,
    edgeslm: Callable[..., Answer],
    tmp_path: Path,
) -> None:
    """One that fails does not stop the others."""
    home = pi.user_home(tmp_path / "home")
    (home / ".ssh/known_hosts").write_text(pi.known + box.known)
    (home / ".ssh/config").write_text(
        f"Host pi\n  HostName 127.0.0.1\n  Port {pi.port}\n  User {pi.user}\n  IdentityFile {pi.identity}\n"
        f"Host box\n  HostName 127.0.0.1\n  Port {box.port}\n  IdentityFile {box.identity}\n"
    )
    bundle = tmp_path / "b.edgeslm"
    bundle.write_bytes(bundle_of("tflite", "linux-x86_64").read_bytes())
    env = {"HOME": str(home), "SSH_AUTH_SOCK": ""}
    answer = edgeslm("probe", bundle, "--via", "ssh://pi", "--via", "ssh://box", "--runs", "3", stdin="", **env)
    assert answer.status == 6
    assert "ssh://pi" in answer.stdout
    assert "ssh://box" in answer.stdout
    assert "its architecture is aarch64" in answer.stderr
    [kept] = tmp_path.glob("b*.probe-*.json")
    assert json.loads(kept.read_text())["device"]["machine"] == "x86_64"


def test_a_damaged_environment_is_made_anew(
    settled: dict[str, Answer], bundle_of: BundleOf, box: Device, probe: Probe
) -> None:
    """One whose Python is gone, as after an upgrade of the device's system, and the remains of a killed install."""
    [environment] = (box.home / CACHE / "venvs").iterdir()
    (environment / "bin/python").unlink()
    (environment.with_name(f"{environment.name}.new") / "tmp").mkdir(parents=True)
    answer = probe(bundle_of("tflite", "linux-x86_64"), box, "--keep")
    assert answer.status == 0, answer.stderr
    assert "installing packages" in answer.stderr
    assert list((box.home / CACHE / "venvs").iterdir()) == [environment]


def test_what_is_installed_fits_what_was_foretold(settled: dict[str, Answer], pi: Device, box: Device) -> None:
    check_size(pi, "ai-edge-litert", "aarch64")
    check_size(box, "ai-edge-litert", "x86_64")


def check_size(device: Device, runtime: str, arch: str) -> None:
    [environment] = (device.home / CACHE / "venvs").iterdir()
    told = subprocess.run(["du", "-sk", environment], capture_output=True, text=True, check=True).stdout
    assert 0.8 < int(told.split()[0]) * 1024 / install.INSTALLED_BYTES[runtime, arch] <= 1.0


@pytest.mark.deep
def test_a_device_behind_ssh_gives_a_target_profile(
    edgeslm: Callable[..., Answer], box: Device, tmp_path: Path
) -> None:
    """Kernels go the way of a bundle: copied, measured, removed."""
    path = tmp_path / "box.toml"
    flags = ("--identity", box.identity, "--rounds", "3", "-o", path)
    env = {"HOME": str(box.user_home(tmp_path / "home")), "SSH_AUTH_SOCK": ""}
    done = edgeslm(
        "profile-target", "--target", "linux-x86_64", "--via", box.address, *flags, "--vendor-wheels", stdin="", **env
    )
    assert done.status == 0, done.stderr
    profile = load_profile(path)
    assert (profile.unit, profile.measured) == ("ms", True)
    assert "384 × 384" in done.stdout
