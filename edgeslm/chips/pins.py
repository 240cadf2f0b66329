"""Pins of a chip's UARTs, read from a table of text; and where a pin is, for registers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ST_PIN = re.compile(r"P([A-K])(1[0-5]|\d)")
_RP_PIN = re.compile(r"GP(2\d|1\d|\d)")


@dataclass(frozen=True)
class Uart:
    """A UART's pins: name -> the number that the pin's multiplexer calls this UART by."""

    number: int
    tx: Mapping[str, int]
    rx: Mapping[str, int]


def read_uarts(table: str) -> dict[str, Uart]:
    """UARTs by name. A line is "NAME: PIN-FUNCTION … | PIN-FUNCTION …": what it sends on, what it receives on."""
    found = {}
    for line in table.strip().splitlines():
        name, _, pins = line.partition(":")
        tx, rx = (
            {pin: int(function) for pin, function in (word.split("-") for word in side.split())}
            for side in pins.split("|")
        )
        found[name.strip()] = Uart(int(name.strip()[-1]), tx, rx)
    return found


def pin_place(pin: str) -> tuple[int, int]:
    """Port (A is 0; chips without ports have 0 alone) and number of a pin: "PD8" is (3, 8), "GP12" (0, 12)."""
    if found := _ST_PIN.fullmatch(pin):
        return ord(found[1]) - ord("A"), int(found[2])
    if found := _RP_PIN.fullmatch(pin):
        return 0, int(found[1])
    raise ValueError(f"{pin!r} is no pin")
