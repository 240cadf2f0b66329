"""What a board's facts say that its chip is not: a clock that the PLL cannot make, memory that is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from edgeslm.chips.chip import CHIPS, Chip, Memory
from edgeslm.chips.pll import MHZ


def oscillator_of(chip: Chip, firmware: Mapping[str, Any]) -> int | None:
    """Hz of what drives the PLL; None where the facts do not tell, or tell nonsense."""
    if firmware.get("oscillator", "internal") == "internal":
        return chip.internal_hz
    khz = firmware.get("oscillator_khz")
    return 1000 * khz if _is_count(khz) and _within(1000 * khz, chip.oscillator_hz) else None


def chip_mistakes(facts: Mapping[str, Any]) -> Iterator[str]:
    """Mistakes in a target's raw facts, each with its key before it. Wrong types are left to their own checks."""
    firmware, cpu, memory = (
        table if isinstance(table := facts.get(name), dict) else {} for name in ("firmware", "cpu", "memory")
    )
    name = firmware.get("chip")
    if not isinstance(name, str) or name not in CHIPS:
        return
    chip = CHIPS[name]
    core = cpu.get("core")
    if isinstance(core, str) and core != chip.core:
        yield f"cpu.core: {name} has a {chip.core}"
    yield from _clock_mistakes(name, chip, cpu.get("clock_mhz"), firmware)
    yield from _memory_mistakes("firmware.flash_origin", "storage", firmware, memory, name, (chip.flash,))
    yield from _memory_mistakes("firmware.ram_origin", "ram", firmware, memory, name, chip.ram)


def _clock_mistakes(name: str, chip: Chip, clock_mhz: object, firmware: Mapping[str, Any]) -> Iterator[str]:
    if not _is_count(clock_mhz):
        return
    clock = clock_mhz * MHZ
    if not _within(clock, chip.clock_hz):
        low, high = (hz // MHZ for hz in chip.clock_hz)
        yield f"cpu.clock_mhz: {name} runs at {low} to {high} MHz"
        return
    source = oscillator_of(chip, firmware)
    if source is not None and chip.pll.settle(source, clock) is None:
        near = _nearest(chip, source, clock_mhz)
        hint = f"; the nearest it makes is {near}" if near else ""
        yield f"cpu.clock_mhz: {name}'s PLL makes no {clock_mhz} MHz from {source / MHZ:g} MHz{hint}"


def _nearest(chip: Chip, source: int, wanted: int) -> int | None:
    low, high = (hz // MHZ for hz in chip.clock_hz)
    for clock in sorted(range(low, high + 1), key=lambda one: abs(one - wanted)):
        if chip.pll.settle(source, clock * MHZ):
            return clock
    return None


def _memory_mistakes(
    key: str,
    kind: str,
    firmware: Mapping[str, Any],
    memory: Mapping[str, Any],
    name: str,
    pieces: tuple[Memory, ...],
) -> Iterator[str]:
    origin, kib = firmware.get(key.partition(".")[2]), memory.get(f"{kind}_kib")
    if not isinstance(origin, int) or not _is_count(kib):
        return
    for piece in pieces:
        if origin == piece.origin:
            if kib > piece.kib:
                yield f"memory.{kind}_kib: {piece.name} of {name} is {piece.kib} KiB in one piece"
            return
    where = " or ".join(f"{piece.name} at {piece.origin:#010x}" for piece in pieces)
    yield f"{key}: {name} has {where}"


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _within(value: int, limits: tuple[int, int]) -> bool:
    return limits[0] <= value <= limits[1]
