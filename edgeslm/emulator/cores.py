"""What a core shows of itself to the programs that run on it.

Runtimes choose kernels by /proc/cpuinfo and /sys/devices/system/cpu; with an x86 machine's ones LiteRT crashes. So
each emulated core has plain files of its own there, in a root that shares everything else by links.
"""

from __future__ import annotations

from pathlib import Path

# The main ID register of each core, as on a Raspberry Pi 3, 4 and 5: 0x41 is Arm, then variant, part and revision.
MAIN_ID = {"cortex-a53": 0x410FD034, "cortex-a72": 0x410FD083, "cortex-a76": 0x414FD0B1}
CPU_FEATURES = {
    "cortex-a53": "fp asimd evtstrm crc32 cpuid",
    "cortex-a72": "fp asimd evtstrm crc32 cpuid",
    "cortex-a76": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
}
CPUS = 4
BOARD = "Raspberry Pi 4 Model B Rev 1.4"
OWN = frozenset({"proc", "sys", "home", "tmp", "dev", "root"})
"""Not linked: /proc and /sys are the core's; programs keep the machine's own /dev and /tmp and see nobody's home."""


def lay_root(root: Path, core: str, system: Path) -> None:
    """Make `root`: the core's own view of its CPU as plain files, and links to the rest of `system`."""
    root.mkdir()
    for folder in ("proc", "sys", "home"):
        (root / folder).mkdir()
    for entry in system.iterdir():
        if entry.name not in OWN:
            (root / entry.name).symlink_to(entry.resolve())
    (root / "proc/cpuinfo").write_text(cpuinfo(core))
    lay_processors(root / "sys/devices/system/cpu", core)


def cpuinfo(core: str) -> str:
    """/proc/cpuinfo as Linux writes it on arm64."""
    identity = MAIN_ID[core]
    processors = [
        f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: {CPU_FEATURES[core]}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: {identity >> 20 & 0xF:#x}\nCPU part\t: {identity >> 4 & 0xFFF:#x}\n"
        f"CPU revision\t: {identity & 0xF}\n"
        for number in range(CPUS)
    ]
    return "\n".join([*processors, f"Revision\t: c03114\nModel\t\t: {BOARD}\n"])


def lay_processors(folder: Path, core: str) -> None:
    """/sys/devices/system/cpu with one cluster of CPUS cores."""
    for number in range(CPUS):
        processor = folder / f"cpu{number}"
        files = {
            "topology/physical_package_id": "0",
            "topology/core_id": f"{number}",
            "topology/core_siblings_list": f"0-{CPUS - 1}",
            "topology/thread_siblings_list": f"{number}",
            "regs/identification/midr_el1": f"{MAIN_ID[core]:#018x}",
            "cpufreq/cpuinfo_max_freq": "1500000",
            "cpufreq/cpuinfo_min_freq": "600000",
        }
        for name, content in files.items():
            (processor / name).parent.mkdir(parents=True, exist_ok=True)
            (processor / name).write_text(content + "\n")
    for name in ("possible", "present", "online"):
        (folder / name).write_text(f"0-{CPUS - 1}\n")
