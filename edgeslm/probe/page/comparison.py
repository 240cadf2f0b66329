"""The part of the page that sets several reports side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeslm.probe.compare import (
    ComparedFigure,
    ComparedReport,
    compare,
    instructions_at,
    latency_at,
    letter,
    measured_lengths,
)
from edgeslm.probe.compare_language import depth_values, instructions_of
from edgeslm.probe.language_report import DepthPart
from edgeslm.probe.page.figures import UNKNOWN, Plot, show
from edgeslm.probe.page.plots import Series, bars_by_length
from edgeslm.probe.report import ProbeReport

EVEN = 0.005
"""A ratio this close to 1 is shown as no difference."""


@dataclass(frozen=True)
class Cell:
    """A value and how it stands to the first report's."""

    value: str
    ratio: str = ""
    tone: str = ""  # better, worse, even


@dataclass(frozen=True)
class Row:
    name: str
    unit: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Comparison:
    reports: Sequence[ComparedReport]
    rows: Sequence[Row]
    warnings: Sequence[str]
    plots: Sequence[Plot]


def comparison(reports: Sequence[ProbeReport]) -> Comparison:
    answer = compare(reports)
    rows = [Row(figure.label, figure.unit, _cells(figure)) for figure in answer.figures]
    # Two axes: what an emulator counts is never drawn beside what a device took.
    drawn = (
        _plot(reports, False, "milliseconds", "compared-latency", "Latency p50 by length"),
        _plot(reports, True, "instructions", "compared-instructions", "Instructions per inference by length"),
        _depth_plot(reports, False, "tokens per second", "compared-decode", "Decode by depth"),
        _depth_plot(reports, True, "instructions", "compared-token", "Instructions per token by depth"),
    )
    return Comparison(answer.reports, rows, answer.warnings, [plot for plot in drawn if plot])


def ratio_text(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:,.2f}×" if ratio >= 0.01 else f"{ratio:.2g}×"


def _cells(figure: ComparedFigure) -> list[Cell]:
    cells = []
    for number, (value, ratio) in enumerate(zip(figure.values, figure.ratios, strict=True)):
        if value is None:
            cells.append(Cell(UNKNOWN))
        elif number == 0 or ratio is None:
            cells.append(Cell(show(value)))
        else:
            cells.append(Cell(show(value), ratio_text(ratio), _tone(figure, ratio)))
    return cells


def _tone(figure: ComparedFigure, ratio: float) -> str:
    if abs(ratio - 1) < EVEN:
        return "even"
    return "better" if (ratio < 1) == (figure.better == "lower") else "worse"


def _plot(reports: Sequence[ProbeReport], emulated: bool, unit: str, name: str, title: str) -> Plot | None:
    of: Callable[[ProbeReport, int | None], float | None] = instructions_at if emulated else _middle
    series = [
        Series(letter(number), number, {tokens: of(report, tokens) for tokens in measured_lengths(report)})
        for number, report in enumerate(reports)
        if report.emulated is emulated
    ]
    return bars_by_length(series, unit, name, title) if len(series) > 1 else None


def _depth_plot(reports: Sequence[ProbeReport], emulated: bool, unit: str, name: str, title: str) -> Plot | None:
    of: Callable[[DepthPart], float | None] = instructions_of if emulated else lambda part: part.tokens_per_s
    series = [
        Series(letter(number), number, depth_values(report, of))
        for number, report in enumerate(reports)
        if report.emulated is emulated and report.language
    ]
    return bars_by_length(series, unit, name, title) if len(series) > 1 else None


def _middle(report: ProbeReport, tokens: int | None) -> float | None:
    part = latency_at(report, tokens)
    return part.p50 if part else None
