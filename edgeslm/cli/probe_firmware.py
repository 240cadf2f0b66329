"""What a firmware's tokens take, on a terminal: instructions or cycles, by position or length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import print_table

if TYPE_CHECKING:
    from edgeslm.probe.report import FirmwarePart, LengthPart

SHOWN = (0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047)
"""Positions; the last one that was looked at is shown as well."""


def print_positions(part: FirmwarePart) -> None:
    """Entering a token (prefill), and a whole greedy step (decode), at some positions and in the mean of all."""
    if not part.positions:
        return
    last = part.positions[-1].position
    rows = [
        [f"{one.position}", f"{one.prefill:,}", f"{one.decode:,}"]
        for one in part.positions
        if one.position in SHOWN or one.position == last
    ]
    from statistics import mean  # a tenth of what `edgeslm --help` takes

    means = [mean(counts) for counts in zip(*((one.prefill, one.decode) for one in part.positions), strict=True)]
    rows.append([f"mean of {len(part.positions)}", *(f"{count:,.0f}" for count in means)])
    click.echo()
    print_table(["position", f"{part.unit}, prefill", "decode"], rows, right={0, 1, 2})


def print_cycles(lengths: tuple[LengthPart, ...]) -> None:
    """Texts of a board that is no emulated one: cycles, and milliseconds where its clock is known."""
    rows = [
        [f"{one.tokens}", f"{one.cycles or 0:,}", f"{one.latency_ms.p50:.2f}" if one.latency_ms else ""]
        for one in lengths
    ]
    print_table(["tokens", "cycles", "ms"], rows, right={0, 1, 2})


def counter_text(part: FirmwarePart) -> str:
    """What counted, and what a count is."""
    if part.unit == "instructions":
        return f"{part.counter}, instructions"
    return f"{part.counter}, cycles " + (f"of {part.clock_hz / 1e6:g} MHz" if part.clock_hz else "of an unknown clock")
