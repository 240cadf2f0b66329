"""Package a compiled model for a Linux device: one `.edgeslm` file, the same bytes for the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeslm import __version__
from edgeslm.artifacts import Bundle, Checkpoint, CompiledModel, Fidelity, OnnxModel, QuantPlan
from edgeslm.bundle.documents import licence_text, model_card_text, readme_text
from edgeslm.bundle.host_cpu import host_cpu_features
from edgeslm.bundle.manifest import (
    LINUX_VERSION,
    Manifest,
    ModelPart,
    ParentsPart,
    TokenizerPart,
    fidelity_part,
)
from edgeslm.bundle.requirements import read_optional_requirements, read_requirements
from edgeslm.bundle.store import CHAT_TEMPLATE, TOKENIZER, bundle_path, file_part, generation_part, store_bundle
from edgeslm.bundle.wheels import fetch_wheels
from edgeslm.errors import InternalError
from edgeslm.formats.description import describe_language, describe_model
from edgeslm.formats.operator_layers import OperatorLayers
from edgeslm.target import Target
from edgeslm.versions import tool_versions

DEVICE = Path(__file__).parents[1] / "device"
LAYERS = "model/layers.json"


def write_bundle(
    checkpoint: Checkpoint,
    plan: QuantPlan,
    target: Target,
    onnx: OnnxModel | None,
    compiled: CompiledModel,
    fidelity: Fidelity,
    layers: OperatorLayers | None,
    out: Path,
    *,
    below_gate: bool,
    force: bool,
    vendor_wheels: bool,
) -> Bundle:
    """Write the bundle into folder `out`, whole or not at all. `onnx` and `layers` are None for a language model.

    A file that is there already is replaced with `force` only, unless it has the same bytes. Raises BundleError
    when it is in the way, OSError when the disk is full, ToolchainError when wheels cannot be had.
    """
    path = bundle_path(out, checkpoint, plan)
    members: dict[str, bytes | Path] = {f"model/{name}": compiled.root / name for name in compiled.files}
    if layers is not None:
        members[LAYERS] = layers.content
    members |= {f"edgeslm_device/{file.relative_to(DEVICE)}": file for file in DEVICE.rglob("*.py")}
    chat = checkpoint.generation is not None and checkpoint.generation.chat_template is not None
    requirements = {
        "requirements.txt": read_requirements(compiled.runtime, target.cpu.arch, chat=chat),
        **read_optional_requirements(checkpoint.task, target.cpu.arch),
    }
    members |= requirements
    for name, pinned in requirements.items() if vendor_wheels else ():
        wheels = fetch_wheels(pinned, name, target.cpu.arch)
        members |= {f"wheels/{wheel.name}": wheel for wheel in wheels}
    if checkpoint.tokenizer:
        members[TOKENIZER] = _root(checkpoint) / checkpoint.tokenizer.file
    if checkpoint.generation and checkpoint.generation.chat_template:
        members[CHAT_TEMPLATE] = checkpoint.generation.chat_template.encode()
    members["LICENSE"] = licence_text(checkpoint).encode()
    members["MODEL_CARD.md"] = model_card_text(checkpoint, plan, compiled, fidelity).encode()
    members["README.md"] = readme_text(checkpoint, plan, target, fidelity, path.name, vendored=vendor_wheels).encode()
    manifest = _manifest(checkpoint, plan, target, onnx, compiled, fidelity, members, below_gate=below_gate)
    return store_bundle(path, manifest, members, force=force)


def _manifest(
    checkpoint: Checkpoint,
    plan: QuantPlan,
    target: Target,
    onnx: OnnxModel | None,
    compiled: CompiledModel,
    fidelity: Fidelity,
    members: Mapping[str, bytes | Path],
    *,
    below_gate: bool,
) -> Manifest:
    tokenizer = checkpoint.tokenizer
    described = describe_model(compiled, onnx, "model/") if onnx else describe_language(compiled, "model/")
    return Manifest(
        schema_version=LINUX_VERSION,
        edgeslm=__version__,
        name=checkpoint.name,
        task=checkpoint.task,
        architecture=checkpoint.architecture,
        target=target,
        backend=plan.backend,
        scheme=plan.scheme,
        below_gate=below_gate,
        model=ModelPart.model_validate(described, strict=False),  # lists where the model has tuples
        tokenizer=TokenizerPart(
            file=TOKENIZER,
            max_length=max(plan.lengths, default=tokenizer.max_length),
            pad_id=tokenizer.pad_id,
            mask_token=tokenizer.mask_token,
        )
        if tokenizer
        else None,
        generation=generation_part(checkpoint, compiled),
        labels=checkpoint.labels,
        multi_label=checkpoint.multi_label,
        fidelity=fidelity_part(fidelity),
        parents=ParentsPart(
            checkpoint=checkpoint.digest,
            onnx=onnx.digest if onnx else None,
            plan=plan.digest,
            lowered=compiled.parent if onnx else None,
            compiled=compiled.digest,
        ),
        tools=tool_versions("export") | tool_versions(plan.backend) | tool_versions(plan.converter or plan.backend),
        host_cpu=host_cpu_features(),
        files={name: file_part(content) for name, content in sorted(members.items())},
    )


def _root(checkpoint: Checkpoint) -> Path:
    if checkpoint.root is None:
        raise InternalError(f"{checkpoint.name} has a tokenizer and no folder")
    return checkpoint.root
