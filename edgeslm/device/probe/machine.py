"""What this device is, and the state it is in: plain files of Linux, read and believed only where they make sense.

Sources: Documentation/admin-guide/cputopology, cpu-freq and thermal of the Linux kernel; Raspberry Pi firmware's
`get_throttled` (https://www.raspberrypi.com/documentation/computers/os.html, vcgencmd).
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from .emulator import virtual_machine

# Main ID register's part numbers of Arm's own cores (implementer 0x41), from their technical reference manuals.
ARM_CORES = {
    0xD03: "cortex-a53",
    0xD04: "cortex-a35",
    0xD05: "cortex-a55",
    0xD07: "cortex-a57",
    0xD08: "cortex-a72",
    0xD09: "cortex-a73",
    0xD0A: "cortex-a75",
    0xD0B: "cortex-a76",
    0xD0D: "cortex-a77",
    0xD41: "cortex-a78",
}
CPU = "sys/devices/system/cpu"
THROTTLED_NOW = 0b0110
"""Raspberry Pi: bit 1 the clock is capped, bit 2 throttled; bits 17 and 18 the same since boot."""
THROTTLED_SINCE_BOOT = THROTTLED_NOW << 16


def describe_device(root: Path = Path("/")) -> dict[str, Any]:
    """What does not change while a probe runs. None where the device does not tell."""
    cpuinfo = _text(root / "proc/cpuinfo") or ""
    core = _core(cpuinfo)
    memory = _meminfo(root, "MemTotal")
    return {
        "machine": platform.machine(),
        "cpu": _field(cpuinfo, "model name") or core,
        "core": core,
        "cores": os.cpu_count() or 1,
        "board": _board(root, cpuinfo),
        "virtual": virtual_machine(root),
        "clock_max_mhz": _highest(root, "cpufreq/cpuinfo_max_freq", 1e-3),
        "memory_mib": memory,
        "system": _system(root),
        "kernel": platform.release() or None,
        "glibc": platform.libc_ver()[1] or None,
    }


def condition(root: Path = Path("/")) -> dict[str, Any]:
    """The device's state now: what may explain why one run was slower than another."""
    try:
        load: float | None = os.getloadavg()[0]
    except OSError:
        load = None
    return {
        "clock_mhz": _highest(root, "cpufreq/scaling_cur_freq", 1e-3),
        "governor": _text(root / CPU / "cpu0/cpufreq/scaling_governor"),
        "temperature_c": _temperature(root),
        "throttle_events": _throttle_events(root),
        "load_average": load,
        "memory_available_mib": _meminfo(root, "MemAvailable"),
        "throttled_bits": _throttled_bits(root),
    }


def has_throttled(before: dict[str, Any], after: dict[str, Any]) -> bool | None:
    """Whether the device slowed itself down in between; None where it does not tell."""
    bits = after["throttled_bits"]
    if bits is not None:
        # "Since boot" that was not there before happened now.
        fresh = bits & ~(before["throttled_bits"] or 0) & THROTTLED_SINCE_BOOT
        return bool(bits & THROTTLED_NOW or fresh)
    counted = (before["throttle_events"], after["throttle_events"])
    return None if None in counted else counted[1] > counted[0]


def _core(cpuinfo: str) -> str | None:
    implementer, part = _field(cpuinfo, "CPU implementer"), _field(cpuinfo, "CPU part")
    try:
        return ARM_CORES.get(int(part, 16)) if implementer == "0x41" and part else None
    except ValueError:
        return None


def _board(root: Path, cpuinfo: str) -> str | None:
    model = _text(root / "proc/device-tree/model")
    return model.rstrip("\0") if model else _field(cpuinfo, "Model")


def _system(root: Path) -> str | None:
    for line in (_text(root / "etc/os-release") or "").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return None


def _temperature(root: Path) -> float | None:
    """The hottest zone in degrees Celsius; zones that report nonsense are left out."""
    zones = [_number(path / "temp") for path in (root / "sys/class/thermal").glob("thermal_zone*")]
    degrees = [zone / 1000 for zone in zones if zone is not None]
    return max((value for value in degrees if -40 < value < 150), default=None)


def _throttle_events(root: Path) -> int | None:
    counts = [
        _number(path)
        for path in (root / CPU).glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
        if path.name in {"core_throttle_count", "package_throttle_count"}
    ]
    known = [int(count) for count in counts if count is not None]
    return sum(known) if known else None


def _throttled_bits(root: Path) -> int | None:
    text = _text(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def _highest(root: Path, name: str, scale: float) -> float | None:
    values = [_number(path / name) for path in (root / CPU).glob("cpu[0-9]*")]
    known = [value * scale for value in values if value is not None]
    return max(known, default=None)


def _meminfo(root: Path, name: str) -> float | None:
    value = _field(_text(root / "proc/meminfo") or "", name)
    try:
        return int(value.split()[0]) / 1024 if value else None
    except ValueError:
        return None


def _field(text: str, name: str) -> str | None:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name and value.strip():
            return value.strip()
    return None


def _number(path: Path) -> float | None:
    text = _text(path)
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:  # not there, or a sensor that does not answer
        return None
