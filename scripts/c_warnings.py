"""The checked-in C must compile without a warning: for the host, and for each kind of core where its compiler is here.

Nothing is linked and nothing is left behind; the tests build and run it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.firmware.board_macros import board_macros
from edgeslm.firmware.image import (
    BARE,
    INCLUDED,
    MEANING,
    STRICT,
    board_folder,
    firmware_facts,
    image_sources,
    include_folders,
)
from edgeslm.firmware.toolchain import PREFIX, core_flags
from edgeslm.target import Target, list_targets

SAMPLE = Path(__file__).parents[1] / "firmware_templates" / "model" / "sample"
FOR_EVERY_CORE = ("kernels", "tokenizer", "boards", "board")
"""Rooms that do not know the sample, whose weights are floats."""
SHARED = ("uart_stm32.c", "start_rp.c")
"""In boards/, and nothing without a board's facts."""
HOST = ("kernels", "tokenizer", "generate", "protocol", "model")


def main() -> int:
    missing = set()
    for compiler, *flags in commands():
        if shutil.which(compiler) is None:
            missing.add(compiler)
        elif subprocess.run([compiler, "-fsyntax-only", *STRICT, *MEANING, *flags], check=False).returncode:
            return 1
    for compiler in sorted(missing):
        print(f"check: {compiler} is not here, and has not looked at the C", file=sys.stderr)
    return 0


def commands() -> Iterator[list[str]]:
    """A compiler and its flags: for each kind of core and each room, then for the start-up of each board."""
    for variant, target in kinds_of_core().items():
        firmware = firmware_facts(target)
        includes = [f"-I{folder}" for folder in include_folders(firmware, SAMPLE)]
        for room, found in image_sources(firmware, SAMPLE).items():
            if variant.fixed and room not in FOR_EVERY_CORE:
                continue
            sources = [str(source) for source in found if source.suffix == ".c"]
            flags = [*includes, *INCLUDED.get(room, ()), *sources]
            if room in HOST:
                yield ["cc", *variant.host_macros, *flags]
            flags += board_macros(target)
            yield [f"{PREFIX}gcc", *core_flags(target.cpu.core), *BARE, *variant.macros, *flags]
    for target in list_targets():
        if target.firmware is not None and target.firmware.chip is not None:
            folder = board_folder(target.firmware)
            flags = [*core_flags(target.cpu.core), *BARE, *board_macros(target), f"-I{folder}", f"-I{folder.parent}"]
            shared = [folder.parent / name for name in SHARED]
            yield [f"{PREFIX}gcc", *flags, *map(str, [*sorted(folder.glob("*.c")), *shared])]


def kinds_of_core() -> dict[Variant, Target]:
    """Each variant of kernels, and one target that has it."""
    boards = [target for target in list_targets() if target.firmware]
    return {choose_variant(target.cpu.isa): target for target in reversed(boards)}


if __name__ == "__main__":
    sys.exit(main())
