"""An arm64 Debian bookworm userland, which is what 64-bit Raspberry Pi OS is, and its Python under qemu-aarch64.

Made once and kept under the digest of its recipe in the user's cache folder (EDGESLM_TEST_ROOTFS moves it). Packages
are unpacked by mmdebstrap without running any of their scripts; wheels are put in from this machine, one folder for
each runtime as nobody has all three on a device. Programs find the userland through QEMU_LD_PREFIX: no chroot, no
mounts, no root.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from edgeslm.digest import json_digest

SUITE = "bookworm"
PACKAGES = ("python3", "libstdc++6")
PYTHON = "3.11"

# A wheel's platform tag names the oldest glibc it runs on; bookworm has 2.36.
GLIBC_MINORS = (36, 35, 34, 31, 28, 27, 26, 24, 17)
PLATFORMS = (*(f"manylinux_2_{minor}_aarch64" for minor in GLIBC_MINORS), "manylinux2014_aarch64")

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

# The main ID register of each core, as on a Raspberry Pi 3, 4 and 5: 0x41 is Arm, then variant, part and revision.
MAIN_ID = {"cortex-a53": 0x410FD034, "cortex-a72": 0x410FD083, "cortex-a76": 0x414FD0B1}
CPU_FEATURES = {
    "cortex-a53": "fp asimd evtstrm crc32 cpuid",
    "cortex-a72": "fp asimd evtstrm crc32 cpuid",
    "cortex-a76": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
}
CPUS = 4
LAYOUT = 2  # counts up when the folders are laid out differently
BOARD = "Raspberry Pi 4 Model B Rev 1.4"


@dataclass(frozen=True)
class Userland:
    """A finished userland: `root` holds Debian, one root for each core, and `site-<name>` the wheels."""

    folder: Path

    def root(self, core: str) -> Path:
        return self.folder / f"root-{core}"

    def site(self, name: str) -> Path:
        return self.folder / f"site-{name}"


def problem() -> str | None:
    """What keeps the userland from being made or run here, with the line that helps; None where nothing does."""
    tools = {"qemu-aarch64": "qemu-user", "mmdebstrap": "mmdebstrap"}
    absent = [package for tool, package in tools.items() if shutil.which(tool) is None]
    return f"apt-get install {' '.join(absent)}   (to run bundles as an arm64 device does)" if absent else None


@functools.cache
def make_userland() -> Userland:
    """The userland, made where it is not there yet (about half a minute, with network).

    Raises RuntimeError with the failed command's own last lines.
    """
    override = os.environ.get("EDGESLM_TEST_ROOTFS")
    cache = Path(override) if override else Path(platformdirs.user_cache_dir("edgeslm-tests"))
    recipe = [SUITE, PACKAGES, PLATFORMS, SITES, MAIN_ID, CPU_FEATURES, CPUS, BOARD, LAYOUT]
    place = cache / f"arm64-{json_digest(recipe)[:16]}"
    if not place.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".arm64-", dir=cache))
        try:
            _fill(Userland(work))
            # Two makers at once: the first one's userland is as good as the second's.
            if not place.is_dir():
                work.rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return Userland(place)


def run_python(
    core: str,
    arguments: Sequence[str],
    *,
    site: str,
    env: Mapping[str, str] | None = None,
    path: Sequence[Path] = (),
    qemu: Sequence[str] = (),
    timeout_s: float = 300,
    userland: Userland | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the arm64 Python with `arguments` on a `core`, with the wheels of `site` and the folders of `path`.

    `qemu` are further arguments of the emulator. Raises RuntimeError with the last lines where the status is not 0.
    """
    userland = userland or make_userland()
    root = userland.root(core)
    surroundings = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    surroundings |= {
        "QEMU_LD_PREFIX": str(root),
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": os.pathsep.join(map(str, (*path, userland.site(site)))),
        "PYTHONNOUSERSITE": "1",
        "LANG": "C.UTF-8",
        # Never the developer's own settings and caches.
        "HOME": str(root / "home"),
    }
    command = ["qemu-aarch64", "-cpu", core, *qemu, str(root / f"usr/bin/python{PYTHON}"), *arguments]
    return _call(command, {**surroundings, **(env or {})}, timeout_s)


def _call(command: Sequence[str], env: Mapping[str, str] | None, timeout_s: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise RuntimeError(f"{' '.join(command)[:300]} ended with status {done.returncode}:\n{tail}")
    return done


def _fill(userland: Userland) -> None:
    debian, archive = userland.folder / "debian", userland.folder / "debian.tar"
    command = ["mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64", f"--include={','.join(PACKAGES)}"]
    _call([*command, SUITE, str(archive)], None, 600)
    debian.mkdir()
    _call(["tar", "-C", str(debian), "--no-same-owner", "--exclude=./dev", "-xf", str(archive)], None, 300)
    archive.unlink()
    for core in MAIN_ID:
        _lay_root(userland.root(core), core, debian)
    for name, requirements in SITES.items():
        _install_wheels(userland.site(name), requirements)
    # Imports once on the device's own Python: whatever is missing shows here, and byte code is kept.
    for name, modules in IMPORTS.items():
        check = f"import numpy, tokenizers, json, {modules}"
        run_python("cortex-a72", ["-c", check], site=name, userland=userland)


def _lay_root(root: Path, core: str, debian: Path) -> None:
    """A root for one core: Debian by symlinks, and the core's own view of its CPU as plain files.

    Runtimes choose kernels by /proc/cpuinfo and /sys/devices/system/cpu; with this machine's x86 ones LiteRT crashes.
    """
    root.mkdir()
    for folder in ("proc", "sys", "home"):
        (root / folder).mkdir()
    # Without a /tmp of its own, the userland uses this machine's, where tests lay their files.
    for entry in debian.iterdir():
        if entry.name not in {"proc", "sys", "home", "tmp"}:
            (root / entry.name).symlink_to(Path("..") / "debian" / entry.name)
    identity = MAIN_ID[core]
    processors = [
        f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: {CPU_FEATURES[core]}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: {identity >> 20 & 0xF:#x}\nCPU part\t: {identity >> 4 & 0xFFF:#x}\n"
        f"CPU revision\t: {identity & 0xF}\n"
        for number in range(CPUS)
    ]
    (root / "proc/cpuinfo").write_text("\n".join([*processors, f"Revision\t: c03114\nModel\t\t: {BOARD}\n"]))
    system = root / "sys/devices/system/cpu"
    for number in range(CPUS):
        topology = system / f"cpu{number}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text("0\n")
        (topology / "core_id").write_text(f"{number}\n")
        (topology / "core_siblings_list").write_text(f"0-{CPUS - 1}\n")
        (topology / "thread_siblings_list").write_text(f"{number}\n")
        identification = system / f"cpu{number}/regs/identification"
        identification.mkdir(parents=True)
        (identification / "midr_el1").write_text(f"{identity:#018x}\n")
        frequency = system / f"cpu{number}/cpufreq"
        frequency.mkdir()
        (frequency / "cpuinfo_max_freq").write_text("1500000\n")
        (frequency / "cpuinfo_min_freq").write_text("600000\n")
    for name in ("possible", "present", "online"):
        (system / name).write_text(f"0-{CPUS - 1}\n")


def _install_wheels(site: Path, requirements: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    _call([*command, f"--target={site}", *requirements], None, 900)
