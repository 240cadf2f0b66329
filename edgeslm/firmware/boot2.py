"""The first 256 bytes of RP2040's flash: a program that is linked by itself, and the checksum its ROM asks for.

Source: RP2040 data sheet, 2.8.1.3.1. `boards/boot2.cmake` does the same where CMake builds a bundle.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from edgeslm.errors import InternalError
from edgeslm.firmware.toolchain import Compiler
from edgeslm.toolchain import run_tool

SOURCE = "boot2.c"
"""In a board's folder: what is linked by itself."""
GENERATED = "boot2_image.S"
SCRIPT = "boot2.ld"
BYTES = 256
POLYNOMIAL = 0x04C11DB7


def crc32_of_rom(content: bytes) -> int:
    """CRC-32 as RP2040's ROM computes it: most significant bit first, from all ones, nothing inverted at the end."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (POLYNOMIAL if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


def checked(program: bytes) -> bytes:
    """The program filled up with zeros, and its checksum. Raises InternalError for one that is too long."""
    if len(program) > BYTES - 4:
        raise InternalError(f"boot2 takes {len(program)} bytes; there is room for {BYTES - 4}")
    filled = program.ljust(BYTES - 4, b"\0")
    return filled + struct.pack("<I", crc32_of_rom(filled))


def link_boot2(compiler: Compiler, source: Path, flags: Sequence[str], out: Path) -> Path:
    """Compile and link the board's boot2.c; the assembly file, in folder `out`, that has its bytes as words.

    Raises ToolFailedError with its log where the C does not compile or does not fit.
    """
    command = [str(compiler.gcc), *flags, "-Os", "-nostdlib", f"-T{source.parents[1] / SCRIPT}", str(source)]
    run_tool([*command, "-Wl,--fatal-warnings", "-o", "boot2.elf"], out / "boot2.log", cwd=out)
    run_tool([str(compiler.objcopy), "-O", "binary", "boot2.elf", "boot2.bin"], out / "convert.log", cwd=out)
    words = struct.unpack(f"<{BYTES // 4}I", checked((out / "boot2.bin").read_bytes()))
    path = out / GENERATED
    path.write_text('.section .boot2, "a"\n' + "".join(f".word {word:#010x}\n" for word in words))
    return path
