"""The userland of an arm64 device: Debian bookworm, which is what 64-bit Raspberry Pi OS 12 is.

mmdebstrap unpacks some thirty packages without running any of their scripts: it needs neither root nor binfmt_misc,
takes ten seconds and 85 MB, and is done once. A user's own root file system (--rootfs) serves as well.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeslm.cache import explain_full_disk
from edgeslm.data_folder import alone, data_folder
from edgeslm.digest import json_digest
from edgeslm.emulator import cores
from edgeslm.errors import ConfigError, UnsupportedError
from edgeslm.toolchain import find_tool, run_tool

SUITE = "bookworm"
PACKAGES = ("python3", "libstdc++6")
LAYOUT = 3
"""Counts up when the folders are laid out differently."""
PYTHONS = ("3.11", "3.12", "3.13")
INSTALL = {"qemu-aarch64": "qemu-user", "mmdebstrap": "mmdebstrap"}
"""Executable -> Debian package."""


@dataclass(frozen=True)
class Userland:
    """`system` is a root file system; `folder` holds a root for each emulated core beside it."""

    folder: Path
    system: Path

    @property
    def python(self) -> str:
        """The version of its Python, as in 3.11. Raises ConfigError where it has none that a bundle takes."""
        found = [version for version in PYTHONS if (self.system / "usr/bin" / f"python{version}").exists()]
        if not found:
            raise ConfigError(
                f"{self.system} has no Python {PYTHONS[0]} to {PYTHONS[-1]} in usr/bin",
                "--rootfs takes the root file system of an arm64 Linux with python3 installed",
            )
        return found[0]

    def root(self, core: str) -> Path:
        """The root that shows this core; made on first use. Raises UnsupportedError for a core we have not."""
        if core not in cores.MAIN_ID:
            raise UnsupportedError(f"{core} cannot be emulated", f"emulated cores: {', '.join(cores.MAIN_ID)}")
        place = self.folder / f"root-{core}"
        with explain_full_disk(self.folder), alone(place):
            if not place.is_dir():
                work = Path(tempfile.mkdtemp(prefix=".root-", dir=self.folder))
                try:
                    cores.lay_root(work / core, core, self.system)
                    (work / core).rename(place)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
        return place


def debian_userland() -> Userland:
    """Ours, made where it is not there yet. Raises MissingToolError, ToolFailedError, StorageError."""
    recipe = [SUITE, PACKAGES, cores.MAIN_ID, cores.CPU_FEATURES, cores.CPUS, cores.BOARD, LAYOUT]
    place = data_folder() / f"arm64-{json_digest(recipe)[:16]}"
    with explain_full_disk(place), alone(place):
        if not place.is_dir():
            mmdebstrap = find_tool("mmdebstrap", f"apt-get install {INSTALL['mmdebstrap']}, or --rootfs DIR")
            work = Path(tempfile.mkdtemp(prefix=".arm64-", dir=place.parent))
            try:
                log = data_folder() / "logs" / "userland.log"
                command = [str(mmdebstrap), "--mode=chrootless", "--variant=extract", "--architectures=arm64"]
                command += [f"--include={','.join(PACKAGES)}", SUITE, str(work / "debian")]
                run_tool(command, log, hint=f"it needs the network and Debian's keyring; the whole log is in {log}")
                work.chmod(0o755)
                work.rename(place)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return Userland(place, place / "debian")


def given_userland(rootfs: Path) -> Userland:
    """A user's own root file system, which is read and not written. Raises ConfigError where it is none."""
    if not (rootfs / "usr/bin").is_dir():
        raise ConfigError(f"{rootfs} is no root file system: it has no usr/bin", "--rootfs DIR names its top folder")
    system = rootfs.resolve()
    userland = Userland(data_folder() / f"rootfs-{json_digest(str(system))[:16]}", system)
    executable = system / "usr/bin" / f"python{userland.python}"
    header = executable.resolve().read_bytes()[:20]
    if not re.match(rb"\x7fELF\x02\x01.{12}\xb7\x00", header, re.DOTALL):  # 64 bits, little-endian, EM_AARCH64
        raise ConfigError(f"{executable} is no arm64 program", "--rootfs takes the root file system of an arm64 Linux")
    userland.folder.mkdir(parents=True, exist_ok=True)
    return userland
