"""Targets: the device a bundle is built for, as flat facts in a TOML file.

A target states facts only; what follows from them (ISA features, what fits, which backend) is computed.
Every mistake in a file is reported at once, a line each.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from edgeslm.chips.check import chip_mistakes
from edgeslm.chips.chip import CHIPS, chips_of
from edgeslm.errors import TargetError

Arch = Literal["aarch64", "x86_64", "armv6-m", "armv7-m", "armv7e-m", "armv8-m.main", "armv8.1-m.main"]
"""As Linux names machines, and GCC's -march the profiles of microcontrollers."""
Template = Literal["mps2", "mps2-an505", "mps3-an547", "rp2040", "rp2350", "stm32f4", "stm32g0", "stm32h7", "stm32u5"]
"""A folder of firmware_templates/boards."""


@dataclass(frozen=True)
class Core:
    """What a CPU core can do, from its vendor's technical reference manual."""

    arch: Arch
    isa: frozenset[str]

    @property
    def is_microcontroller(self) -> bool:
        """Whether programs run on it with no system underneath: Arm's M profile."""
        return self.arch.startswith("armv")


# ISA features by core. neon: 128-bit SIMD; dotprod: int8 dot products (SDOT, VNNI); fp16: half-precision
# arithmetic; i8mm: int8 matrix products. Of microcontrollers, thumb2: 32-bit instructions and a hardware divider; dsp:
# products of pairs of halfwords; fpu: single precision; mve: Helium with floats. sse4.2: what Android asks of x86-64.
CORES: dict[str, Core] = {
    "cortex-a53": Core("aarch64", frozenset({"neon"})),  # Arm DDI 0500: Armv8.0-A
    "cortex-a55": Core("aarch64", frozenset({"neon", "fp16", "dotprod"})),  # Arm 100442: Armv8.2-A
    "cortex-a72": Core("aarch64", frozenset({"neon"})),  # Arm 100095: Armv8.0-A
    "cortex-a76": Core("aarch64", frozenset({"neon", "fp16", "dotprod"})),  # Arm 100798: Armv8.2-A
    "cortex-a78": Core("aarch64", frozenset({"neon", "fp16", "dotprod"})),  # Arm 101430: Armv8.2-A
    "cortex-a510": Core("aarch64", frozenset({"neon", "fp16", "dotprod", "i8mm"})),  # Arm 101604: Armv9.0-A
    "cortex-a710": Core("aarch64", frozenset({"neon", "fp16", "dotprod", "i8mm"})),  # Arm 101800: Armv9.0-A
    "x86-64-v2": Core("x86_64", frozenset({"sse4.2"})),  # x86-64 psABI, microarchitecture level 2
    "x86-64-v3": Core("x86_64", frozenset({"avx2", "fma", "f16c"})),  # x86-64 psABI, microarchitecture level 3
    "cortex-m0plus": Core("armv6-m", frozenset()),  # Arm DDI 0484
    "cortex-m3": Core("armv7-m", frozenset({"thumb2"})),  # Arm 100165
    "cortex-m4": Core("armv7e-m", frozenset({"thumb2", "dsp", "fpu"})),  # Arm 100166, with the optional FPU
    "cortex-m7": Core("armv7e-m", frozenset({"thumb2", "dsp", "fpu"})),  # Arm DDI 0489, with the optional FPU
    "cortex-m33": Core("armv8-m.main", frozenset({"thumb2", "dsp", "fpu"})),  # Arm 100230, with both options
    "cortex-m55": Core("armv8.1-m.main", frozenset({"thumb2", "dsp", "fpu", "mve"})),  # Arm 101051, with both options
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cpu(_Strict):
    arch: Arch
    core: str
    cores: int = Field(ge=1, le=256)
    clock_mhz: int = Field(ge=1, le=10_000)

    @model_validator(mode="after")
    def require_known_core(self) -> Cpu:
        core = CORES.get(self.core)
        if core is None:
            raise ValueError(f"core {self.core!r} is not known; known: {', '.join(sorted(CORES))}")
        if core.arch != self.arch:
            raise ValueError(f"core {self.core} is {core.arch}, not {self.arch}")
        return self

    @property
    def isa(self) -> frozenset[str]:
        return CORES[self.core].isa


class Memory(_Strict):
    ram_kib: int = Field(gt=0)
    storage_kib: int = Field(gt=0)
    bandwidth_mib_s: int = Field(gt=0)

    @property
    def ram_text(self) -> str:
        return _amount(self.ram_kib)

    @property
    def storage_text(self) -> str:
        return _amount(self.storage_kib)


def _amount(kib: int) -> str:
    """A microcontroller's in KiB, anything larger in MiB."""
    return f"{kib >> 10} MiB" if kib >= 8192 else f"{kib} KiB"


ADDRESSES = 1 << 32
UsbId = Annotated[str, Field(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]
"""Vendor and product, as lsusb prints them."""
WAY_TO_PROBE = {"linux": "linux", "firmware": "serial", "android": "adb"}
LEAST_SDK = 26
"""Of the Android library: the API level of Android 8.0."""
ABI_OF = {"aarch64": "arm64-v8a", "x86_64": "x86_64"}
"""Android's names of Linux's machines."""


class Firmware(_Strict):
    """Where a microcontroller's memories begin, how its clock and its UART are wired, and how a program gets into it.

    `chip` and what follows are there exactly where `template` is for chips of silicon (edgeslm.chips). `oscillator`:
    the one in the chip, a crystal on its pins, or a clock that another part of the board feeds into them.
    """

    template: Template
    chip: str | None = Field(default=None, validate_default=True)
    uart: str | None = Field(default=None, validate_default=True)
    tx: str | None = Field(default=None, validate_default=True)
    rx: str | None = Field(default=None, validate_default=True)
    oscillator: Literal["internal", "crystal", "clock"] = Field(default="internal", validate_default=True)
    oscillator_khz: int | None = Field(default=None, gt=0, validate_default=True)
    flash_origin: int = Field(ge=0, lt=ADDRESSES, multiple_of=1024)
    ram_origin: int = Field(ge=0, lt=ADDRESSES, multiple_of=1024)
    flasher: Literal["qemu", "openocd", "pyocd", "uf2"]
    pyocd: str | None = Field(default=None, min_length=1)
    openocd: str | None = Field(default=None, min_length=1)
    uf2_family: int | None = Field(default=None, ge=0, lt=ADDRESSES)
    uf2_volume: str | None = Field(default=None, min_length=1, max_length=11)
    usb: tuple[UsbId, ...] = ()

    @field_validator("chip")
    @classmethod
    def require_chip_of_template(cls, chip: str | None, info: ValidationInfo) -> str | None:
        template = info.data.get("template")
        if template is None:
            return chip
        known = chips_of(template)
        if known and chip is None:
            raise ValueError(f"Field required, since template is {template}: {' or '.join(known)}")
        if chip is not None and chip not in known:
            raise ValueError(f"is {chip!r}; {template} is for {' or '.join(known) or 'no chip'}")
        return chip

    @field_validator("uart")
    @classmethod
    def require_uart_of_chip(cls, uart: str | None, info: ValidationInfo) -> str | None:
        chip = info.data.get("chip")
        return _wired(uart, info, "UARTs", list(CHIPS[chip].uarts) if chip else None)

    @field_validator("tx", "rx")
    @classmethod
    def require_pin_of_uart(cls, pin: str | None, info: ValidationInfo) -> str | None:
        chip, uart = info.data.get("chip"), info.data.get("uart")
        pins = list(getattr(CHIPS[chip].uarts[uart], info.field_name or "")) if chip and uart else None
        return _wired(pin, info, f"pins of {uart}", pins)

    @field_validator("oscillator")
    @classmethod
    def require_oscillator_of_chip(cls, oscillator: str, info: ValidationInfo) -> str:
        chip = info.data.get("chip")
        if oscillator != "internal" and _no_chips(info):
            raise ValueError(_NO_CHIP)
        if chip is not None and oscillator == "internal" and CHIPS[chip].internal_hz is None:
            raise ValueError(f"{chip} has no oscillator of its own that a UART can go by: 'crystal' or 'clock'")
        return oscillator

    @field_validator("oscillator_khz")
    @classmethod
    def require_frequency_of_oscillator(cls, khz: int | None, info: ValidationInfo) -> int | None:
        chip, oscillator = info.data.get("chip"), info.data.get("oscillator")
        if oscillator == "internal" and khz is not None:
            raise ValueError("is there, but oscillator is 'internal', whose frequency is the chip's")
        if chip is None or oscillator in (None, "internal"):
            return khz
        low, high = CHIPS[chip].oscillator_hz
        if khz is None:
            raise ValueError(f"Field required, since oscillator is {oscillator!r}")
        if not low <= 1000 * khz <= high:
            raise ValueError(f"{chip} takes {low // 1000} to {high // 1000} kHz on its pins")
        return khz


_NO_CHIP = "is there, but template is for no chip of silicon"


def _no_chips(info: ValidationInfo) -> bool:
    template = info.data.get("template")
    return template is not None and not chips_of(template)


def _wired(given: str | None, info: ValidationInfo, what: str, known: list[str] | None) -> str | None:
    """`known`: what the chip has; None where another mistake leaves that open."""
    template = info.data.get("template")
    if template is None:
        return given
    if _no_chips(info):
        if given is not None:
            raise ValueError(_NO_CHIP)
        return None
    if given is None:
        raise ValueError(f"Field required, since template is {template}" + (f": {', '.join(known)}" if known else ""))
    if known is not None and given not in known:
        raise ValueError(f"{given!r} is none of {info.data['chip']}'s {what}: {', '.join(known)}")
    return given


class Android(_Strict):
    """What of a phone an app asks for: the ABI of its native libraries, and the least API level."""

    abi: Literal["arm64-v8a", "x86_64"]
    min_sdk: int = Field(ge=LEAST_SDK, lt=100)


class Target(_Strict):
    """One device. `name` is the stem of its file; `firmware` and `android` are there exactly when packaging is that."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str = Field(min_length=1)
    packaging: Literal["linux", "firmware", "android"]
    probe: Literal["linux", "serial", "adb"]
    cpu: Cpu
    memory: Memory
    firmware: Firmware | None = Field(default=None, validate_default=True)
    android: Android | None = Field(default=None, validate_default=True)

    @field_validator("probe")
    @classmethod
    def require_way_of_packaging(cls, probe: str, info: ValidationInfo) -> str:
        wanted = WAY_TO_PROBE.get(info.data.get("packaging", ""), probe)
        if probe != wanted:
            raise ValueError(f"is {probe!r}, but {info.data['packaging']} is measured by {wanted!r}")
        return probe

    @field_validator("cpu")
    @classmethod
    def require_core_of_packaging(cls, cpu: Cpu, info: ValidationInfo) -> Cpu:
        packaging, small = info.data.get("packaging"), CORES[cpu.core].is_microcontroller
        if packaging == "firmware" and not small:
            raise ValueError(f"firmware wants a microcontroller, and {cpu.core} is none")
        if packaging in ("linux", "android") and small:
            raise ValueError(f"{cpu.core} is a microcontroller: it runs no {packaging.capitalize()}")
        return cpu

    @field_validator("firmware")
    @classmethod
    def require_firmware_of_packaging(cls, firmware: Firmware | None, info: ValidationInfo) -> Firmware | None:
        packaging, memory = info.data.get("packaging"), info.data.get("memory")
        if packaging == "firmware" and firmware is None:
            raise ValueError("Field required, since packaging is firmware")
        if packaging in ("linux", "android") and firmware is not None:
            raise ValueError(f"is there, but packaging is {packaging}")
        if firmware is not None and memory is not None:
            flash, ram = firmware.flash_origin, firmware.ram_origin
            ends = {"flash": flash + 1024 * memory.storage_kib, "RAM": ram + 1024 * memory.ram_kib}
            for kind, end in ends.items():
                if end > ADDRESSES:
                    raise ValueError(f"{kind} ends at {end:#x}, behind the last address")
            if flash < ends["RAM"] and ram < ends["flash"]:
                raise ValueError(f"flash from {flash:#x} to {ends['flash']:#x} and RAM from {ram:#x} overlap")
        return firmware

    @field_validator("android")
    @classmethod
    def require_android_of_packaging(cls, android: Android | None, info: ValidationInfo) -> Android | None:
        packaging, cpu = info.data.get("packaging"), info.data.get("cpu")
        if packaging == "android" and android is None:
            raise ValueError("Field required, since packaging is android")
        if packaging in ("linux", "firmware") and android is not None:
            raise ValueError(f"is there, but packaging is {packaging}")
        if android is not None and cpu is not None and android.abi != ABI_OF.get(cpu.arch):
            raise ValueError(f"abi is {android.abi!r}, but {cpu.core} is {cpu.arch}: {ABI_OF.get(cpu.arch, 'none')!r}")
        return android

    @property
    def is_firmware(self) -> bool:
        return self.packaging == "firmware"

    @property
    def is_android(self) -> bool:
        return self.packaging == "android"


def _built_in() -> dict[str, str]:
    folder = resources.files("edgeslm.targets")
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


def list_targets() -> list[Target]:
    """All built-in targets, by name."""
    return [parse_target(text, name, f"{name}.toml") for name, text in sorted(_built_in().items())]


def load_target(name: str) -> Target:
    """A built-in target by name, or the target in the file that a path ending in .toml names."""
    if name.endswith(".toml"):
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TargetError(
                f"target file {path} cannot be read: {error}", "edgeslm targets lists the built-in ones"
            ) from None
        return parse_target(text, path.stem, str(path))
    built_in = _built_in()
    if name not in built_in:
        near = difflib.get_close_matches(name, built_in, n=3, cutoff=0.4)
        raise TargetError(
            f"no target is named {name!r}",
            f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(built_in))}",
        )
    return parse_target(built_in[name], name, f"{name}.toml")


def parse_target(text: str, stem: str, where: str) -> Target:
    """Check a target file's text. Raises TargetError with all its mistakes."""
    try:
        facts = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{where} is not valid TOML: {error}") from None
    mistakes: list[str] = []
    target = None
    try:
        target = Target.model_validate(facts)
    except ValidationError as error:
        mistakes += [
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
    mistakes += chip_mistakes(facts)
    if isinstance(facts.get("name"), str) and facts["name"] != stem:
        mistakes.append(f"name: is {facts['name']!r}, but the file is named {stem!r}")
    if mistakes or target is None:
        count = len(mistakes)
        lines = "\n".join(f"         {mistake}" for mistake in mistakes)
        raise TargetError(
            f"{where} has {count} mistake{'s' if count > 1 else ''}\n{lines}",
            "docs/adding-a-target.md describes every key",
        )
    return target
