"""What runs on the device (an emulated arm64 one, or this machine): open a bundle, run it, say what that took.

Usage: python measure_probe.py resident|instructions BUNDLE   (with the bundle's edgeslm_device importable)
Prints one JSON document. Imports nothing that a device does not have.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAGE = os.sysconf("SC_PAGE_SIZE")
TOKENS = 64
WARM, RUNS = 2, 3


def main() -> None:
    what, bundle = sys.argv[1], Path(sys.argv[2])
    print(json.dumps({"resident": measure_resident, "instructions": count_instructions}[what](bundle)))


def measure_resident(bundle: Path) -> dict[str, int]:
    """Resident bytes of this process before the model, and with it after a text of every length bucket.

    `peak` is the most it ever was; an emulator's own memory is taken off.
    """
    before = resident_bytes()
    model = open_model(bundle, threads=2)
    for tokens in model.manifest["model"]["lengths"] or (16, 32, 64, 128, 256):
        model.run(example(model.manifest, tokens))
    after = resident_bytes()
    emulator = status_bytes("VmRSS") - after
    return {"before": before, "after": after, "peak": max(after, status_bytes("VmHWM") - emulator)}


def count_instructions(bundle: Path) -> dict[str, int]:
    """Call the marker (getppid) around nothing, then around each of RUNS inferences."""
    model = open_model(bundle, threads=1)
    inputs = example(model.manifest, TOKENS)
    for _ in range(WARM):
        model.run(inputs)
    os.getppid()
    os.getppid()
    for _ in range(RUNS):
        os.getppid()
        model.run(inputs)
        os.getppid()
    return {"runs": RUNS}


def open_model(bundle: Path, threads: int) -> Any:
    from edgeslm_device import Model  # type: ignore[import-not-found]  # it lies in the bundle

    return Model.open(bundle, threads=threads)


def example(manifest: dict[str, Any], tokens: int) -> dict[str, NDArray[np.int32]]:
    """Inputs of one text of that many tokens, each (1, tokens) int32."""
    ids = np.random.default_rng(0).integers(1000, 29000, (1, tokens), dtype=np.int32)
    values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return {spec["name"]: values[spec["name"]] for spec in manifest["model"]["inputs"]}


def resident_bytes() -> int:
    """Bytes of this program's own mappings that are in memory.

    Counted page by page: under qemu-aarch64, /proc/self/maps lists the guest's mappings only, while every other
    figure of the kernel holds the emulator and its translated code too.
    """
    present = 0
    with open("/proc/self/maps") as maps, open("/proc/self/pagemap", "rb", buffering=0) as pages:
        for line in maps:
            start, end = (int(bound, 16) for bound in line.split()[0].split("-"))
            if start >= 1 << 47:  # the kernel's own page on x86-64
                continue
            pages.seek(start // PAGE * 8)
            entries = np.frombuffer(pages.read((end - start) // PAGE * 8), np.uint64)
            present += int((entries >> np.uint64(63)).sum())
    return present * PAGE


def status_bytes(name: str) -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
