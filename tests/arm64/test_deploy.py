"""`edgeslm deploy` against OpenSSH's own server: releases, the way back, several devices, the service."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.deploy import Deployed
from edgeslm.remote.service import unit_text
from tests.arm64.altered import altered
from tests.arm64.conftest import BundleOf
from tests.arm64.sshd import Device, host_device, kept_folder, problem
from tests.conftest import ROOT, Answer

pytestmark = pytest.mark.skipif(problem() is not None, reason=problem() or "")

DEPLOYED = ".local/share/edgeslm"
MODEL = f"{DEPLOYED}/models/minilm"
TEXT = "the small house"
Deploy = Callable[..., Answer]

# A fake systemctl: it notes what it is asked, starts what the unit says, and fails where told to.
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/systemctl.log"
[ ! -e "$HOME/no-bus" ] || { echo "Failed to connect to bus" >&2; exit 1; }
"""


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """This machine; deployments add up on it, as on a real device."""
    pytest.importorskip("asyncssh")
    with host_device(tmp_path_factory.mktemp("deploy") / "d") as opened:
        yield opened


@pytest.fixture
def deploy(edgeslm: Callable[..., Answer], tmp_path: Path) -> Deploy:
    """deploy(bundle, device, *flags) -> the command's answer."""

    def run(bundle: Path, device: Device, *flags: str | Path) -> Answer:
        home = device.user_home(tmp_path / "home")
        env = {"HOME": str(home), "SSH_AUTH_SOCK": ""}
        return edgeslm("deploy", bundle, device.address, "--identity", device.identity, *flags, stdin="", **env)

    return run


def releases(device: Device) -> set[str]:
    return {path.name for path in (device.home / MODEL / "releases").iterdir()}


def current(device: Device) -> str:
    return os.readlink(device.home / MODEL / "current").removeprefix("releases/")


def digest(bundle: Path) -> str:
    return inspect_bundle(bundle).digest[:16]


