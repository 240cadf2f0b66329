"""How a compiled model is described to the device package: the manifest's `model` object."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgeslm.artifacts import CompiledModel, OnnxModel, TensorSpec


def describe_model(compiled: CompiledModel, onnx: OnnxModel, prefix: str = "") -> dict[str, Any]:
    """JSON data for edgeslm.device.runner.open_runner. `prefix` is the folder of the files, with its slash."""
    return {
        "runtime": compiled.runtime,
        "files": [prefix + name for name in compiled.files],
        "digest": compiled.digest,
        "pad_id": onnx.pad_id,
        "scheme": compiled.scheme,
        "lengths": list(compiled.lengths),
        "signatures": {str(length): name for length, name in compiled.signatures.items()},
        "inputs": [_spec(spec) for spec in onnx.inputs],
        "outputs": [_spec(spec) for spec in onnx.outputs],
        "language": None,
    }


def describe_language(compiled: CompiledModel, prefix: str = "") -> dict[str, Any]:
    """The same for a language model, for edgeslm.device.open_language.open_language."""
    assert compiled.language is not None
    return {
        "runtime": compiled.runtime,
        "files": [prefix + name for name in compiled.files],
        "digest": compiled.digest,
        "pad_id": 0,
        "scheme": compiled.scheme,
        "lengths": [],
        "signatures": {},
        "inputs": [],
        "outputs": [],
        "language": dataclasses.asdict(compiled.language),
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}
