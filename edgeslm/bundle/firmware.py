"""Package a microcontroller's firmware: one `.edgeslm` file with the image, and the CMake project it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeslm import __version__
from edgeslm.artifacts import Bundle, Checkpoint, CompiledModel, Fidelity, OnnxModel, QuantPlan
from edgeslm.bundle.documents import firmware_readme_text, licence_text, model_card_text
from edgeslm.bundle.host_cpu import host_cpu_features
from edgeslm.bundle.manifest import (
    FIRMWARE_VERSION,
    FirmwarePart,
    Manifest,
    ModelPart,
    ParentsPart,
    TokenizerPart,
    fidelity_part,
)
from edgeslm.bundle.store import CHAT_TEMPLATE, TOKENIZER, bundle_path, file_part, generation_part, store_bundle
from edgeslm.errors import InternalError
from edgeslm.formats.description import describe_language, describe_model, describe_net
from edgeslm.target import Target
from edgeslm.template_folder import template_folder
from edgeslm.template_sources import belongs
from edgeslm.versions import tool_versions

FOLDER = "firmware"
ROOMS = ("kernels", "tokenizer", "generate", "protocol", "boards", "model", "host")
"""Of firmware_templates; of boards/ the target's folder alone, of host/ the program alone."""
SOURCES = frozenset({".c", ".h", ".S", ".ld", ".in", ".cmake"})
PRESETS = "CMakePresets.json"
IMAGES = ("firmware.elf", "firmware.bin", "firmware.hex")
UF2_IMAGE = "firmware.uf2"
"""Where the target has a bootloader that takes it."""


@dataclass(frozen=True)
class Built:
    """What was compiled: the image's files in folder `root`, the item -> bytes of its map, the digest that it tells,
    the presets that build it again, and whether a board like its target is emulated."""

    root: Path
    flash: Mapping[str, int]
    ram: Mapping[str, int]
    stack_bytes: int
    compiler: str
    digest: str
    presets: str
    emulated: bool

    @property
    def images(self) -> tuple[str, ...]:
        return (*IMAGES, UF2_IMAGE) if (self.root / UF2_IMAGE).is_file() else IMAGES


def write_firmware_bundle(
    checkpoint: Checkpoint,
    plan: QuantPlan,
    target: Target,
    compiled: CompiledModel,
    fidelity: Fidelity,
    built: Built,
    out: Path,
    onnx: OnnxModel | None = None,
    *,
    below_gate: bool,
    force: bool,
) -> Bundle:
    """Write the bundle into folder `out`, whole or not at all; see linux.write_bundle. `onnx`: of an encoder alone."""
    path = bundle_path(out, checkpoint, plan)
    members: dict[str, bytes | Path] = dict(project_files(target, is_net=compiled.is_net))
    members |= {f"model/{name}": compiled.root / name for name in compiled.files}
    members[PRESETS] = built.presets.encode()
    members |= {f"{FOLDER}/{name}": built.root / name for name in built.images}
    if checkpoint.tokenizer and checkpoint.root:
        members[TOKENIZER] = checkpoint.root / checkpoint.tokenizer.file
    if checkpoint.generation and checkpoint.generation.chat_template:
        members[CHAT_TEMPLATE] = checkpoint.generation.chat_template.encode()
    members["LICENSE"] = licence_text(checkpoint, "firmware").encode()
    members["MODEL_CARD.md"] = model_card_text(checkpoint, plan, compiled, fidelity).encode()
    sizes = sum(built.flash.values()), sum(built.ram.values())
    members["README.md"] = firmware_readme_text(
        checkpoint, plan, target, fidelity, path.name, sizes, emulated=built.emulated
    ).encode()
    manifest = _manifest(checkpoint, plan, target, compiled, fidelity, built, members, onnx, below_gate=below_gate)
    return store_bundle(path, manifest, members, force=force)


def project_files(target: Target, *, is_net: bool = False) -> dict[str, Path]:
    """Member -> file: what of firmware_templates a target's firmware is built from."""
    if target.firmware is None:
        raise InternalError(f"{target.name} is no microcontroller: there is no project for it")
    templates = template_folder()
    found = {"CMakeLists.txt": templates / "CMakeLists.txt"}
    rooms = [*ROOMS, f"boards/{target.firmware.template}"]
    for room in rooms:
        for file in sorted((templates / room).glob("*")):
            is_wanted = file.name == "main.c" if room == "host" else belongs(room, file.name, is_net=is_net)
            if file.suffix in SOURCES and is_wanted:
                found[f"{room}/{file.name}"] = file
    return found


def _manifest(
    checkpoint: Checkpoint,
    plan: QuantPlan,
    target: Target,
    compiled: CompiledModel,
    fidelity: Fidelity,
    built: Built,
    members: Mapping[str, bytes | Path],
    onnx: OnnxModel | None,
    *,
    below_gate: bool,
) -> Manifest:
    tokenizer = checkpoint.tokenizer
    return Manifest(
        schema_version=FIRMWARE_VERSION,
        edgeslm=__version__,
        name=checkpoint.name,
        task=checkpoint.task,
        architecture=checkpoint.architecture,
        target=target,
        backend=plan.backend,
        scheme=plan.scheme,
        below_gate=below_gate,
        model=ModelPart.model_validate(_described(compiled, onnx), strict=False),
        tokenizer=TokenizerPart(
            file=TOKENIZER,
            max_length=max(plan.lengths, default=tokenizer.max_length),
            pad_id=tokenizer.pad_id,
            mask_token=tokenizer.mask_token,
        )
        if tokenizer
        else None,
        generation=generation_part(checkpoint, compiled),
        firmware=firmware_part(built),
        labels=checkpoint.labels,
        multi_label=checkpoint.multi_label,
        fidelity=fidelity_part(fidelity),
        parents=ParentsPart(
            checkpoint=checkpoint.digest,
            onnx=onnx.digest if onnx else None,
            plan=plan.digest,
            lowered=None,
            compiled=compiled.digest,
        ),
        tools=({} if compiled.is_net else tool_versions("export")) | tool_versions(plan.backend),
        host_cpu=host_cpu_features(),
        files={name: file_part(content) for name, content in sorted(members.items())},
    )


def firmware_part(built: Built) -> FirmwarePart:
    """What a manifest says of an image."""
    return FirmwarePart(
        elf=f"{FOLDER}/firmware.elf",
        binary=f"{FOLDER}/firmware.bin",
        hex=f"{FOLDER}/firmware.hex",
        compiler=f"arm-none-eabi-gcc {built.compiler}",
        flash=dict(built.flash),
        ram=dict(built.ram),
        stack_bytes=built.stack_bytes,
        digest=built.digest,
        uf2=f"{FOLDER}/{UF2_IMAGE}" if UF2_IMAGE in built.images else None,
    )


def _described(compiled: CompiledModel, onnx: OnnxModel | None) -> dict[str, Any]:
    if onnx is not None:
        return describe_model(compiled, onnx, "model/")
    return describe_net(compiled, "model/") if compiled.is_net else describe_language(compiled, "model/")