def answers(device: Device) -> Any:
    """What the device's user gets from the current release."""
    program = device.home / MODEL / "current/edgeslm-device"
    done = subprocess.run(
        [program, "run", "--json", "--text", TEXT],
        env={"HOME": str(device.home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)["results"]


def entry(answer: Answer) -> Deployed:
    assert answer.status == 0, answer.stderr
    [one] = answer.json["deployed"]
    return Deployed.model_validate(one)


@pytest.fixture(scope="module")
def versions(bundle_of: BundleOf, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four versions of a model, which differ in a few words."""
    bundle, folder = bundle_of("tflite", "linux-x86_64"), tmp_path_factory.mktemp("versions")
    later = [altered(bundle, folder / f"{n}.edgeslm", {"MODEL_CARD.md": f"version {n}"}) for n in (2, 3, 4)]
    return [bundle, *later]


@pytest.fixture
def deployed(deploy: Deploy, device: Device, versions: list[Path]) -> Answer:
    """The first version is the current one, whatever other tests left."""
    return deploy(versions[0], device, "--json")


def test_a_bundle_is_deployed_and_runs(
    deployed: Answer, device: Device, versions: list[Path], edgeslm: Callable[..., Answer]
) -> None:
    one = entry(deployed)
    assert one.device == device.address
    assert one.current == str(device.home / MODEL / "current")
    assert current(device) == digest(versions[0])
    here = edgeslm("run", versions[0], "--text", TEXT, "--json").json["results"][0]
    assert answers(device)[0]["embedding"] == pytest.approx(here["embedding"], abs=1e-6)
    assert not (device.home / MODEL / "current/bundle/wheels").exists()
    assert not (device.home / ".cache/edgeslm-device").exists()  # what it caches lies with it


def test_the_next_version_copies_what_changed_and_the_last_but_one_goes(
    deployed: Answer, deploy: Deploy, device: Device, versions: list[Path]
) -> None:
    whole = sum(part.bytes for part in inspect_bundle(versions[1]).manifest.files.values())
    for earlier, version in ((0, 1), (1, 2)):
        one = entry(deploy(versions[version], device, "--json"))
        assert not one.was_current
        assert one.copied_bytes is not None
        assert one.copied_bytes < whole / 100
        assert current(device) == digest(versions[version])
        assert releases(device) == {digest(versions[earlier]), digest(versions[version])}
        card = device.home / MODEL / f"releases/{digest(versions[earlier])}/bundle/MODEL_CARD.md"
        assert f"version {version + 1}" not in card.read_text()  # a link to the same file was not written into
    assert one.pruned == (digest(versions[0]),)
    back = entry(deploy(versions[1], device, "--json"))
    assert back.copied_bytes == 0
    assert current(device) == digest(versions[1])
    again = entry(deploy(versions[1], device, "--json"))
    assert again.was_current
    assert releases(device) == {digest(versions[1]), digest(versions[2])}
    assert answers(device)


def test_a_bundle_that_does_not_run_there_does_not_become_current(
    deployed: Answer, deploy: Deploy, device: Device, versions: list[Path], tmp_path: Path
) -> None:
    broken = altered(versions[0], tmp_path / "b.edgeslm", {"edgeslm_device/runner.py": "raise ImportError('broken')"})
    before = releases(device)
    answer = deploy(broken, device, "--json")
    assert answer.status == 6
    error = answer.json["error"]
    assert error["kind"] == "DeviceError"
    assert "does not run there" in error["message"]
    assert "ImportError: broken" in error["message"]
    assert "what was current stays so" in error["hint"]
    assert current(device) == digest(versions[0])
    assert releases(device) == before
    assert answers(device)


def test_the_file_of_a_release_that_rotted_is_mended(
    deployed: Answer, deploy: Deploy, device: Device, versions: list[Path]
) -> None:
    model = device.home / MODEL / "current/bundle/model/model.tflite"
    content = model.read_bytes()
    model.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    one = entry(deploy(versions[0], device, "--json"))
    assert one.copied_bytes == len(content)
    assert model.read_bytes() == content


def test_ctrl_c_switches_nothing_and_the_same_command_goes_on(
    deployed: Answer, deploy: Deploy, device: Device, versions: list[Path], tmp_path: Path
) -> None:
    filler = {f"model/{number}.bin": os.urandom(4 << 20) for number in range(12)}
    bundle = altered(versions[0], tmp_path / "large.edgeslm", filler)
    home = device.user_home(tmp_path / "home")
    command = [
        sys.executable,
        "-m",
        "edgeslm",
        "deploy",
        str(bundle),
        device.address,
        "--identity",
        str(device.identity),
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, "HOME": str(home), "SSH_AUTH_SOCK": "", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "copied" not in (line := process.stderr.readline()):
        assert line, "it ended before anything was copied"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "goes on from there" in stderr
    assert current(device) == digest(versions[0])
    whole = {name for name, content in filler.items() if arrived(device, bundle, name) == content}
    assert 0 < len(whole) < len(filler)
    one = entry(deploy(bundle, device, "--json"))
    assert one.copied_bytes is not None
    assert one.copied_bytes < (len(filler) - len(whole) + 1) * (4 << 20)
    assert current(device) == digest(bundle)
    assert releases(device) == {digest(versions[0]), digest(bundle)}


def arrived(device: Device, bundle: Path, name: str) -> bytes | None:
    """What there is of a file in a release that is not complete."""
    path = device.home / MODEL / f"releases/{digest(bundle)}.new/bundle/{name}"
    return path.read_bytes() if path.exists() else None


def test_several_devices_at_once_and_one_fails(
    deployed: Answer, deploy: Deploy, device: Device, versions: list[Path]
) -> None:
    answer = deploy(versions[0], device, "ssh://127.0.0.1:9")
    assert answer.status == 6
    lines = answer.stdout.splitlines()
    assert lines[0].split() == ["device", "release", "Python", "copied"]
    assert lines[1].split()[:2] == [device.address, digest(versions[0])]
    assert "was current already" in lines[1]
    assert lines[2].endswith("FAILED")
    assert "nothing listens on port 9" in answer.stderr
    assert "edgeslm-device run" in answer.stderr
    told = deploy(versions[0], device, "ssh://127.0.0.1:9", "--json")
    assert told.status == 6
    assert [bool(one["error"]) for one in told.json["deployed"]] == [False, True]
    assert "ssh enabled" in told.json["deployed"][1]["hint"]


def test_features_are_installed_with_a_release(deploy: Deploy, device: Device, versions: list[Path]) -> None:
    assert entry(deploy(versions[0], device, "--with", "serve", "--json")).current is not None
    python = device.home / MODEL / "current/venv/bin/python"
    found = subprocess.run([python, "-c", "import uvicorn, numpy"], capture_output=True, text=True, check=False)
    assert found.stderr == ""
    assert answers(device)
    for flags, status, told in (
        (("--with", "nothing"), 2, "there is no feature 'nothing' hint: known: constrain, serve"),
        (("--with", "constrain"), 3, "has no requirements-constrain.txt"),
    ):
        refused = deploy(versions[0], device, *flags)
        assert refused.status == status
        assert told in " ".join(refused.stderr.split())


def test_a_device_named_twice_is_a_mistake(deploy: Deploy, device: Device, versions: list[Path]) -> None:
    answer = deploy(versions[0], device, device.address, "--json")
    assert answer.status == 2
    assert "more than once" in answer.json["error"]["message"]


def test_a_plain_module_is_opened_for_its_check_and_has_no_service(
    deploy: Deploy, device: Device, edgeslm: Callable[..., Answer], tmp_path: Path
) -> None:
    (tmp_path / "plain.py").write_text(
        "import torch\n\ndef make():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Linear(4, 2), {'input': torch.zeros(1, 4)}\n"
    )
    options = ("--target", "linux-x86_64", "--backend", "tflite", "--scheme", "fp32", "--vendor-wheels", "--json")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    env = {"PYTHONPATH": path, "EDGESLM_CACHE": str(kept_folder() / "ssh-builds")}
    built = edgeslm("build", *options, "--model", "plain:make", "-o", tmp_path, **env)
    assert built.status == 0, built.stderr
    bundle = Path(built.json["bundle"])
    refused = deploy(bundle, device, "--systemd", "--json")
    assert refused.status == 3
    assert "plain module" in refused.json["error"]["message"]
    one = entry(deploy(bundle, device, "--json"))
    assert one.current is not None
    assert Path(one.current, "edgeslm-device").exists()
    broken = altered(bundle, tmp_path / "broken.edgeslm", {"model/model.tflite": b"no model"})
    answer = deploy(broken, device, "--json")
    assert answer.status == 6
    assert "does not run there" in answer.json["error"]["message"]


@pytest.fixture
def systemctl(device: Device) -> Iterator[Path]:
    """The fake, first on the device's PATH: its log."""
    tools = device.folder / "bin"
    (tools / "systemctl").write_text(SYSTEMCTL)
    (tools / "systemctl").chmod(0o755)
    log = device.home / "systemctl.log"
    log.unlink(missing_ok=True)
    yield log
    (tools / "systemctl").unlink()
    (device.home / "no-bus").unlink(missing_ok=True)


def test_the_service_of_a_deployed_bundle(
    deployed: Answer, deploy: Deploy, device: Device, versions: list[Path], systemctl: Path, tmp_path: Path
) -> None:
    """systemd itself is a fake here; the unit is checked by systemd's own words, and what it starts is started."""
    one = entry(deploy(versions[0], device, "--systemd", "--json"))
    assert one.service == "edgeslm-minilm.service"
    assert one.socket is not None
    assert one.socket.endswith("/edgeslm-minilm.sock")
    assert systemctl.read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable edgeslm-minilm.service",
        "--user restart edgeslm-minilm.service",
    ]
    unit = device.home / ".config/systemd/user/edgeslm-minilm.service"
    if shutil.which("systemd-analyze"):
        verified = subprocess.run(
            ["systemd-analyze", "verify", "--user", unit],
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert verified.returncode == 0, verified.stderr
        assert str(unit) not in verified.stderr
    [start] = [line for line in unit.read_text().splitlines() if line.startswith("ExecStart=")]
    command = shlex.split(start.removeprefix("ExecStart=").replace("%t", str(tmp_path)))
    place = command[-1]
    process = subprocess.Popen(command, env={"HOME": str(device.home), "PATH": "/usr/bin:/bin"})
    try:
        with socket.socket(socket.AF_UNIX) as caller:
            deadline = time.monotonic() + 60
            while not Path(place).exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            caller.connect(place)
            caller.sendall(f"{TEXT}\n".encode())
            with caller.makefile("rb") as stream:
                assert json.loads(stream.readline()) == answers(device)[0]
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_a_service_that_does_not_start_leaves_the_bundle_deployed(
    deployed: Answer, deploy: Deploy, device: Device, versions: list[Path], systemctl: Path
) -> None:
    (device.home / "no-bus").touch()
    answer = deploy(versions[1], device, "--systemd", "--json")
    assert answer.status == 6
    message = answer.json["error"]["message"]
    assert "Failed to connect to bus" in message
    assert "the bundle itself is deployed, and runs" in message
    assert "enable-linger" in answer.json["error"]["hint"]
    assert current(device) == digest(versions[1])
    table = deploy(versions[1], device, "ssh://127.0.0.1:9", "--systemd")
    assert table.status == 6
    assert "service FAILED" in table.stdout


@pytest.mark.parametrize("sandbox", [True, False])
def test_systemd_understands_the_unit_whatever_the_folder_is_called(
    bundle_of: BundleOf, tmp_path: Path, sandbox: bool
) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("apt-get install systemd   (to check the unit)")
    folder = tmp_path / 'a $HOME "b" 100% c'
    folder.mkdir()
    (folder / "edgeslm-device").write_text("#!/bin/sh\n")
    (folder / "edgeslm-device").chmod(0o755)
    manifest = inspect_bundle(bundle_of("tflite", "linux-x86_64")).manifest
    unit = tmp_path / "edgeslm-x.service"
    unit.write_text(unit_text(str(folder), "x", manifest, sandbox=sandbox))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", unit],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(unit) not in done.stderr


def test_a_pi_without_systemd_gets_the_bundle_and_is_told(
    settled: dict[str, Answer], bundle_of: BundleOf, pi: Device, deploy: Deploy
) -> None:
    """Into the probes' folder: packages that are there already serve a deployment, too."""
    bundle = bundle_of("tflite", "rpi4")
    answer = deploy(bundle, pi, "--remote-dir", "~/.cache/edgeslm", "--systemd", "--json")
    assert answer.status == 6
    assert "has no systemctl" in answer.json["error"]["message"]
    assert "the bundle itself is deployed" in answer.json["error"]["message"]
    assert "checking itself" in answer.stderr
    assert os.readlink(pi.home / ".cache/edgeslm/models/minilm/current") == f"releases/{digest(bundle)}"
