"""What the tests of devices behind SSH share: bundles that bring their packages, and devices.

The bundles' stages and wheels are kept from one test run to the next, beside the devices' system: both are named by
what they are made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgeslm.api import build
from edgeslm.backends import load_backend
from tests.arm64.sshd import Device, arm64_device, host_device, host_problem, kept_folder, problem
from tests.conftest import Answer

BundleOf = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def bundle_of(checkpoint_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> BundleOf:
    """bundle_of(backend, target) -> a small model's bundle with its wheels; not to be changed."""
    made: dict[tuple[str, str], Path] = {}

    def make(backend: str, target: str) -> Path:
        if (backend, target) not in made:
            missing = load_backend(backend).missing()
            if missing:
                pytest.skip(f"{backend}: {missing}")
            out = tmp_path_factory.mktemp(f"{backend}-{target}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("EDGESLM_CACHE", str(kept_folder() / "ssh-builds"))
                model = str(checkpoint_of("minilm"))
                report = build(target, model, scheme="fp32", backend=backend, vendor_wheels=True, out=out)
            made[backend, target] = report.bundle.path
        return made[backend, target]

    return make


@pytest.fixture(scope="session")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """An emulated Raspberry Pi 4 for all tests: whoever needs a clean one makes it."""
    pytest.importorskip("asyncssh")
    if problem():
        pytest.skip(problem() or "")
    with arm64_device(tmp_path_factory.mktemp("pi") / "d") as device:
        yield device


@pytest.fixture(scope="session")
def second_pi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """Another one, for the other runtime."""
    pytest.importorskip("asyncssh")
    if problem():
        pytest.skip(problem() or "")
    with arm64_device(tmp_path_factory.mktemp("second") / "d") as device:
        yield device


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """This machine as a device: nothing in it is emulated."""
    pytest.importorskip("asyncssh")
    if host_problem():
        pytest.skip(host_problem() or "")
    with host_device(tmp_path_factory.mktemp("box") / "d") as device:
        yield device


Settle = Callable[[Device, str, str], Answer]


@pytest.fixture(scope="session")
def settle(bundle_of: BundleOf, edgeslm: Callable[..., Answer], tmp_path_factory: pytest.TempPathFactory) -> Settle:
    """settle(device, backend, target) -> the answer of a probe there that keeps everything."""

    def run(device: Device, backend: str, target: str) -> Answer:
        folder = tmp_path_factory.mktemp("settled")
        flags = ("--identity", device.identity, "--keep", "--runs", "5", "-o", folder / "report.json", "--json")
        env = {"HOME": str(device.user_home(folder / "home")), "SSH_AUTH_SOCK": ""}
        return edgeslm("probe", bundle_of(backend, target), "--via", device.address, *flags, stdin="", **env)

    return run


@pytest.fixture(scope="session")
def settled(settle: Settle, bundle_of: BundleOf, pi: Device, box: Device) -> dict[str, Answer]:
    """LiteRT probed on a Pi and on this machine, everything kept: later tests install nothing."""
    wanted = ((pi, "tflite", "rpi4"), (box, "tflite", "linux-x86_64"))
    for _, backend, target in wanted:
        bundle_of(backend, target)
    with ThreadPoolExecutor() as pool:
        works = {f"{one[1]}-{one[2]}": pool.submit(settle, *one) for one in wanted}
        return {name: work.result() for name, work in works.items()}


@pytest.fixture(scope="session")
def settled_openvino(settle: Settle, second_pi: Device) -> Answer:
    """OpenVINO on a Pi of its own."""
    return settle(second_pi, "openvino", "rpi4")
