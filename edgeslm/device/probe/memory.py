"""What this process takes of the device's memory, in bytes.

Under qemu-user all figures of the kernel hold the emulator and its translated code too, while /proc/self/maps lists
this program's own mappings only: there its pages are counted one by one.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
KERNEL = 1 << 47
"""Addresses from here on are the kernel's own page on x86-64."""
PRESENT, FILE_OR_SHARED = 1 << 63, 1 << 61
"""Bits of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap of the Linux kernel)."""


def memory(emulated: bool) -> dict[str, int | None]:
    """`rss`, `peak_rss` and `private` (not mapped from a file, not shared) now."""
    if emulated:
        rss, private = _own_pages()
        emulator = (_status("VmRSS") or rss) - rss
        return {"rss": rss, "peak_rss": max(rss, (_status("VmHWM") or 0) - emulator), "private": private}
    return {"rss": _status("VmRSS"), "peak_rss": _status("VmHWM"), "private": _status("RssAnon")}


def _own_pages() -> tuple[int, int]:
    present = private = 0
    with open("/proc/self/maps") as maps, open("/proc/self/pagemap", "rb", buffering=0) as pages:
        for line in maps:
            start, end = (int(bound, 16) for bound in line.split()[0].split("-"))
            if start >= KERNEL:
                continue
            pages.seek(start // PAGE * 8)
            content = pages.read((end - start) // PAGE * 8)
            for (entry,) in struct.iter_unpack("<Q", content[: len(content) // 8 * 8]):
                if entry & PRESENT:
                    present += 1
                    private += not entry & FILE_OR_SHARED
    return present * PAGE, private * PAGE


def _status(name: str) -> int | None:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None
