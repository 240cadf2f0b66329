"""The firmware that measures single kernels: firmware_templates/measure in the place of a model."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeslm.firmware.image import Image, build_image
from edgeslm.target import Target
from edgeslm.template_folder import template_folder

ROOM = "measure"
CODE_BYTES = 48 << 10
"""Of flash, for what is no weights: kernels, start-up, protocol."""
KEPT_RAM_BYTES = 8 << 10
"""For the stack, and for what the program holds beside its buffers."""
STEP = 1024
"""Buffers' room is a multiple of it."""
CONFIG = """\
#ifndef EDGESLM_MODEL_CONFIG_H
#define EDGESLM_MODEL_CONFIG_H

#define EDGESLM_MODEL_KERNELS 1
#define EDGESLM_MODEL_ARENA_BYTES {ram}u
#define EDGESLM_KERNEL_WEIGHT_BYTES {flash}u
#define EDGESLM_FOURS 1 /* rows are multiples of 4, as most models' */

#endif
"""


@dataclass(frozen=True)
class KernelRoom:
    """Bytes of flash and RAM that the buffers of a kernel may take together."""

    flash: int
    ram: int


def kernel_room(target: Target, flash: int, ram: int) -> KernelRoom:
    """Room for buffers of so many bytes, or as much of it as the target has."""
    most_flash = max(target.memory.storage_kib * 1024 - CODE_BYTES, STEP)
    most_ram = max(target.memory.ram_kib * 1024 - KEPT_RAM_BYTES, STEP)
    return KernelRoom(*(-(-min(one, most) // STEP) * STEP for one, most in ((flash, most_flash), (ram, most_ram))))


def build_kernel_image(target: Target, room: KernelRoom, out: Path) -> Image:
    """Build it in folder `out`. The same target and compiler give the same bytes. Raises what `build_image` does."""
    model = out / "model"
    model.mkdir(parents=True)
    (model / "model_config.h").write_text(CONFIG.format(flash=room.flash, ram=room.ram))
    (model / "model_weights.c").write_text(_weights_text(room.flash))
    for file in sorted((template_folder() / ROOM).glob("*.[ch]")):
        shutil.copy(file, model / file.name)
    return build_image(target, model, out / "image")


def _weights_text(size: int) -> str:
    """Bytes that are weights however they are read: of int8 and int4 any are, and as scales or floats the upper bytes
    0x30 to 0x3b, and with a sign 0xb0 to 0xbb, make normal numbers, of halves as of floats."""
    random = np.random.default_rng(0)
    found = random.integers(0x30, 0x3C, size, dtype=np.uint8) | (random.integers(0, 2, size, dtype=np.uint8) << 7)
    words = [f"{word:#010x}," for word in found.view("<u4").tolist()]
    lines = "\n".join(" ".join(words[place : place + 12]) for place in range(0, len(words), 12))
    head = '#include "kernel_buffers.h"\n\n'
    kept = "const uint32_t edgeslm_kernel_weights[EDGESLM_KERNEL_WEIGHT_BYTES / 4u] __attribute__((aligned(16)))"
    return f"{head}{kept} = {{\n{lines}\n}};\n"
