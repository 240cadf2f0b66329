"""The wheels that a bundle brings for its device: which of them its pins ask for, and how they are unpacked there.

pip would take longer to start on a small board than the wheels take to unpack, and has nothing to decide: every package
is pinned by its SHA-256, and the build fetched the wheels for each Python with pip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edgeslm.errors import BundleError
from edgeslm.remote.copying import suits_python

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

UNPACK = """
import sys, sysconfig, zipfile
place = sysconfig.get_path("platlib")
for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as wheel:
        if any(name.partition("/")[0].endswith(".data") for name in wheel.namelist()):
            sys.exit(path + " has files for other places than site-packages")
        wheel.extractall(place)
"""
"""For the environment's own Python: unpack the wheels that are its arguments."""


def pinned_wheels(requirements: Sequence[str], digests: Mapping[str, str], python: str) -> list[str]:
    """The members that hold what the requirements pin for a Python ("3.11"); `digests` is member -> SHA-256.

    Raises BundleError that names the package whose wheel is not there.
    """
    wheels: dict[str, str] = {}
    for line in "\n".join(requirements).replace("\\\n", " ").splitlines():
        package, equals, _ = line.partition("==")
        if not equals or package.startswith("#"):
            continue
        pinned = set(_HASH.findall(line))
        found = [
            name
            for name, digest in digests.items()
            if name.startswith("wheels/") and digest in pinned and suits_python(name, python)
        ]
        if not found:
            raise BundleError(
                f"the bundle brings no wheel of {package} for Python {python}, which its requirements pin",
                "edgeslm build … --vendor-wheels makes it with all of them",
            )
        wheels[package] = max(found, key=lambda name: f"-cp{python.replace('.', '')}-" in name)
    return list(wheels.values())
