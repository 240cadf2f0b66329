"""What a device installs to run a bundle: pinned packages, each with the SHA-256 of its wheels.

The files requirements-RUNTIME-ARCH.txt beside this module are written by scripts/pins.py.
"""

from __future__ import annotations

from pathlib import Path

from edgeslm.errors import InternalError

RUNTIMES: dict[str, tuple[str, ...]] = {
    "ai-edge-litert": ("numpy", "tokenizers", "ai-edge-litert"),
    "openvino": ("numpy", "tokenizers", "openvino"),
}
"""Runtime -> what the device package imports with it; their own dependencies are pinned as well."""
CHAT = "chat"
PINNED = {**RUNTIMES, CHAT: ("jinja2",)}
"""Chat templates are Jinja2: a bundle that has one needs it beside its runtime."""

PYTHONS = ("3.11", "3.12", "3.13")
"""Raspberry Pi OS 12 has Python 3.11, Ubuntu 24.04 has 3.12, Raspberry Pi OS 13 has 3.13."""

OLDEST_GLIBC: dict[tuple[str, str], tuple[int, int]] = {
    ("ai-edge-litert", "aarch64"): (2, 28),
    ("ai-edge-litert", "x86_64"): (2, 27),
    ("openvino", "aarch64"): (2, 35),
    ("openvino", "x86_64"): (2, 28),
}
"""Runtime and architecture -> the glibc that the pinned wheels need, by their platform tags."""

GLIBC = (35, 31, 28, 27, 26, 17)
"""Minor versions of glibc 2 whose wheels a device takes: Raspberry Pi OS 12 has glibc 2.36."""


def requirements_file(runtime: str, arch: str) -> Path:
    return Path(__file__).with_name(f"requirements-{runtime}-{arch}.txt")


def read_requirements(runtime: str, arch: str, *, chat: bool = False) -> bytes:
    """requirements.txt for a bundle of this runtime on this architecture, with a chat template or without."""
    try:
        parts = [requirements_file(part, arch) for part in (runtime, *([CHAT] if chat else []))]
        return b"".join(part.read_bytes() for part in parts)
    except FileNotFoundError:
        raise InternalError(f"no packages are pinned for {runtime} on {arch}", "scripts/pins.py pins them") from None


def pip_platform_flags(arch: str, python: str) -> list[str]:
    """pip download's flags for wheels of a Linux device that need not be this machine."""
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in GLIBC] + [f"manylinux2014_{arch}"]
    flags = [flag for platform in platforms for flag in ("--platform", platform)]
    return [*flags, "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
