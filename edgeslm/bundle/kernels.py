"""Bundles of single kernels: no model, but what a device or a board is asked to measure for a cost model of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from edgeslm import __version__
from edgeslm.artifacts import Bundle
from edgeslm.bundle.firmware import FOLDER, Built, firmware_part
from edgeslm.bundle.linux import DEVICE
from edgeslm.bundle.manifest import (
    FIRMWARE_VERSION,
    LINUX_VERSION,
    FidelityPart,
    FirmwarePart,
    Manifest,
    ModelPart,
    ParentsPart,
    TensorPart,
)
from edgeslm.bundle.requirements import read_requirements
from edgeslm.bundle.store import file_part, store_bundle
from edgeslm.bundle.wheels import fetch_wheels
from edgeslm.digest import file_digest, json_digest
from edgeslm.target import Target

MODEL_FOLDER, DESCRIPTION = "model", "model/kernels.json"
RUNTIMES: dict[str, Literal["ai-edge-litert", "openvino"]] = {"tflite": "ai-edge-litert", "openvino": "openvino"}
NAME: Final = "kernels"
"""Of these bundles, of their architecture, and of what they are "quantized" to."""


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
    model_files = {f"{MODEL_FOLDER}/{file.name}": file for file in files}
    members: dict[str, bytes | Path] = {**model_files, DESCRIPTION: json.dumps(list(kernels)).encode()}
    members |= {f"edgeslm_device/{path.relative_to(DEVICE)}": path for path in DEVICE.rglob("*.py")}
    members["requirements.txt"] = requirements
    if vendor_wheels:
        wheels = fetch_wheels(requirements, "requirements.txt", target.cpu.arch)
        members |= {f"wheels/{wheel.name}": wheel for wheel in wheels}
    digest = json_digest([file_digest(file) for file in files])
    manifest = _manifest(target, runtime, backend, tuple(model_files), digest, members)
    return store_bundle(out, manifest, members, force=True)


def write_board_kernels(built: Built, target: Target, out: Path) -> Bundle:
    """Write the image that measures kernels to `out`, for `edgeslm flash`. Raises StorageError."""
    members: dict[str, bytes | Path] = {f"{FOLDER}/{name}": built.root / name for name in built.images}
    part = firmware_part(built)
    digest = file_digest(built.root / "firmware.bin")
    manifest = _manifest(target, "firmware", "cortexm", (part.elf,), digest, members, part)
    return store_bundle(out, manifest, members, force=True)


def is_of_kernels(manifest: Manifest) -> bool:
    """Whether a bundle holds no model, but kernels to be measured."""
    return (manifest.architecture, manifest.scheme) == (NAME, NAME)


def _manifest(
    target: Target,
    runtime: Literal["ai-edge-litert", "openvino", "firmware"],
    backend: str,
    opened: tuple[str, ...],
    digest: str,
    members: Mapping[str, bytes | Path],
    firmware: FirmwarePart | None = None,
) -> Manifest:
    number = TensorPart(name="x", dtype="float32", shape=(1,))
    model = ModelPart(
        runtime=runtime,
        files=opened,
        digest=digest,
        pad_id=0,
        scheme=NAME,
        lengths=(),
        signatures={},
        inputs=(number,),
        outputs=(number,),
    )
    unscored = FidelityPart(
        texts="", samples=0, passed=True, cosine_min=None, max_abs_error=None, outputs=(), gates=(), worst_tensors=()
    )
    described: dict[str, Any] = {"firmware": firmware} if firmware else {}
    return Manifest(
        schema_version=FIRMWARE_VERSION if firmware else LINUX_VERSION,
        edgeslm=__version__,
        name=NAME,
        task="tensors",
        architecture=NAME,
        target=target,
        backend=backend,
        scheme=NAME,
        below_gate=False,
        model=model,
        tokenizer=None,
        **described,
        labels=(),
        multi_label=False,
        fidelity=unscored,
        parents=ParentsPart(checkpoint=digest, onnx=None, plan=digest, lowered=None, compiled=digest),
        tools={},
        host_cpu=(),
        files={name: file_part(content) for name, content in sorted(members.items())},
    )
