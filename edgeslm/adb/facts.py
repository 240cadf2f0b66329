"""What a device says of itself, and whether it can take a bundle: asked before anything is copied to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeslm.adb.device import Device
from edgeslm.adb.shell import run_script
from edgeslm.errors import DeviceError, UnfitDeviceError
from edgeslm.target import LEAST_SDK

FOLDER = "/data/local/tmp"
"""Where the user of adb's shell may write files and run them."""
MARGIN_BYTES = 64 << 20
"""What stays free beside what is copied: packed weights, and the device's own business."""
EMULATORS = ("goldfish", "ranchu", "cutf_cvm", "vsoc", "vbox86", "cheets", "arc", "windows")
"""ro.hardware of Android where it is no device: the SDK's emulators, Cuttlefish, Genymotion, ChromeOS, Windows."""

_SCRIPT = """
getprop
echo "edgeslm-machine $(uname -m)"
if [ -d "$1" ] && [ -w "$1" ] && [ -x "$1" ]; then echo edgeslm-writable; fi
df -k "$1"
"""
_PROPERTY = re.compile(r"\[(?P<name>[^]]+)]: \[(?P<value>.*)]")
_FREE = re.compile(r".* (?P<kib>\d+) +\d+% .*")
"""A line of df: the blocks that are free, and the share that is used."""
_ABIS = "ro.product.cpu.abilist"


@dataclass(frozen=True)
class Facts:
    """What a device says of itself; "" or None where it does not."""

    abis: tuple[str, ...]  # the preferred one first: arm64-v8a, armeabi-v7a
    sdk: int | None  # API level
    release: str  # Android's version: "14"
    manufacturer: str
    model: str
    hardware: str
    soc: str
    emulator: bool  # Android's emulator, or another machine that is no device
    fingerprint: str
    machine: str  # uname's
    free_bytes: int | None  # where FOLDER lies
    writable: bool  # FOLDER

    @property
    def title(self) -> str:
        """Maker and model, the maker once."""
        if self.model.lower().startswith(self.manufacturer.lower()):
            return self.model or "an Android device"
        return f"{self.manufacturer} {self.model}"


def ask_facts(device: Device) -> Facts:
    """Look at the device. Changes nothing there. Raises DeviceError where it does not answer as Android does."""
    ended = run_script(device, _SCRIPT, FOLDER, doing="looking at the device")
    facts = parse_facts(ended.stdout)
    if not facts.abis:
        raise DeviceError(
            f"{device} does not answer as Android does: getprop tells no {_ABIS}",
            f"a Linux device is measured with --via ssh://user@host; the log is {device.log}",
        )
    return facts


def parse_facts(text: str) -> Facts:
    """What the script printed. What is no number where one belongs is None; a line of another form is passed over."""
    lines = text.splitlines()
    properties = {read["name"]: read["value"].strip() for read in map(_PROPERTY.fullmatch, lines) if read}
    free = [int(read["kib"]) for read in map(_FREE.fullmatch, lines) if read]

    def told(name: str) -> str:
        return properties.get(f"ro.{name}", "")

    sdk = told("build.version.sdk")
    return Facts(
        abis=tuple(filter(None, properties.get(_ABIS, "").split(","))),
        sdk=int(sdk) if sdk.isascii() and sdk.isdigit() and len(sdk) < 6 else None,
        release=told("build.version.release"),
        manufacturer=told("product.manufacturer"),
        model=told("product.model"),
        hardware=told("hardware"),
        soc=told("soc.model"),
        emulator="1" in (told("kernel.qemu"), told("boot.qemu")) or told("hardware").lower() in EMULATORS,
        fingerprint=told("build.fingerprint"),
        machine=next((line.partition(" ")[2] for line in lines if line.startswith("edgeslm-machine ")), ""),
        free_bytes=free[-1] << 10 if free else None,
        writable="edgeslm-writable" in lines,
    )


def require_fit(device: Device, facts: Facts, abi: str, min_sdk: int = LEAST_SDK) -> None:
    """Raises UnfitDeviceError with everything that is not as a bundle for `abi` ("arm64-v8a") needs it."""
    problems = []
    if abi not in facts.abis:
        problems.append(
            f"it runs {', '.join(facts.abis)}, and the bundle is for {abi}"
            " -> edgeslm targets lists what a bundle can be built for"
        )
    if facts.sdk is None or facts.sdk < min_sdk:
        level = "does not tell its API level" if facts.sdk is None else f"has API level {facts.sdk}"
        problems.append(f"it {level} (Android {facts.release or 'unknown'}), and {min_sdk} is the least")
    if problems:
        raise _unfit(device, facts, problems, "take another device: nothing was copied to this one")


def require_room(device: Device, facts: Facts, wanted: int) -> None:
    """Raises UnfitDeviceError where FOLDER cannot take `wanted` bytes and MARGIN_BYTES beside them."""
    problems = []
    if not facts.writable:
        problems.append(f"{FOLDER} cannot be written by adb's shell")
    if facts.free_bytes is not None and facts.free_bytes < wanted + MARGIN_BYTES:
        problems.append(
            f"{FOLDER} has {_mb(facts.free_bytes)} free, and {_mb(wanted + MARGIN_BYTES)} are needed: {_mb(wanted)} "
            f"for the bundle and a Python to run it, {_mb(MARGIN_BYTES)} to spare"
        )
    if problems:
        raise _unfit(device, facts, problems, "free some space there; nothing was copied yet")


def _unfit(device: Device, facts: Facts, problems: list[str], hint: str) -> UnfitDeviceError:
    lines = "\n".join(f"         - {problem}" for problem in problems)
    return UnfitDeviceError(f"{device} ({facts.title}) is not what this bundle needs:\n{lines}", hint)


def _mb(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
