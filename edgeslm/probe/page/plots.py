"""The plots of one report. What cannot be drawn (no finite, positive figure) is left out: the tables still have it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeslm.probe.language_report import DepthPart, PromptPart
from edgeslm.probe.page.figures import Plot, at_length, length_name, percent, show
from edgeslm.probe.page.svg import INK, MUTED, PAPER, SERIES, drawing, inline_svg
from edgeslm.probe.report import LayerPart, LengthPart, ProbeReport, ThroughputPart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 440  # CSS pixels: half a page on a desktop, and still legible at a phone's width
MAX_ROWS = 8
MAX_DOTS = 1000
LAYERS = 20
_SMALLEST, _LARGEST = 1e-9, 1e15  # beyond is nothing that a device measures, and ticks could not be written
_LONGEST_NAME = 40


def distribution(parts: Sequence[LengthPart | DepthPart], name: str, title: str = "Every inference") -> Plot | None:
    """Every inference (or step) as a dot, the first at the top: how far they lie apart, and whether they drift.

    Each length has an axis of its own, since the longest takes many times what the shortest does.
    """
    lengths = [length for length in parts if _samples(length) and length.latency_ms][:MAX_ROWS]
    if not lengths:
        return None
    from matplotlib.ticker import MaxNLocator

    with drawing(WIDTH, _height(len(lengths))) as (figure, first):
        first.remove()
        rows = figure.subplots(len(lengths), squeeze=False)[:, 0]
        for axes, length in zip(rows, lengths, strict=True):
            samples = _samples(length)
            _dots(axes, samples)
            for field, style in (("p50", "-"), ("p90", "--"), ("p99", ":")):
                mark = getattr(length.latency_ms, field)
                if _drawable(mark):
                    axes.axvline(mark, color=SERIES[1], linewidth=1.6, linestyle=style)
            axes.set_ylim(len(samples), -1)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.xaxis.set_major_locator(MaxNLocator(6))
            label = _short(length_name(length.tokens)) + ("" if length.tokens is None else "\ntokens")
            axes.set_ylabel(label, rotation=0, ha="right", va="center", color=INK)
        rows[-1].set_xlabel("milliseconds")
        handles = [
            rows[0].plot([], [], color=SERIES[1], linewidth=1.6, linestyle=style, label=field)[0]
            for field, style in (("p50", "-"), ("p90", "--"), ("p99", ":"))
        ]
        figure.legend(handles=handles, loc="outside upper right", ncols=3, labelcolor=MUTED)
        return inline_svg(figure, name, title)


def latency_by_length(report: ProbeReport, name: str) -> Plot | None:
    """The median of each length, with the range up to the 99th percentile."""
    points = [
        (length.tokens, length.latency_ms.p50, length.latency_ms.p99)
        for length in report.lengths
        if length.tokens is not None and length.latency_ms and _drawable(length.latency_ms.p50)
    ]
    title = "p50 by length, and up to p99"
    return _by_length(points, "milliseconds", name, title, _height(min(len(points), MAX_ROWS)))


def instructions_by_length(report: ProbeReport, name: str) -> Plot | None:
    points = [
        (length.tokens, length.instructions.per_inference, length.instructions.per_inference)
        for length in report.lengths
        if length.tokens is not None and length.instructions and _drawable(length.instructions.per_inference)
    ]
    return _by_length(points, "instructions", name, "Instructions by length")


def first_token_by_length(prompts: Sequence[PromptPart], name: str) -> Plot | None:
    """The median of each prompt's length, with the range up to the 99th percentile."""
    points = [
        (prompt.tokens, prompt.ttft_ms.p50, prompt.ttft_ms.p99)
        for prompt in prompts
        if prompt.ttft_ms and _drawable(prompt.ttft_ms.p50)
    ]
    return _by_length(points, "milliseconds", name, "First token p50 by prompt, and up to p99")


def decode_by_depth(depths: Sequence[DepthPart], emulated: bool, name: str) -> Plot | None:
    """Tokens a second, or the instructions of a token."""
    if emulated:
        counts = [(part.tokens, part.instructions.per_inference) for part in depths if part.instructions]
        points = [(tokens, count, count) for tokens, count in counts if _drawable(count)]
        return _by_length(points, "instructions", name, "Instructions per token by depth")
    speeds = [(part.tokens, part.tokens_per_s) for part in depths]
    points = [(tokens, speed, speed) for tokens, speed in speeds if speed is not None and _drawable(speed)]
    return _by_length(points, "tokens per second", name, "Decode by depth")


def layers(
    parts: Sequence[LayerPart], measure: str, tokens: int | None, name: str, of: str = "inference"
) -> Plot | None:
    """Bars of the largest layers and of all others together. `measure` is "ms" or "instructions", `of` a unit of
    work."""
    known = [(part.layer, _number(getattr(part, measure)), part.share) for part in parts]
    bars = [(_short(layer), value, share) for layer, value, share in known if value]
    if not bars:
        return None
    rest = bars[LAYERS:]
    widths = [value for _, value, _ in bars[:LAYERS]]
    if rest:  # in words: together they may be many times the largest, whose differences would be lost
        bars = [*bars[:LAYERS], (f"the other {len(rest)} together", 0.0, sum(share for *_, share in rest))]
    with drawing(2 * WIDTH, 56 + 23 * len(bars)) as (figure, axes):
        axes.barh(range(len(widths)), widths, height=0.66, color=SERIES[0])
        axes.set_yticks(range(len(bars)), [layer for layer, *_ in bars])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.1 * max(widths))
        axes.spines["left"].set_visible(False)
        for row, (_, value, share) in enumerate(bars):
            axes.text(value + max(widths) * 0.008, row, percent(share), va="center", color=MUTED, fontsize=10.5)
        what = "milliseconds" if measure == "ms" else "instructions"
        _scale(axes.xaxis, what)
        axes.set_xlabel(f"{what} of one {of}{_short(at_length(tokens))}, profiled")
        axes.grid(axis="x")
        return inline_svg(figure, name, f"{what.capitalize()} by layer, the largest first")


