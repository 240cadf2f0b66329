"""What a board's counts are: instructions of an emulator, or cycles of a core whose clock is known, or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeslm.errors import DeviceError
from edgeslm.probe.measured import InstructionsPart, LatencyPart, instructions_part, latency_part
from edgeslm.probe.settings import Event

NO_TIMES = "an emulator's time is none of the board's: instructions are counted, and they are no milliseconds"
CLOCK_SLACK = 1.05
"""A counter's seconds against those that passed here, which hold the line's as well: more cannot be."""
CLOCK_SLACK_S = 0.05


@dataclass(frozen=True)
class Counts:
    """`clock_hz`: what cycles are divided by; 0 where they give no times: emulated, or by a clock that is not known."""

    emulated: bool
    clock_hz: int

    @property
    def unit(self) -> Literal["instructions", "cycles"]:
        return "instructions" if self.emulated else "cycles"

    def ms(self, count: float) -> float | None:
        """Milliseconds of so many cycles; None where they are no times."""
        return count * 1e3 / self.clock_hz if self.clock_hz else None

    def latency(self, count: float) -> LatencyPart | None:
        """Of one run."""
        ms = self.ms(count)
        return latency_part([ms]) if ms is not None else None

    def samples(self, count: float) -> tuple[float, ...]:
        ms = self.ms(count)
        return () if ms is None else (ms,)

    def instructions(self, count: int, tokens: int | None) -> InstructionsPart | None:
        """Of one run; None of what is no emulator."""
        return instructions_part([count], tokens) if self.emulated else None

    def rate(self, count: float, things: int = 1) -> float | None:
        """So many things a second."""
        ms = self.ms(count)
        return things * 1e3 / ms if ms else None


def uncounted() -> DeviceError:
    """Of an emulator that somebody else started, and which does not let its clock count instructions."""
    return DeviceError(
        "the emulated board counts the same work differently each time: its clock is this machine's",
        "start QEMU with -icount shift=0, or let --via qemu do it",
    )


def counts_of(board: Event, end: Event | None) -> Counts:
    """`end` tells how long the counted work took as seen from here."""
    if board["emulated"] or _impossible(board, end):
        return Counts(board["emulated"], 0)
    return Counts(False, board["clock_hz"])


def counts_notes(board: Event, end: Event | None, target_mhz: float) -> tuple[str, ...]:
    """What a reader has to know of the counter and the clock."""
    counter, clock = board["ticks"], board["clock_hz"]
    if board["emulated"]:
        tick = f"{1000 / target_mhz:.3g}"
        return (NO_TIMES, f"counted by {counter}: exact to one of its ticks, {tick} instructions")
    found = [f"cycles of the core's clock, counted by {counter}, each once"]
    if not clock:
        found.append("the board does not tell its clock: cycles are counted, and they are no milliseconds")
    elif _impossible(board, end):
        found.append(
            f"the board counted more cycles than a clock of {clock / 1e6:g} MHz has in the time that passed: its clock "
            "is another, and there are no milliseconds"
        )
    elif abs(clock / 1e6 - target_mhz) > 0.01 * target_mhz:
        found.append(
            f"the board runs at {clock / 1e6:g} MHz, and its target says {target_mhz:g}: milliseconds are of what it "
            "runs at"
        )
    return tuple(found)


def _impossible(board: Event, end: Event | None) -> bool:
    if end is None or not board["clock_hz"]:
        return False
    seconds: float = end["counted"] / board["clock_hz"]
    return seconds > CLOCK_SLACK * float(end["elapsed_s"]) + CLOCK_SLACK_S
