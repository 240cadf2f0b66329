"""Versions of the packages a stage's result depends on, without importing them."""

from __future__ import annotations

import functools
import re
from importlib import metadata
from pathlib import Path

STAGE_PACKAGES: dict[str, tuple[str, ...]] = {
    "export": ("torch", "transformers", "onnx", "onnx-ir", "onnxscript"),
    "tflite": ("ai-edge-litert", "ai-edge-quantizer"),
    "openvino": ("openvino", "nncf"),
    "edgeslm": ("flatbuffers",),
}
"""What a stage, a backend or a converter calls."""
# Tools that live in an environment of their own: its lock file says which version that is.
LOCKED_TOOLS: dict[str, dict[str, str]] = {"onnx2tf": {"onnx2tf": "backends/tflite/onnx2tf.txt"}}


def tool_versions(stage: str) -> dict[str, str]:
    """Package -> version for a stage; a package that is not installed is left out."""
    versions = {name: _version(name) for name in STAGE_PACKAGES.get(stage, ())}
    versions |= {name: _locked_version(name, lock) for name, lock in LOCKED_TOOLS.get(stage, {}).items()}
    return {name: version for name, version in versions.items() if version}


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def _locked_version(package: str, lock_file: str) -> str | None:
    found = re.search(rf"^{package}==(\S+)", (Path(__file__).parent / lock_file).read_text(), re.MULTILINE)
    return found[1] if found else None
