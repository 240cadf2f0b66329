"""Versions of the packages a stage's result depends on, without importing them."""

from __future__ import annotations

import functools
from importlib import metadata

STAGE_PACKAGES: dict[str, tuple[str, ...]] = {
    "export": ("torch", "transformers", "onnx", "onnx-ir", "onnxscript"),
    "tflite": ("ai-edge-litert", "ai-edge-quantizer"),
    "openvino": ("openvino", "nncf"),
}


def tool_versions(stage: str) -> dict[str, str]:
    """Package -> version for a stage; a package that is not installed is left out."""
    versions = {name: _version(name) for name in STAGE_PACKAGES[stage]}
    return {name: version for name, version in versions.items() if version}


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
