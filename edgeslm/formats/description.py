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


def describe_net(compiled: CompiledModel, prefix: str = "") -> dict[str, Any]:
    """The same for a net that came quantized: its inputs and outputs are what the file has."""
    nothing = {"pad_id": 0, "lengths": [], "signatures": {}, "language": None}
    return {
        "runtime": compiled.runtime,
        "files": [prefix + name for name in compiled.files],
        "digest": compiled.digest,
        "scheme": compiled.scheme,
        "inputs": [_quantized_spec(spec) for spec in compiled.inputs],
        "outputs": [_quantized_spec(spec) for spec in compiled.outputs],
        **nothing,
    }


def _quantized_spec(spec: TensorSpec) -> dict[str, Any]:
    more = {"scale": spec.scale, "zero_point": spec.zero_point, "ids": spec.ids}
    return _spec(spec) | {name: value for name, value in more.items() if value is not None}


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}
