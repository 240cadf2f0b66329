"""Is this a device at all? An emulator's times say nothing about any device, so it must not pass for one."""

from __future__ import annotations

import platform
from pathlib import Path

# e_machine in an ELF header: System V ABI, processor supplements.
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
VIRTUAL = (
    "qemu",
    "kvm",
    "vmware",
    "virtualbox",
    "xen",
    "hyper-v",
    "microsoft corporation",
    "dummy-virt",
    "firecracker",
)


def is_emulated(root: Path = Path("/"), machine: str | None = None) -> bool:
    """Whether this program runs under an emulator of another instruction set (qemu-user).

    Linux tells what really runs: the executable of this thread is then the emulator, built for another machine.
    qemu-user shows /proc/self/exe as the program, but not /proc/thread-self/exe (QEMU 7.2 to 10, proot 5.1).
    """
    wanted = ELF_MACHINES.get(machine or platform.machine())
    try:
        with (root / "proc/thread-self/exe").open("rb") as executable:
            header = executable.read(20)
    except OSError:
        return False
    if wanted is None or len(header) < 20 or header[:4] != b"\x7fELF":
        return False
    return int.from_bytes(header[18:20], "little") != wanted


def virtual_machine(root: Path = Path("/")) -> str | None:
    """The hypervisor or machine emulator, where it shows itself; its times are those of a shared machine."""
    for name in ("sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name", "proc/device-tree/compatible"):
        try:
            told = (root / name).read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if any(word in told.lower() for word in VIRTUAL):
            return told
    try:
        flags = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return None
    hypervisor = any(line.startswith("flags") and " hypervisor" in line for line in flags.splitlines())
    return "a hypervisor that does not give its name" if hypervisor else None
