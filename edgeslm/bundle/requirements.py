"""What a device installs to run a bundle: pinned packages, each with the SHA-256 of its wheels.

The files requirements-PART-ARCH.txt beside this module are written by scripts/pins.py. A part is a runtime, what a chat
template needs, or a feature: whoever wants it installs requirements-FEATURE.txt of the bundle beside requirements.txt.
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
"""Chat templates are Jinja2: a bundle that has one needs it beside its runtime."""
FEATURES: dict[str, tuple[str, ...]] = {
    "constrain": ("llguidance",),
    "serve": ("starlette", "uvicorn", "prometheus-client"),
}
"""Feature -> what the device package imports for it alone."""
TASKS: dict[str, tuple[str, ...]] = {"constrain": ("generation",), "serve": ("generation", "embedding")}
"""Feature -> the tasks it is for."""
PINNED = {**RUNTIMES, CHAT: ("jinja2",), **FEATURES}

PYTHONS = ("3.11", "3.12", "3.13")
"""Raspberry Pi OS 12 has Python 3.11, Ubuntu 24.04 has 3.12, Raspberry Pi OS 13 has 3.13."""

OLDEST_GLIBC: dict[tuple[str, str], tuple[int, int]] = {
    ("ai-edge-litert", "aarch64"): (2, 28),
    ("ai-edge-litert", "x86_64"): (2, 27),
    ("openvino", "aarch64"): (2, 35),
    ("openvino", "x86_64"): (2, 28),
}
"""Runtime and architecture -> the glibc that the pinned wheels need, by their platform tags."""

FEATURE_GLIBC: dict[str, tuple[int, int]] = {"constrain": (2, 31), "serve": (2, 17)}
"""Feature -> as above, for either architecture."""

GLIBC = (35, 31, 28, 27, 26, 17)
"""Minor versions of glibc 2 whose wheels a device takes: Raspberry Pi OS 12 has glibc 2.36."""


def requirements_file(part: str, arch: str) -> Path:
    return Path(__file__).with_name(f"requirements-{part}-{arch}.txt")


def read_requirements(runtime: str, arch: str, *, chat: bool = False) -> bytes:
    """requirements.txt for a bundle of this runtime on this architecture, with a chat template or without."""
    return b"".join(_read(part, arch) for part in (runtime, *([CHAT] if chat else [])))


def read_optional_requirements(task: str, arch: str) -> dict[str, bytes]:
    """Member -> content, for each feature that a bundle of this task can have."""
    return {feature_requirements(feature): _read(feature, arch) for feature in FEATURES if task in TASKS[feature]}


def feature_requirements(feature: str) -> str:
    """The member of a bundle that pins what a feature needs."""
    return f"requirements-{feature}.txt"


def _read(part: str, arch: str) -> bytes:
    try:
        return requirements_file(part, arch).read_bytes()
    except FileNotFoundError:
        raise InternalError(f"no packages are pinned for {part} on {arch}", "scripts/pins.py pins them") from None


def pip_platform_flags(arch: str, python: str) -> list[str]:
    """pip download's flags for wheels of a Linux device that need not be this machine."""
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in GLIBC] + [f"manylinux2014_{arch}"]
    flags = [flag for platform in platforms for flag in ("--platform", platform)]
    return [*flags, "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
