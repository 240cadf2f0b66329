"""What a plan must keep to on its device, and how amounts are written: "14MB", "25ms", "20M"."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edgeslm.errors import ConfigError

Objective = Literal["fidelity", "size", "ram", "latency", "instructions"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
COUNTS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s?([A-Za-z]*)")


@dataclass(frozen=True)
class Limits:
    """None where there is no limit. `objective` is what is to be best under them; None is fidelity.

    Bytes are those of the model's files, and of one process's resident memory; latency and instructions are one
    inference's at the profile's reference length, or one token's.
    """

    size: int | None = None
    ram: int | None = None
    latency_ms: float | None = None
    instructions: float | None = None
    objective: Objective | None = None
    profile: Path | None = None  # a target profile, in the place of the shipped one

    @property
    def asked(self) -> bool:
        """Whether a plan is to be searched for."""
        values = (self.size, self.ram, self.latency_ms, self.instructions, self.objective)
        return any(value is not None for value in values)

    @property
    def flags(self) -> tuple[str, ...]:
        """As a command line has them."""
        found = []
        if self.size is not None:
            found.append(f"--max-size {self.size}B")
        if self.ram is not None:
            found.append(f"--max-ram {self.ram}B")
        if self.latency_ms is not None:
            found.append(f"--max-latency {self.latency_ms:g}ms")
        if self.instructions is not None:
            found.append(f"--max-instructions {self.instructions:.0f}")
        if self.objective is not None:
            found.append(f"--objective {self.objective}")
        if self.profile is not None:
            found.append(f"--target-profile {self.profile}")
        return tuple(found)


NO_LIMITS = Limits()


def parse_bytes(text: str) -> int:
    """Raises ConfigError for what is no size."""
    return math.floor(_parse(text, "a size", "14MB", BYTES))


def parse_milliseconds(text: str) -> float:
    return _parse(text, "a time", "25ms", MILLISECONDS)


def parse_count(text: str) -> float:
    return _parse(text, "a number of instructions", "20M", COUNTS)


def _parse(text: str, what: str, example: str, units: Mapping[str, float]) -> float:
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or found[2] not in units:
        known = ", ".join(unit for unit in units if unit)
        raise ConfigError(
            f"{text!r} is not {what}", f"{_meant(found, units)}a number and one of {known}, as in {example}"
        )
    value = float(found[1]) * units[found[2]]
    if not 0 < value < math.inf:
        raise ConfigError(f"{text!r} is not {what}: it must be more than zero", f"as in {example}")
    return value


def _meant(found: re.Match[str] | None, units: Mapping[str, float]) -> str:
    """A unit in other letters than there are."""
    near = [] if found is None or not found[2] else [unit for unit in units if unit.casefold() == found[2].casefold()]
    return "" if found is None or len(near) != 1 else f"did you mean {found[1]}{near[0]}? "


def amount(metric: str, value: float) -> str:
    """A value as it is shown: "13.98 MB", "21.4 ms", "0.9781"."""
    if metric in ("size", "ram"):
        return f"{value / 1e6:,.3f} MB" if value >= 1e6 else f"{value / 1e3:,.2f} kB"
    if metric == "latency":
        return f"{value:,.3g} ms"
    if metric == "instructions":
        return f"{value / 1e6:,.2f} M" if value >= 1e6 else f"{value:,.0f}"
    return f"{value:.6g}"


UNITS = {"MB": 1e6, "kB": 1e3, "M": 1e6}
"""What `amount` divides by."""


def amount_with_error(metric: str, value: float, plus_minus: float | None, held_out: int | None = None) -> str:
    """A prediction, the error in the unit of the value: "21.4 ms ± 1.2 (12 held-out shapes)"."""
    text = amount(metric, value)
    if plus_minus is None:
        return text
    number, _, unit = text.partition(" ")
    places = len(number.partition(".")[2])
    shapes = "" if held_out is None else f" ({held_out} held-out shapes)"
    return f"{text} ± {plus_minus / UNITS.get(unit, 1.0):,.{places}f}{shapes}"
