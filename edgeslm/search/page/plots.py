"""The pictures of a search: the front, and what each tensor is stored as."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgeslm.probe.page.figures import Plot
from edgeslm.probe.page.svg import INK, LINE, MUTED, PAPER, SERIES, drawing, inline_svg
from edgeslm.search.page.labels import Label, place_labels
from edgeslm.search.report import SearchPoint, SearchReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 440, 320
WIDE = 880
ROW = 15
MOST_ROWS = 120
LEAST_LOSS = 1e-6
"""What is lost less than this is drawn there: the axis has powers of ten."""
SHADE = {"fp32": (SERIES[7], 1.0), "fp16": (SERIES[6], 1.0), "int8": (SERIES[0], 1.0), "int4": (SERIES[1], 1.0)}
"""Colour by precision; of int4, larger blocks are paler."""
PALER = {"16": 1.0, "32": 0.95, "64": 0.75, "128": 0.55, "256": 0.4}


def trade_off(report: SearchReport, name: str, plot: str, title: str) -> Plot | None:
    """Size, latency or instructions against what is lost of fidelity."""
    points = [point for point in report.points if name in point.predicted]
    if not points:
        return None
    scale, unit = {"size": (1e6, "MB"), "latency": (1.0, "ms"), "instructions": (1e6, "M instructions")}[name]

    def at(point: SearchPoint) -> tuple[float, float]:
        known: float | None = getattr(point.measured, name) if point.measured else None
        value = point.predicted[name] if known is None else known
        fidelity = point.measured.fidelity if point.measured else point.predicted["fidelity"]
        return value / scale, max(1 - fidelity, LEAST_LOSS)

    with drawing(WIDTH, HEIGHT) as (figure, axes):
        places = sorted(at(point) for point in points)
        front = [one for one in places if not any(_beats(other, one) for other in places)]
        axes.plot(*zip(*front, strict=True), color=SERIES[0], linewidth=1.2, alpha=0.6) if front else None
        labels = []
        for point in points:
            x, y = at(point)
            uniform, on_front = point.scheme is not None, (x, y) in front
            colour = SERIES[1] if uniform else SERIES[0]
            face = colour if point.measured else PAPER
            alpha = 1.0 if uniform or on_front else 0.4
            axes.scatter([x], [y], s=44 if uniform else 30, marker="s" if uniform else "o", facecolors=face,
                         edgecolors=colour, linewidths=1.4, zorder=3, alpha=alpha)  # fmt: skip
            labels.append(Label(x, y, point.name, 0 if uniform else 1 if on_front else 2))
        _frame(axes, report, name, unit)
        figure.draw_without_rendering()  # sets the axes' place
        place_labels(axes, labels, INK, MUTED)
        return inline_svg(figure, plot, title)


def _beats(other: tuple[float, float], one: tuple[float, float]) -> bool:
    return other != one and other[0] <= one[0] and other[1] <= one[1]


def _lost(value: float, _: float) -> str:
    return f"{value:g}" if value > LEAST_LOSS else f"≤ {LEAST_LOSS:g}"


def _frame(axes: Axes, report: SearchReport, name: str, unit: str) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_lost)
    axes.yaxis.set_minor_formatter("")
    axes.set_xlabel(unit)
    axes.set_ylabel("1 - fidelity: what is lost")
    axes.grid(axis="y")
    axes.margins(x=0.12, y=0.1)
    limit = report.limits.get(name)
    if limit is not None:
        scale = 1e6 if name in ("size", "instructions") else 1.0
        axes.axvline(limit / scale, color=LINE, linewidth=1.4, linestyle="--")
    least = report.limits.get("fidelity")
    if least is not None:
        axes.axhline(max(1 - least, LEAST_LOSS), color=LINE, linewidth=1.4, linestyle="--")


def bits_by_layer(report: SearchReport, plot: str, title: str) -> Plot | None:
    """A row for each tensor that leaves a choice, a column for each plan."""
    points = sorted(report.points, key=lambda point: point.predicted["size"])
    names = list(points[0].tensors)[:MOST_ROWS] if points else []
    if not names:
        return None
    from matplotlib.patches import Patch, Rectangle

    with drawing(WIDE, 90 + ROW * len(names)) as (figure, axes):
        for column, point in enumerate(points):
            for row, name in enumerate(names):
                precision, _, group = point.tensors[name].partition("-g")
                colour, alpha = SHADE[precision]
                alpha = PALER.get(group, alpha)
                axes.add_patch(Rectangle((column + 0.06, row + 0.06), 0.88, 0.88, color=colour, alpha=alpha, lw=0))
        axes.set_xlim(0, len(points))
        axes.set_ylim(len(names), 0)
        axes.set_xticks([column + 0.5 for column in range(len(points))], [point.name for point in points])
        axes.set_yticks([row + 0.5 for row in range(len(names))], [_short(name) for name in names], fontsize=9)
        axes.xaxis.tick_top()
        for spine in axes.spines.values():
            spine.set_visible(False)
        used = sorted({point.tensors[name] for point in points for name in names}, key=_coarseness)
        handles = [
            Patch(color=SHADE[one.partition("-g")[0]][0], alpha=PALER.get(one.partition("-g")[2], 1.0), label=one, lw=0)
            for one in used
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)), labelcolor=MUTED)
        return inline_svg(figure, plot, title)


def _coarseness(stored: str) -> tuple[int, int]:
    precision, _, group = stored.partition("-g")
    return list(SHADE).index(precision), int(group or 0)


def _short(name: str) -> str:
    """Without what all names have in common: "layer.0.attention.query"."""
    short = re.sub(r"\.weight$|^(?:encoder|model|transformer)\.", "", name)
    return short if len(short) <= 44 else f"…{short[-43:]}"
