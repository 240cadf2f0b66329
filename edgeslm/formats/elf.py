"""What a shared library says of itself before it is loaded: its machine, and how its segments are aligned.

Source: System V ABI, "Object Files" (ELF header, program header); 64-bit, little-endian files alone.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edgeslm.errors import ConfigError

MACHINES = {183: "aarch64", 62: "x86_64", 40: "arm", 3: "x86"}
"""e_machine -> as Linux names it."""
_SHARED = 3  # ET_DYN
_LOAD = 1  # PT_LOAD
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")


@dataclass(frozen=True)
class SharedLibrary:
    """`page`: the largest memory page, in bytes, that every loaded segment is aligned for."""

    machine: str
    page: int


def read_shared_library(content: bytes, where: str) -> SharedLibrary:
    """Raises ConfigError for what is no 64-bit shared library, or is cut short."""
    if content[:4] != b"\x7fELF":
        raise _broken(where, "is no ELF file")
    if content[4:5] == b"\1":
        raise _broken(where, "is a library of 32 bits")
    if len(content) < _HEADER.size or content[4:6] != b"\2\1":
        raise _broken(where, "is no ELF file of 64 bits, little-endian")
    _, kind, machine, _, _, start, _, _, _, size, count, _, _, _ = _HEADER.unpack_from(content)
    if kind != _SHARED:
        raise _broken(where, "is no shared library")
    if size != _PROGRAM.size or start + size * count > len(content):
        raise _broken(where, "is cut short")
    programs = (_PROGRAM.unpack_from(content, start + size * place) for place in range(count))
    pages = [program[7] for program in programs if program[0] == _LOAD]
    if not pages:
        raise _broken(where, "has nothing to load")
    return SharedLibrary(MACHINES.get(machine, f"machine {machine}"), min(pages))


def _broken(where: str, problem: str) -> ConfigError:
    return ConfigError(f"{where} {problem}", "the download may be incomplete, or it is another file")
