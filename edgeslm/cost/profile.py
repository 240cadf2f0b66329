"""What kernels cost on one core, as flat facts in a TOML file: laws by shape, with how far they were off.

A profile is measured on a device (`edgeslm profile-target`), or estimated from instruction counts under an emulator.
Several are shipped. Every mistake in a file is reported at once, a line each.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeslm.artifacts import Precision
from edgeslm.cost.kernels import STATIC, WEIGHTED, KernelCall
from edgeslm.cost.law import TERMS, Law, described, fit_law
from edgeslm.cost.points import KernelPoint, Points, Unit
from edgeslm.errors import ProfileError
from edgeslm.target import CORES, Target

Backend = Literal["tflite", "openvino", "cortexm"]
PROFILES = "edgeslm.cost.profiles"
RESOLUTION: dict[Unit, float] = {"instructions": 0.0, "ms": 1e-4}
"""Of one kernel's cost: a tenth of a microsecond is what sixteen of them together are told apart by."""
AT = "512 by 512, a row and 64 rows"
NO_SLOWER: dict[Unit, float] = {"instructions": 1.02, "ms": 1.1}
"""A precision that costs more than this times a finer one is called slow; times differ by as much from run to run."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KernelLaw(_Strict):
    """One [[kernel]] of the file; the terms are law.py's, those that are left out are zero."""

    backend: Backend
    kind: str = Field(min_length=1)
    precision: Precision = "fp32"
    group: int | None = Field(default=None, ge=1)
    row_tile: int = Field(default=1, ge=1, le=64)
    column_tile: int = Field(default=1, ge=1, le=256)
    depth_tile: int = Field(default=1, ge=1, le=256)
    wide_rows: int = Field(default=0, ge=0, le=256)
    call: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    batch: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    row: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    row_in: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    row_out: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    tile: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    depth: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    block: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    wide: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    wide_depth: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    pack: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    spread: float = Field(ge=0, allow_inf_nan=False)
    held_out: int = Field(ge=0)

    @model_validator(mode="after")
    def require_sense(self) -> KernelLaw:
        if self.group is not None and self.precision != "int4":
            raise ValueError(f"group is {self.group}, but precision is {self.precision}: int4 alone has blocks")
        if not any(self.terms):
            raise ValueError(f"{self.kind} costs nothing: one of {', '.join(TERMS)} must be more than 0")
        return self

    @property
    def terms(self) -> tuple[float, ...]:
        return tuple(float(getattr(self, name)) for name in TERMS)

    @property
    def law(self) -> Law:
        tiles = (self.row_tile, self.column_tile, self.depth_tile, self.wide_rows)
        return Law(*tiles, self.terms, self.group, self.spread, self.held_out)


class RunLaw(_Strict):
    """One [[run]]: what a whole run takes beside its kernels: the loop around the runtime, and each operator."""

    backend: Backend
    task: Literal["encoder", "decoder"]
    call: float = Field(ge=0, allow_inf_nan=False)
    operator: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    output: float = Field(default=0.0, ge=0, allow_inf_nan=False)  # for each number that is handed out


class Slow(_Strict):
    """One [[slow]]: a precision that costs as much as a finer one here or more, and why. Chosen only when size demands
    it. Without a group it is said of all. `only`: of this use alone, which no choice of a tensor makes."""

    backend: Backend
    precision: Precision
    group: int | None = Field(default=None, ge=1)
    than: Precision
    times: float = Field(ge=1, allow_inf_nan=False)
    why: str = Field(min_length=1)
    only: Literal["static activations", "static activations, without XNNPACK"] | None = None


class TargetProfile(_Strict):
    """One core. `measured` says whether a device of silicon was; else the figures are instructions of an emulator."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    core: str
    unit: Literal["instructions", "ms"]
    measured: bool
    device: str = Field(min_length=1)
    source: str = Field(min_length=1)
    threads: int = Field(default=1, ge=1, le=256)
    kernel: tuple[KernelLaw, ...]
    run: tuple[RunLaw, ...] = ()
    slow: tuple[Slow, ...] = ()

    @model_validator(mode="after")
    def require_consistent(self) -> TargetProfile:
        if self.core not in CORES:
            raise ValueError(f"core {self.core!r} is not known; known: {', '.join(sorted(CORES))}")
        if self.unit == "ms" and not self.measured:
            raise ValueError("unit is 'ms', but measured is false: no milliseconds can be had from an emulator")
        if not self.kernel:
            raise ValueError("there is no [[kernel]] in it")
        seen = [(law.backend, law.kind, law.precision, law.group) for law in self.kernel]
        twice = sorted({key for key in seen if seen.count(key) > 1}, key=str)
        if twice:
            named = ", ".join(" ".join(str(part) for part in key if part) for key in twice)
            raise ValueError(f"more than one kernel is {named}")
        return self

    def find(self, backend: str, kind: str, precision: Precision, group: int | None) -> KernelLaw | None:
        return next(
            (
                law
                for law in self.kernel
                if (law.backend, law.kind, law.precision, law.group) == (backend, kind, precision, group)
            ),
            None,
        )


def load_profile(path: Path) -> TargetProfile:
    """The profile in a file. Raises ProfileError with all its mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(
            f"target profile {path} cannot be read: {error}", "edgeslm profile-target -o FILE writes one"
        ) from None
    return parse_profile(text, str(path))


def parse_profile(text: str, where: str) -> TargetProfile:
    """Check a profile's text. Raises ProfileError with all its mistakes."""
    try:
        facts = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{where} is not valid TOML: {error}") from None
    try:
        return TargetProfile.model_validate(facts)
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
    lines = "\n".join(f"         {mistake}" for mistake in mistakes)
    raise ProfileError(
        f"{where} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}\n{lines}",
        "docs/target-profiles.md describes every key; edgeslm profile-target writes such a file",
    )


