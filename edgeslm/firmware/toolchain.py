"""The compiler of Arm microcontrollers, and its flags for a core."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeslm.target import CORES
from edgeslm.toolchain import find_tool, run_tool

PREFIX = "arm-none-eabi-"
PACKAGE = "gcc-arm-none-eabi"
HINT = f"apt install {PACKAGE} brings it (or: edgeslm doctor --install {PREFIX}gcc)"
FPU = {"cortex-m4": "fpv4-sp-d16", "cortex-m7": "fpv5-sp-d16", "cortex-m33": "fpv5-sp-d16"}
"""GCC's word for a core's single-precision unit; the M55's follows from -mcpu."""


@dataclass(frozen=True)
class Compiler:
    """arm-none-eabi-gcc, and what else of the same package links and converts."""

    gcc: Path
    objcopy: Path
    version: str  # "12.2.1"
    title: str  # "arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205": which build of it


def find_compiler() -> Compiler:
    """Raises MissingToolError that names the package."""
    gcc, objcopy = (find_tool(PREFIX + name, HINT) for name in ("gcc", "objcopy"))
    with tempfile.TemporaryDirectory(prefix="edgeslm-gcc-") as folder:
        asked = ("-dumpfullversion", "--version")
        version, title = (run_tool([str(gcc), flag], Path(folder) / "said").read_text() for flag in asked)
    return Compiler(gcc, objcopy, version.strip(), title.splitlines()[0])


def core_flags(core: str) -> tuple[str, ...]:
    """GCC's flags for a microcontroller's core of edgeslm.target."""
    flags = (f"-mcpu={core}", "-mthumb")
    if "fpu" not in CORES[core].isa:
        return (*flags, "-mfloat-abi=soft")
    unit = (f"-mfpu={FPU[core]}",) if core in FPU else ()
    return (*flags, "-mfloat-abi=hard", *unit)
