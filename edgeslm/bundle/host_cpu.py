"""Which SIMD features the CPU has that a model was scored on."""

from __future__ import annotations

from pathlib import Path

# What kernels are chosen by: models may differ in the last bits between CPUs that differ in these. Everything else in
# /proc/cpuinfo changes with the kernel and says nothing about the scores.
PREFIXES = {
    "flags": ("avx", "amx", "sse4", "fma", "f16c"),  # x86
    "Features": ("asimd", "sve", "sme", "i8mm", "bf16", "fphp"),  # Arm
}


def host_cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """Their names as Linux gives them, in order; () where the system does not say."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return ()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in PREFIXES:
            return tuple(sorted(flag for flag in set(value.split()) if flag.startswith(PREFIXES[key.strip()])))
    return ()
