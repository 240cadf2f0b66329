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
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeslm.errors import TargetError

Arch = Literal["aarch64", "x86_64"]


@dataclass(frozen=True)
class Core:
    """What a CPU core can do, from its vendor's technical reference manual."""

    arch: Arch
    isa: frozenset[str]


# ISA features by core. neon: 128-bit SIMD; dotprod: int8 dot products (SDOT, VNNI); fp16: half-precision
# arithmetic; i8mm: int8 matrix products.
CORES: dict[str, Core] = {
    "cortex-a53": Core("aarch64", frozenset({"neon"})),  # Arm DDI 0500: Armv8.0-A
    "cortex-a72": Core("aarch64", frozenset({"neon"})),  # Arm 100095: Armv8.0-A
    "cortex-a76": Core("aarch64", frozenset({"neon", "fp16", "dotprod"})),  # Arm 100798: Armv8.2-A
    "x86-64-v3": Core("x86_64", frozenset({"avx2", "fma", "f16c"})),  # x86-64 psABI, microarchitecture level 3
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


class Target(_Strict):
    """One device. `name` is the stem of its file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str = Field(min_length=1)
    packaging: Literal["linux"]
    probe: Literal["linux"]
    cpu: Cpu
    memory: Memory


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