def throughput(parts: Sequence[ThroughputPart], name: str) -> Plot | None:
    bars = [(_short(f"{part.batch:,}"), part.texts_per_s) for part in parts if _drawable(part.texts_per_s)][:MAX_ROWS]
    if len(bars) < 2:
        return None
    with drawing(WIDTH, 56 + 30 * len(bars)) as (figure, axes):
        values = [value for _, value in bars]
        axes.barh(range(len(bars)), values, height=0.62, color=SERIES[2])
        axes.set_yticks(range(len(bars)), [batch for batch, _ in bars])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.2 * max(values))
        axes.spines["left"].set_visible(False)
        for row, value in enumerate(values):
            axes.text(value + max(values) * 0.015, row, show(value), va="center", color=INK)
        axes.set_ylabel("batch")
        axes.set_xlabel("texts per second")
        axes.grid(axis="x")
        return inline_svg(figure, name, "Texts per second by batch")


@dataclass(frozen=True)
class Series:
    """What one report has of a comparison."""

    letter: str
    number: int  # among all reports; it has the same colour everywhere
    values: Mapping[int | None, float | None]  # by length


def bars_by_length(series: Sequence[Series], unit: str, name: str, title: str) -> Plot | None:
    """Groups of bars, one group for each length."""
    drawn = series[:MAX_ROWS]
    lengths = sorted(
        {tokens for one in drawn for tokens, value in one.values.items() if _drawable(value)},
        key=lambda tokens: tokens or 0,
    )[:MAX_ROWS]
    if not lengths:
        return None
    width = 0.8 / len(drawn)
    with drawing(WIDTH, 300) as (figure, axes):
        for row, one in enumerate(drawn):
            heights = [_number(one.values.get(tokens)) for tokens in lengths]
            places = [place + (row - (len(drawn) - 1) / 2) * width for place in range(len(lengths))]
            colour = SERIES[min(one.number, len(SERIES) - 1)]
            axes.bar(places, heights, width=0.92 * width, color=colour, label=one.letter)
        axes.set_xticks(range(len(lengths)), [_short(length_name(tokens)) for tokens in lengths])
        _scale(axes.yaxis, unit)
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("tokens")
        axes.set_ylabel(unit)
        figure.legend(loc="outside upper right", ncols=len(drawn), labelcolor=INK, handlelength=0.9)
        return inline_svg(figure, name, title)


def _by_length(
    points: Sequence[tuple[int, float, float]], unit: str, name: str, title: str, height: float = 300
) -> Plot | None:
    points = sorted(point for point in points if _drawable(point[0]))
    if len(points) < 2:
        return None
    lengths, middles, highs = zip(*points, strict=True)
    colour = SERIES[0]
    with drawing(WIDTH, height) as (figure, axes):
        ranges = [
            max(0.0, high - middle) if _drawable(high) else 0.0 for middle, high in zip(middles, highs, strict=True)
        ]
        if any(ranges):
            axes.errorbar(
                lengths, middles, [[0.0] * len(ranges), ranges], fmt="none", color=colour, elinewidth=1.6, capsize=4
            )
        axes.plot(lengths, middles, color=colour, linewidth=2.2)
        axes.plot(lengths, middles, "o", color=colour, markersize=7, markeredgecolor=PAPER, markeredgewidth=1.6)
        if len(points) <= MAX_ROWS:
            axes.set_xticks(lengths)
        axes.set_xlim(0, max(lengths) * 1.06)
        axes.set_ylim(0, max(*middles, *(m + r for m, r in zip(middles, ranges, strict=True))) * 1.12)
        _scale(axes.yaxis, unit)
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("tokens")
        axes.set_ylabel(unit)
        return inline_svg(figure, name, title)


def _height(rows: int) -> float:
    """Of the distribution, and of the plot beside it."""
    return max(240, 46 + 70 * rows)


def _dots(axes: Axes, samples: Sequence[float]) -> None:
    """One path for all dots, as strokes without a length: a thousand markers would be a thousand elements."""
    every = math.ceil(len(samples) / MAX_DOTS)
    shown = [(sample, row) for row, sample in enumerate(samples) if row % every == 0]
    across = [value for sample, _ in shown for value in (sample, sample, math.nan)]
    down = [value for _, row in shown for value in (row, row, math.nan)]
    axes.plot(across, down, color=SERIES[0], linewidth=4.2, solid_capstyle="round", alpha=0.75)


def _scale(axis: object, unit: str) -> None:
    """Ticks of instructions are read in millions and billions."""
    from matplotlib.axis import Axis
    from matplotlib.ticker import FuncFormatter

    if unit == "instructions" and isinstance(axis, Axis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: magnitude(value)))


def magnitude(value: float) -> str:
    """251377902 -> "251 million"; for ticks, where a table beside has the exact figure."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if value >= size:
            return f"{value / size:.4g} {word}"
    return f"{value:.4g}"


def _samples(length: LengthPart | DepthPart) -> list[float]:
    return [sample for sample in length.samples_ms if _drawable(sample)]


def _number(value: float | None) -> float:
    return value if _drawable(value) and value is not None else 0.0


def _drawable(value: float | None) -> bool:
    return value is not None and _SMALLEST < value < _LARGEST


def _short(text: str) -> str:
    """A name that fits beside a bar; its ends tell more than its middle."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    half = _LONGEST_NAME // 2
    return text if len(text) <= _LONGEST_NAME else f"{text[: half - 1]}…{text[-half:]}"
