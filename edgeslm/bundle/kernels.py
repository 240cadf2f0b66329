"""A bundle of single kernels: not a model, but what a device is asked to measure for a cost model of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from edgeslm import __version__
from edgeslm.artifacts import Bundle
from edgeslm.bundle.linux import DEVICE
from edgeslm.bundle.manifest import LINUX_VERSION, FidelityPart, Manifest, ModelPart, ParentsPart, TensorPart
from edgeslm.bundle.requirements import read_requirements
from edgeslm.bundle.store import file_part, store_bundle
from edgeslm.bundle.wheels import fetch_wheels
from edgeslm.digest import file_digest, json_digest
from edgeslm.target import Target

FOLDER, DESCRIPTION = "model", "model/kernels.json"
RUNTIMES: dict[str, Literal["ai-edge-litert", "openvino"]] = {"tflite": "ai-edge-litert", "openvino": "openvino"}


def write_kernel_bundle(
    files: Sequence[Path],
    backend: Literal["tflite", "openvino"],
    kernels: Sequence[dict[str, Any]],
    target: Target,
    out: Path,
    *,
    vendor_wheels: bool,
) -> Bundle:
    """Write it to `out`. `kernels`: of each, its name, inputs and outputs, and which of `files` it lies in where it has
    files of its own."""
    runtime = RUNTIMES[backend]
    requirements = read_requirements(runtime, target.cpu.arch, chat=False)
    model_files = {f"{FOLDER}/{file.name}": file for file in files}
    members: dict[str, bytes | Path] = {**model_files, DESCRIPTION: json.dumps(list(kernels)).encode()}
    members |= {f"edgeslm_device/{path.relative_to(DEVICE)}": path for path in DEVICE.rglob("*.py")}
    members["requirements.txt"] = requirements
    if vendor_wheels:
        wheels = fetch_wheels(requirements, "requirements.txt", target.cpu.arch)
        members |= {f"wheels/{wheel.name}": wheel for wheel in wheels}
    digest = json_digest([file_digest(file) for file in files])
    number = TensorPart(name="x", dtype="float32", shape=(1,))
    model = ModelPart(
        runtime=runtime,
        files=tuple(model_files),
        digest=digest,
        pad_id=0,
        scheme="kernels",
        lengths=(),
        signatures={},
        inputs=(number,),
        outputs=(number,),
    )
    unscored = FidelityPart(
        texts="", samples=0, passed=True, cosine_min=None, max_abs_error=None, outputs=(), gates=(), worst_tensors=()
    )
    manifest = Manifest(
        schema_version=LINUX_VERSION,
        edgeslm=__version__,
        name="kernels",
        task="tensors",
        architecture="kernels",
        target=target,
        backend=backend,
        scheme="kernels",
        below_gate=False,
        model=model,
        tokenizer=None,
        labels=(),
        multi_label=False,
        fidelity=unscored,
        parents=ParentsPart(checkpoint=digest, onnx=None, plan=digest, lowered=None, compiled=digest),
        tools={},
        host_cpu=(),
        files={name: file_part(content) for name, content in sorted(members.items())},
    )
    return store_bundle(out, manifest, members, force=True)
