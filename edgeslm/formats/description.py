"""How a compiled model is described to the device package: the manifest's `model` object."""

from __future__ import annotations

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
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}
