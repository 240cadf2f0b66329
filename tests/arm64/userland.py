"""The emulated device for tests: the product's own userland, and packages of runtimes that no bundle pins together."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeslm.bundle.requirements import pip_platform_flags
from edgeslm.data_folder import alone, data_folder
from edgeslm.digest import json_digest
from edgeslm.emulator.command import emulated_python
from edgeslm.emulator.userland import INSTALL, debian_userland

PYTHON = "3.11"
SITES: dict[str, tuple[str, ...]] = {
    "litert": ("numpy==2.4.6", "tokenizers==0.23.3", "ai-edge-litert==2.3.0", "ml_dtypes==0.6.0"),
    "openvino": ("numpy==2.4.6", "tokenizers==0.23.3", "openvino==2026.4.1"),
    "tflite": ("numpy==1.26.4", "tokenizers==0.23.3", "tflite-runtime==2.14.0"),
}
IMPORTS = {
    "litert": "ai_edge_litert.compiled_model, ai_edge_litert.interpreter",
    "openvino": "openvino",
    "tflite": "tflite_runtime.interpreter",
}


def problem() -> str | None:
    """What keeps bundles from being run as on an arm64 device here, with the line that helps; None where nothing."""
    absent = [package for tool, package in INSTALL.items() if shutil.which(tool) is None]
    return f"apt-get install {' '.join(absent)}   (to run bundles as an arm64 device does)" if absent else None


@functools.cache
def site_folder(name: str) -> Path:
    """The folder with the packages of SITES[name], installed where they are not there yet."""
    place = data_folder() / f"test-site-{name}-{json_digest([SITES[name], PYTHON])[:16]}"
    with alone(place):
        if not place.is_dir():
            with tempfile.TemporaryDirectory(prefix=".test-site-", dir=place.parent) as work:
                command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                command += ["--no-deps", "--target", f"{work}/site", *pip_platform_flags("aarch64", PYTHON)]
                command += ["--platform", "manylinux_2_34_aarch64"]  # tflite_runtime's only one
                _call([*command, *SITES[name]], None, 900)
                Path(work, "site").rename(place)
    return place


def run_python(
    core: str,
    arguments: Sequence[str],
    *,
    site: str,
    env: Mapping[str, str] | None = None,
    path: Sequence[Path] = (),
    plugin: str | None = None,
    timeout_s: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run the arm64 Python with `arguments` on a `core`, with the packages of `site` and the folders of `path`.

    Raises RuntimeError with the last lines where the status is not 0.
    """
    command, surroundings = emulated_python(
        debian_userland(), core, arguments, path=[*path, site_folder(site)], env=env or {}, plugin=plugin
    )
    return _call(command, surroundings, timeout_s)


def _call(command: Sequence[str], env: Mapping[str, str] | None, timeout_s: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise RuntimeError(f"{' '.join(command)[:300]} ended with status {done.returncode}:\n{tail}")
    return done
