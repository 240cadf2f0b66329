"""The Python packages a bundle wants, put into a folder for the emulated device's Python.

pip runs here and not on the emulated device, where it would take minutes; the wheels are the device's own, and every
one is checked against the SHA-256 that the bundle pins.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from edgeslm.bundle.requirements import pip_platform_flags
from edgeslm.cache import explain_full_disk
from edgeslm.data_folder import alone, data_folder
from edgeslm.formats.archive import Archive
from edgeslm.toolchain import run_tool

REQUIREMENTS = "requirements.txt"
MAX_BYTES = 1 << 20
WHEELS = "wheels/"


def install_site(bundle: Archive, arch: str, python: str, otherwise: bytes | None = None) -> Path:
    """The folder with the bundle's packages for `python` ("3.11") on `arch`; kept for the next probe.

    Wheels that lie in the bundle are taken from there, without network; a bundle that pins nothing gets the
    requirements `otherwise`. Raises ToolFailedError with pip's last lines.
    """
    if otherwise is None or REQUIREMENTS in bundle.sizes:
        requirements = bundle.read(REQUIREMENTS, MAX_BYTES)
    else:
        requirements = otherwise
    key = hashlib.sha256(requirements + f"{arch} {python}".encode()).hexdigest()[:16]
    place = data_folder() / f"site-{key}"
    with explain_full_disk(place), alone(place):
        if place.is_dir():
            return place
        work = Path(tempfile.mkdtemp(prefix=".site-", dir=place.parent))
        try:
            log = data_folder() / "logs" / "site.log"
            (work / REQUIREMENTS).write_bytes(requirements)
            command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"]
            command += ["--no-compile", "--require-hashes", "-r", str(work / REQUIREMENTS)]
            command += [*pip_platform_flags(arch, python), "--target", str(work / "site"), *_offline(bundle, work)]
            run_tool(command, log, hint=f"--vendor-wheels at build time needs no network here; the whole log: {log}")
            (work / "site").rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return place


def _offline(bundle: Archive, work: Path) -> list[str]:
    """pip's flags for the wheels in the bundle, unpacked; none where there are none."""
    wheels = [name for name in bundle.sizes if name.startswith(WHEELS)]
    if not wheels:
        return []
    (work / WHEELS).mkdir()
    for name in wheels:
        with (work / WHEELS / Path(name).name).open("wb") as sink:
            for chunk in bundle.chunks(name):
                sink.write(chunk)
    return ["--no-index", "--find-links", str(work / WHEELS)]
