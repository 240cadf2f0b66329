"""The command line and environment that run a Python program on an emulated core."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeslm.emulator.plugin import find_qemu
from edgeslm.emulator.userland import Userland


def emulated_python(
    userland: Userland,
    core: str,
    arguments: Sequence[str],
    *,
    path: Sequence[Path],
    env: Mapping[str, str],
    plugin: str | None = None,
) -> tuple[list[str], dict[str, str]]:
    """(command, whole environment) for `python3 arguments` with the folders or zip files of `path` to import from.

    The same arguments give the same counts: addresses are not randomized, and hashes are seeded.
    """
    root = userland.root(core)
    surroundings = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    surroundings |= {
        "QEMU_LD_PREFIX": str(root),
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "LANG": "C.UTF-8",
        # Never the developer's own settings and caches.
        "HOME": str(root / "home"),
    }
    setarch = shutil.which("setarch")
    command = [setarch, "-R"] if setarch else []
    command += [str(find_qemu()), "-cpu", core]
    command += ["-plugin", plugin] if plugin else []
    command += [str(root / "usr/bin" / f"python{userland.python}"), *arguments]
    return command, {**surroundings, **env}
