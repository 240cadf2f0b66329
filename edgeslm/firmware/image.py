"""A firmware image: the checked-in C and a generated model, compiled and linked for a target."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.errors import DoesNotFitError, InternalError, ToolFailedError
from edgeslm.firmware import boot2
from edgeslm.firmware.board_macros import board_macros
from edgeslm.firmware.memory_map import MemoryMap, placed_pieces, read_memory_map
from edgeslm.firmware.toolchain import Compiler, core_flags, find_compiler
from edgeslm.formats.image_digest import TOLD_BYTES, image_digest
from edgeslm.formats.uf2 import write_uf2
from edgeslm.target import Firmware, Target
from edgeslm.template_folder import template_folder
from edgeslm.template_sources import belongs, belongs_to_kernels
from edgeslm.toolchain import run_tool

STACK_BYTES = 2048
"""A step takes some 300 bytes of it; painting measures what is used."""
ROOMS = ("kernels", "tokenizer", "generate", "protocol", "boards")
"""Of firmware_templates: what every image has, beside the board's own folder and the model."""
HOT = frozenset(
    f"{name}.c"
    for name in ("attention", "attention_i8", "dot", "gemv_f32", "gemv_i4", "gemv_i8", "gemv_i8_requant", "linear_s8")
) | {"softmax_s8.c"}
"""What a token's time goes into where a core has no assembly for it: compiled for speed; everything else for size."""
FAST, SMALL = ("-O2",), ("-Os", "-fno-move-loop-invariants")
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion")
# No fused products: every core and the host give the same bits. No calls of memcpy and memset instead of loops: the
# image links with no C library.
MEANING = ("-ffp-contract=off", "-fno-strict-aliasing", "-fno-tree-loop-distribute-patterns")
BARE = ("-ffreestanding",)
"""The compiler's own headers are enough: no C library has to be installed."""
SECTIONS = ("-ffunction-sections", "-fdata-sections")
INCLUDED = {"kernels": ("-include", "model_config.h"), "tokenizer": ("-include", "model_tokenizer.h")}
"""Generated headers whose macros leave out what the model has no use for."""
MEMORY_SCRIPT = "memory.ld"
DIGEST_SECTION = ".image_digest"


@dataclass(frozen=True)
class Image:
    """`memory`: bytes of each item, from the linker's map. `compiler`: GCC's version. `digest`: see
    formats/image_digest; the image tells the beginning of it."""

    elf: Path
    binary: Path  # the bytes of flash, from its first address on
    hex: Path  # the same as Intel hex, with addresses
    memory: MemoryMap
    compiler: str
    digest: str
    uf2: Path | None = None  # the same for a bootloader that takes files


def build_image(target: Target, model: Path, out: Path, *, stack_bytes: int = STACK_BYTES) -> Image:
    """Compile and link the generated model in folder `model` for `target`, into folder `out`.

    Raises MissingToolError without a toolchain, DoesNotFitError where the
    linker finds no room, ToolFailedError with its log where the C does not compile.
    """
    compiler, firmware = find_compiler(), firmware_facts(target)
    out.mkdir(parents=True, exist_ok=True)
    (out / MEMORY_SCRIPT).write_text(memory_script(target, stack_bytes))
    macros = [*choose_variant(target.cpu.isa).macros, *board_macros(target)]
    flags = [*core_flags(target.cpu.core), *STRICT, *MEANING, *BARE, *SECTIONS, *macros]
    flags += [f"-I{folder}" for folder in include_folders(firmware, model)]
    objects: list[str] = []
    found = image_sources(firmware, model)
    loader = board_folder(firmware) / boot2.SOURCE
    if loader.is_file():
        found.setdefault("board", []).append(boot2.link_boot2(compiler, loader, flags, out))
    for room, sources in found.items():
        folder = out / "objects" / room
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for level in (FAST, SMALL):
            chosen = [str(one) for one in sources if (one.name in HOT) == (level is FAST)]
            command = [str(compiler.gcc), *flags, *level, *INCLUDED.get(room, ()), "-c", *chosen]
            if chosen:
                run_tool(command, out / "compile.log", cwd=folder)
        objects += sorted(str(path.relative_to(out)) for path in folder.glob("*.o"))
    _link(compiler, target, objects, out)
    map_text = (out / "firmware.map").read_text()
    binary, hexadecimal = out / "firmware.bin", out / "firmware.hex"
    digest = _tell_digest(compiler, map_text, firmware, out)
    for kind, path in (("binary", binary), ("ihex", hexadecimal)):
        _convert(compiler, ["-O", kind, "firmware.elf", path.name], out)
    uf2 = None
    if firmware.uf2_family is not None:
        uf2 = out / "firmware.uf2"
        uf2.write_bytes(write_uf2(binary.read_bytes(), firmware.flash_origin, firmware.uf2_family))
    memory = read_memory_map(map_text, (model / "model_config.h").read_text())
    return Image(out / "firmware.elf", binary, hexadecimal, memory, compiler.version, digest, uf2)


