"""Keep LiteRT's GPU plugin from being loaded on arm64, where it can end the program.

Every CompiledModel, also one for the CPU alone, loads `libLiteRtWebGpuAccelerator.so` out of the wheel. The arm64 one
is compiled for newer cores (LSE atomics, dot products, AES) and aborts where they are missing: on the Cortex-A53 and
A72, so on every Raspberry Pi before the fifth (ai-edge-litert 2.3.0; LiteRT issue 5675). There is no option against
it. But the dynamic linker never loads a second library of a name: an empty one that bears the plugin's name, loaded
first, is what LiteRT then finds; it has no plugin in it, and LiteRT goes on with the CPU.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import struct
import sys

PLUGIN = "libLiteRtWebGpuAccelerator.so"
NOWHERE = "/nonexistent"
"""The runtime path for LiteRT's environment: it looks for plugins there by their full path first."""

SHARED_OBJECT, ARM64 = 3, 183
HEADER, SEGMENT = 64, 56
LOAD, DYNAMIC = 1, 2
READ_WRITE = 6
STRING_TABLE, SYMBOL_TABLE, STRINGS_SIZE, SYMBOL_SIZE, SONAME, END = 5, 6, 10, 11, 14, 0


def is_loaded_unasked() -> bool:
    """Whether this is a machine on which LiteRT's plugin may end the program."""
    return sys.platform == "linux" and platform.machine() == "aarch64"


@functools.cache
def keep_out() -> bool:
    """Load the empty library in the plugin's place; False where that is impossible. Once per program."""
    try:
        descriptor = os.memfd_create(PLUGIN)
        try:
            os.write(descriptor, empty_library(PLUGIN))
            ctypes.CDLL(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        ctypes.CDLL(PLUGIN)  # the linker must now know it by name alone
    except OSError:
        return False
    return True


def empty_library(name: str) -> bytes:
    """An arm64 shared library that has a name and nothing else: ELF header, two segments, five dynamic entries."""
    strings = b"\0" + name.encode() + b"\0"
    strings += bytes(-len(strings) % 8)
    strings_at = HEADER + 2 * SEGMENT
    symbols_at = strings_at + len(strings)
    null_symbol = bytes(24)
    dynamic_at = symbols_at + len(null_symbol)
    entries = (
        (SONAME, 1),
        (STRING_TABLE, strings_at),
        (STRINGS_SIZE, len(strings)),
        (SYMBOL_TABLE, symbols_at),
        (SYMBOL_SIZE, len(null_symbol)),
        (END, 0),
    )
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    size = dynamic_at + len(dynamic)
    identification = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")  # 64 bits, little-endian, version 1
    header = identification + struct.pack(
        "<HHIQQQIHHHHHH", SHARED_OBJECT, ARM64, 1, 0, HEADER, 0, 0, HEADER, SEGMENT, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", LOAD, READ_WRITE, 0, 0, 0, size, size, 1 << 16)
    place = (DYNAMIC, READ_WRITE, dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 8)
    return header + load + struct.pack("<IIQQQQQQ", *place) + strings + null_symbol + dynamic
