"""How a figure is written, and what a page is made of: tiles, banners, sections, tables, facts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

DIGITS = 6
"""Significant digits of what is no whole number: what is shown is at most 5 in the seventh digit off."""
WHOLE = 10**15
"""Numbers below it are written out, larger ones and very small ones with an exponent."""
SMALL = 1e-4
UNKNOWN = "–"

Tone = Literal["problem", "warning", "note"]


def show(value: float | None) -> str:
    """A number as a reader takes it in: "251,377,902", "82.824", "1.9e-06"; a dash for one that was not measured."""
    if value is None:
        return UNKNOWN
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    size = abs(value)
    if value.is_integer() and size < WHOLE:
        return f"{int(value):,}"
    if not SMALL <= size < WHOLE:
        return f"{value:.{DIGITS}g}"
    decimals = max(0, DIGITS - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def with_unit(value: float | None, unit: str) -> str:
    return UNKNOWN if value is None else f"{show(value)} {unit}"


def percent(share: float | None) -> str:
    """For labels only; a table has the share itself."""
    return UNKNOWN if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def length_name(tokens: int | None) -> str:
    """A length bucket; a plain module has one without tokens."""
    return "fixed" if tokens is None else f"{tokens:,}"


def at_length(tokens: int | None) -> str:
    return "" if tokens is None else f" at {tokens:,} tokens"


@dataclass(frozen=True)
class Fact:
    """A line of a list of facts."""

    name: str
    text: str
    code: bool = False  # set in a fixed width


@dataclass(frozen=True)
class Plot:
    title: str  # what it shows, in words
    svg: str


@dataclass(frozen=True)
class Banner:
    """What a reader must know before any figure."""

    tone: Tone
    title: str
    text: str


@dataclass(frozen=True)
class Tile:
    """One headline figure, and the figures beside it."""

    name: str
    value: str | None  # None where it was not measured
    unit: str
    facts: Sequence[Fact] = ()
    text: str = ""
    large: bool = False


@dataclass(frozen=True)
class Table:
    """The first `names` columns are words, all others figures."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1
    title: str = ""
    folded: bool = False  # opened by a click
    marked: int | None = None  # the row that the headline is about


@dataclass(frozen=True)
class Samples:
    """Raw figures, opened by a click: what is too much to look at and too good to leave out."""

    title: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """A part of a report."""

    title: str
    anchor: str
    text: str = ""
    plots: Sequence[Plot] = ()
    facts: Sequence[Fact] = ()
    tables: Sequence[Table] = ()
    samples: Samples | None = None
    points: Sequence[str] = ()
    points_title: str = ""
    predicted: bool = False
    half: bool = False  # two of them stand side by side, where there is room
    beside: bool = False  # plots or facts stand beside the table


def facts(*pairs: tuple[str, str | None]) -> list[Fact]:
    """Facts of which nothing is known are left out."""
    return [Fact(name, text) for name, text in pairs if text is not None]