def shipped_profiles() -> list[TargetProfile]:
    """Those that come with edgeslm, by name."""
    folder = resources.files(PROFILES)
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda one: one.name)
    return [parse_profile(entry.read_text(encoding="utf-8"), entry.name) for entry in entries]


def find_profile(target: Target, path: Path | None = None) -> TargetProfile | None:
    """The profile for this target: the file's, else the shipped one of its core; None where none is shipped.

    Raises ProfileError for a file of another core.
    """
    if path is None:
        return next((one for one in shipped_profiles() if one.core == target.cpu.core), None)
    profile = load_profile(path)
    if profile.core != target.cpu.core:
        raise ProfileError(
            f"{path} is a profile of another core: {profile.core}, and {target.name} has a {target.cpu.core}",
            f"edgeslm profile-target --target {target.name} --via … measures it",
        )
    return profile


def fit_profile(points: Points, name: str, source: str, threads: int = 1, run: Sequence[RunLaw] = ()) -> TargetProfile:
    """Laws fitted to the points: of our own kernels on a microcontroller, else of the points' backend. Raises
    ProfileError where none took any time."""
    backend: Backend = "cortexm" if CORES[points.core].is_microcontroller else points.backend
    grouped: dict[tuple[str, Precision, int | None], list[KernelPoint]] = {}
    for point in points.points:
        grouped.setdefault((point.call.kind, point.precision, point.group), []).append(point)
    laws = []
    for (kind, precision, group), same in grouped.items():
        law = fit_law(_pairs(same, held=False), _pairs(same, held=True), group, RESOLUTION[points.unit])
        if any(law.terms):
            tiles = {"row_tile": law.row_tile, "column_tile": law.column_tile, "depth_tile": law.depth_tile}
            tiles["wide_rows"] = law.wide_rows
            facts = {"backend": backend, "kind": kind, "precision": precision, "group": group}
            spread = {"spread": law.spread, "held_out": law.held_out}
            laws.append(KernelLaw.model_validate(facts | tiles | described(law) | spread))
    if not laws:
        raise ProfileError(f"{points.device} was measured, and every kernel took no time at all")
    return TargetProfile(
        name=name,
        core=points.core,
        unit=points.unit,
        measured=not points.emulated,
        device=points.device,
        source=source,
        threads=threads,
        kernel=tuple(laws),
        run=tuple(run),
        slow=tuple(_slow(laws, points.backend, NO_SLOWER[points.unit])),
    )


def join_profiles(one: TargetProfile, other: TargetProfile) -> TargetProfile:
    """The first with the laws of the other's backends as well, which were measured on the same device."""
    joined = {name: (*getattr(one, name), *getattr(other, name)) for name in ("kernel", "run", "slow")}
    return one.model_copy(update=joined | {"source": f"{one.source}; {other.source}"})


def _pairs(points: Iterable[KernelPoint], *, held: bool) -> list[Any]:
    return [(point.call, point.cost) for point in points if point.held_out is held]


def _slow(laws: Sequence[KernelLaw], backend: Backend, no_slower: float) -> Iterable[Slow]:
    """Ways to store a matrix whose products cost more than a finer one's: at the shape of a small model's layer."""
    known = {(law.kind, law.precision, law.group): law.law for law in laws if law.kind in WEIGHTED}

    def cost(precision: Precision, group: int | None, kind: str = "") -> float | None:
        shapes = [KernelCall(f"gemv{kind}", 1, 512, 512), KernelCall(f"gemm{kind}", 64, 512, 512)]
        found = [known.get((shape.kind, precision, group)) for shape in shapes]
        if any(law is None for law in found):
            return None
        return sum(law.cost(shape) for law, shape in zip(found, shapes, strict=True) if law is not None)

    def slower(precision: Precision, group: int | None, than: Precision, kind: str = "") -> float | None:
        mine, other = cost(precision, group, kind), cost(than, None)
        return round(mine / other, 2) if mine and other and mine > no_slower * other else None

    for precision, group in dict.fromkeys((law.precision, law.group) for law in laws if law.precision == "int4"):
        if times := slower(precision, group, "int8"):
            why = f"blocks of {group} take {times:.2f} times what int8 takes ({AT})"
            yield Slow(backend=backend, precision=precision, group=group, than="int8", times=times, why=why)
    for coarse in ("fp16", "int8"):
        if times := slower(coarse, None, "fp32"):
            why = f"{coarse} takes {times:.2f} times what fp32 takes ({AT})"
            yield Slow(backend=backend, precision=coarse, than="fp32", times=times, why=why)
    if times := slower("int8", None, "int8", STATIC):
        why = f"static int8 takes {times:.2f} times what dynamic int8 takes ({AT})"
        yield Slow(backend=backend, precision="int8", than="int8", times=times, why=why, only="static activations")


def dump_profile(profile: TargetProfile) -> str:
    """The file's text: a table for each law. Parsed again it is the same profile."""
    facts = profile.model_dump(exclude_none=True, exclude={"kernel", "run", "slow"})
    lines = [f"{key} = {_value(value)}" for key, value in facts.items()]
    for table, rows in (("run", profile.run), ("slow", profile.slow), ("kernel", profile.kernel)):
        for row in rows:
            lines += ["", f"[[{table}]]"]
            told = row.model_dump(exclude_none=True, exclude_defaults=True)
            lines += [f"{key} = {_value(value)}" for key, value in told.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        import json

        return json.dumps(value, ensure_ascii=False)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