def _tell_digest(compiler: Compiler, map_text: str, firmware: Firmware, out: Path) -> str:
    """Compute the linked image's digest, and write its beginning into the place that the image has for it."""
    pieces = [piece for piece in placed_pieces(map_text) if piece.section == DIGEST_SECTION]
    if len(pieces) != 1 or pieces[0].bytes != TOLD_BYTES:
        raise InternalError(f"the linker's map has {len(pieces)} pieces of {DIGEST_SECTION}")
    _convert(compiler, ["-O", "binary", "firmware.elf", "undigested.bin"], out)
    digest = image_digest((out / "undigested.bin").read_bytes(), pieces[0].address - firmware.flash_origin)
    (out / "digest.bin").write_bytes(bytes.fromhex(digest)[:TOLD_BYTES])
    _convert(compiler, ["--update-section", f"{DIGEST_SECTION}=digest.bin", "firmware.elf"], out)
    return digest


def _convert(compiler: Compiler, arguments: Sequence[str], out: Path) -> None:
    run_tool([str(compiler.objcopy), *arguments], out / "convert.log", cwd=out)


def firmware_facts(target: Target) -> Firmware:
    """Raises InternalError for a target that runs Linux: whoever asks has looked before."""
    if target.firmware is None:
        raise InternalError(f"{target.name} is no microcontroller: there is no image for it")
    return target.firmware


def memory_script(target: Target, stack_bytes: int) -> str:
    """memory.ld of a target: boards/memory.ld.in filled in with its facts."""
    firmware = firmware_facts(target)
    text = (template_folder() / "boards" / "memory.ld.in").read_text()
    facts = {
        "FLASH_ORIGIN": f"{firmware.flash_origin:#010x}",
        "FLASH_BYTES": f"{target.memory.storage_kib}K",
        "RAM_ORIGIN": f"{firmware.ram_origin:#010x}",
        "RAM_BYTES": f"{target.memory.ram_kib}K",
        "STACK_BYTES": str(stack_bytes),
    }
    for name, value in facts.items():
        text = text.replace(f"@{name}@", value)
    return text


def board_folder(firmware: Firmware) -> Path:
    """The C of the board's own, in firmware_templates."""
    return template_folder() / "boards" / firmware.template


def include_folders(firmware: Firmware, model: Path) -> Iterable[Path]:
    """The generated model first: it has model_config.h."""
    templates = template_folder()
    return [model, *(templates / room for room in ("model", *ROOMS)), board_folder(firmware)]


def image_sources(firmware: Firmware, model: Path) -> dict[str, list[Path]]:
    """Room -> its sources; a room's objects lie together, and the map tells them apart by it. What a board's boot2 is
    made of is none of them: it is a program of its own."""
    templates, net, kernels = template_folder(), is_net(model), is_of_kernels(model)
    rooms = {room: templates / room for room in ROOMS}
    rooms |= {"board": board_folder(firmware), "model": model}
    found = {
        room: sorted(
            one
            for kind in ("*.c", "*.S")
            for one in folder.glob(kind)
            if (belongs_to_kernels(room, one.name) if kernels else belongs(room, one.name, is_net=net))
        )
        for room, folder in rooms.items()
    }
    found["board"] = [path for path in found["board"] if path.name != boot2.SOURCE]
    return {room: sources for room, sources in found.items() if sources}


def is_net(model: Path) -> bool:
    """Whether the generated model in the folder is a net's."""
    return "#define EDGESLM_MODEL_NET" in (model / "model_config.h").read_text()


def is_of_kernels(model: Path) -> bool:
    """Whether what lies in the folder is no model, but the program that measures single kernels."""
    return "#define EDGESLM_MODEL_KERNELS" in (model / "model_config.h").read_text()


def _link(compiler: Compiler, target: Target, objects: Sequence[str], out: Path) -> None:
    script = template_folder() / "boards" / "sections.ld"
    command = [str(compiler.gcc), *core_flags(target.cpu.core), "-nostdlib", *objects, "-lgcc", "-L.", f"-T{script}"]
    command += ["-Wl,--gc-sections", "-Wl,--fatal-warnings", "-Wl,-Map=firmware.map", "-o", "firmware.elf"]
    try:
        run_tool(command, out / "link.log", cwd=out)
    except ToolFailedError as error:
        lines = error.log.read_text().splitlines()
        overflow = [line.split("region ")[1] for line in lines if "overflowed by" in line]
        if not overflow:
            raise
        raise DoesNotFitError(
            f"the firmware does not fit {target.name}:\n" + "\n".join(f"         region {row}" for row in overflow),
            f"flash {target.memory.storage_text}, RAM {target.memory.ram_text}; a shorter --context, --kv-cache int8 "
            "or --scheme int4 take less",
        ) from None
