"""Package a compiled model for a Linux device: one `.edgeslm` file, the same bytes for the same inputs."""

from __future__ import annotations

import filecmp
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from edgeslm import __version__
from edgeslm.artifacts import Bundle, Checkpoint, CompiledModel, Fidelity, OnnxModel, QuantPlan
from edgeslm.bundle.documents import licence_text, model_card_text, readme_text
from edgeslm.bundle.host_cpu import host_cpu_features
from edgeslm.bundle.inspect import read_manifest
from edgeslm.bundle.manifest import (
    MANIFEST,
    SCHEMA_VERSION,
    FilePart,
    GenerationPart,
    Manifest,
    ModelPart,
    ParentsPart,
    TokenizerPart,
    fidelity_part,
)
from edgeslm.bundle.requirements import read_optional_requirements, read_requirements
from edgeslm.bundle.wheels import fetch_wheels
from edgeslm.digest import file_digest
from edgeslm.errors import BundleError, InternalError, StorageError
from edgeslm.formats.archive import open_archive, replacing, write_archive
from edgeslm.formats.description import describe_language, describe_model
from edgeslm.formats.operator_layers import OperatorLayers
from edgeslm.target import Target
from edgeslm.versions import tool_versions

SUFFIX = ".edgeslm"
DEVICE = Path(__file__).parents[1] / "device"
TOKENIZER = "tokenizer/tokenizer.json"
CHAT_TEMPLATE = "tokenizer/chat_template.jinja"
LAYERS = "model/layers.json"
MAX_NAME = 100


def bundle_path(out: Path, checkpoint: Checkpoint, plan: QuantPlan) -> Path:
    """MODEL-TARGET-SCHEME.edgeslm in folder `out`, the model's name reduced to what every shell and disk takes."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", checkpoint.name).strip(".-")[:MAX_NAME]
    return out / f"{name or 'model'}-{plan.target}-{plan.scheme}{SUFFIX}"


def reject_existing(path: Path, checkpoint: Checkpoint, plan: QuantPlan, *, force: bool) -> None:
    """Say before a build, not after it, that something lies in its way.

    A bundle of the same checkpoint and plan does not: it may turn out to have the same bytes, and write_bundle
    looks. Raises BundleError, and StorageError where the folder cannot be one.
    """
    if path.parent.exists() and not path.parent.is_dir():
        raise StorageError(f"{path.parent} is no folder", "-o DIR names another")
    if path.is_dir():
        raise BundleError(f"a folder named {path} lies in the way", "move it away, or name another folder with -o DIR")
    if force or not (path.exists() or path.is_symlink()):
        return
    try:
        with open_archive(path) as archive:
            parents = read_manifest(archive).parents
    except BundleError:
        raise _in_the_way(path, "is no bundle that can be read") from None
    if parents.checkpoint != checkpoint.digest:
        raise _in_the_way(path, "was built from another checkpoint")
    if parents.plan != plan.digest:
        raise _in_the_way(path, "was built by another plan")


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
    members[MANIFEST] = manifest.content

    out.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        write_archive(partial, members)
        size = partial.stat().st_size
        if path.is_dir():
            raise BundleError(f"a folder named {path} lies in the way", "move it away")
        if path.exists() and not force:
            if not filecmp.cmp(partial, path, shallow=False):
                raise _in_the_way(path, "has other content")
            partial.unlink()
    return Bundle(path, manifest.digest, size)


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
        schema_version=SCHEMA_VERSION,
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
        generation=_generation_part(checkpoint, compiled),
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
        files={name: _file_part(content) for name, content in sorted(members.items())},
    )


def _generation_part(checkpoint: Checkpoint, compiled: CompiledModel) -> GenerationPart | None:
    generation = checkpoint.generation
    if generation is None or compiled.language is None:
        return None
    return GenerationPart(
        context=compiled.language.context,
        bos=generation.bos,
        eos=generation.eos,
        add_bos=generation.add_bos,
        chat_template=CHAT_TEMPLATE if generation.chat_template else None,
        special=dict(generation.special),
    )


def _file_part(content: bytes | Path) -> FilePart:
    if isinstance(content, bytes):
        return FilePart(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    return FilePart(sha256=file_digest(content), bytes=content.stat().st_size)


def _root(checkpoint: Checkpoint) -> Path:
    if checkpoint.root is None:
        raise InternalError(f"{checkpoint.name} has a tokenizer and no folder")
    return checkpoint.root


def _in_the_way(path: Path, why: str) -> BundleError:
    return BundleError(f"{path} is there already and {why}", "--force overwrites it; -o DIR writes to another folder")
