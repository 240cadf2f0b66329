"""What a firmware's tokens take, on a terminal: instructions by position."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import print_table

if TYPE_CHECKING:
    from edgeslm.probe.report import FirmwarePart

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
    means = [mean(counts) for counts in zip(*((one.prefill, one.decode) for one in part.positions), strict=True)]
    rows.append([f"mean of {len(part.positions)}", *(f"{count:,.0f}" for count in means)])
    click.echo()
    print_table(["position", "instructions, prefill", "decode"], rows, right={0, 1, 2})
