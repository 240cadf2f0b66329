"""Comparing: the figures of several probe reports side by side, each against the first, and what makes that unfair."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from edgeslm.probe.compare_language import Better, language_rows, shared_depths
from edgeslm.probe.measured import LatencyPart
from edgeslm.probe.report import LengthPart, ProbeReport

Measure = Callable[[ProbeReport], float | None]
MEMORIES = {"flash": "flash", "ram": "RAM", "stack_used": "stack, most used", "arena_used": "arena, most used"}
"""Of firmware: names of a report's FirmwarePart."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ComparedReport(_Answer):
    """One column: which report it is."""

    letter: str  # A, B, …; what warnings and plots call it
    title: str
    bundle: str
    digest: str
    target: str
    place: str
    via: str
    emulated: bool
    complete: bool
    threads: int
    reference_tokens: int | None
    started_at: str


class ComparedFigure(_Answer):
    """One row. A value that was not measured is null, and so is a ratio that would say nothing."""

    figure: str  # "latency p50"
    tokens: int | None  # the length it belongs to, where it belongs to one
    unit: str
    better: Better
    values: tuple[float | None, ...]  # in the order of the reports
    ratios: tuple[float | None, ...]  # to the first report's value

    @property
    def label(self) -> str:
        return self.figure if self.tokens is None else f"{self.figure}, {self.tokens:,} tokens"


class CompareAnswer(_Answer):
    """`edgeslm compare --json`"""

    tokens: int | None  # the length at which encoders are compared; null for others, and where none is common
    reports: tuple[ComparedReport, ...]
    figures: tuple[ComparedFigure, ...]
    warnings: tuple[str, ...]


def compare(reports: Sequence[ProbeReport]) -> CompareAnswer:
    """Set reports side by side, at the reference length or at the longest one that all have."""
    tokens, common = _common_length(reports)
    figures = _length_figures(reports, tokens) if common else []
    figures += [_figure(row.figure, row.unit, row.better, row.values, row.tokens) for row in language_rows(reports)]
    figures += _whole_figures(reports)
    return CompareAnswer(
        tokens=tokens,
        reports=tuple(_describe(number, report) for number, report in enumerate(reports)),
        figures=tuple(figure for figure in figures if any(value is not None for value in figure.values)),
        warnings=tuple(_warnings(reports, tokens, common)),
    )


def letter(number: int) -> str:
    """What the report with this index is called: A to Z, then 27, 28, …"""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def latency_at(report: ProbeReport, tokens: int | None) -> LatencyPart | None:
    """The latency at a length. An emulated report has none, and a language model's step is at a depth."""
    if report.emulated or report.language:
        return None
    if tokens == report.reference_tokens and report.latency_ms:
        return report.latency_ms
    length = _length(report, tokens)
    return length.latency_ms if length else None


def instructions_at(report: ProbeReport, tokens: int | None) -> float | None:
    """Instructions per inference at a length. Only an emulated report of an encoder has them."""
    if not report.emulated or report.language:
        return None
    if tokens == report.reference_tokens and report.instructions:
        return report.instructions.per_inference
    length = _length(report, tokens)
    return length.instructions.per_inference if length and length.instructions else None


def measured_lengths(report: ProbeReport) -> list[int | None]:
    """The lengths it has latencies or instructions for, in its own order; a language model has depths instead."""
    if report.language:
        return []
    found = dict.fromkeys(length.tokens for length in report.lengths if length.latency_ms or length.instructions)
    if report.latency_ms or report.instructions:
        found[report.reference_tokens] = None
    return list(found)


def _length(report: ProbeReport, tokens: int | None) -> LengthPart | None:
    return next((length for length in report.lengths if length.tokens == tokens), None)


def _common_length(reports: Sequence[ProbeReport]) -> tuple[int | None, bool]:
    """The length to compare at, and whether there is one. A report that was ended before any does not count."""
    measured = [set(measured_lengths(report)) for report in reports]
    references = {report.reference_tokens for report, lengths in zip(reports, measured, strict=True) if lengths}
    if len(references) == 1:
        return references.pop(), True
    lengths: set[int | None] = set.intersection(*filter(None, measured)) if any(measured) else set()
    texts = [length for length in lengths if length is not None]
    return (max(texts), True) if texts else (None, False)


def _length_figures(reports: Sequence[ProbeReport], tokens: int | None) -> list[ComparedFigure]:
    """What belongs to one length: everything at the common one, the middle at the others that two reports have."""

    def latency(field: str, at: int | None) -> ComparedFigure:
        measured = (latency_at(report, at) for report in reports)
        values = [getattr(part, field) if part else None for part in measured]
        return _figure(f"latency {field}", "ms", "lower", values, at)

    def instructions(at: int | None) -> ComparedFigure:
        values = [instructions_at(report, at) for report in reports]
        return _figure("instructions per inference", "instructions", "lower", values, at)

    everywhere = [set(measured_lengths(report)) for report in reports]
    others = {at for lengths in everywhere for at in lengths if at is not None} - {tokens}
    shared = sorted(at for at in others if sum(at in lengths for lengths in everywhere) > 1)
    figures = [latency(field, tokens) for field in ("p50", "p90", "p99", "mean", "min", "max")]
    figures += [latency("p50", at) for at in shared]
    figures += [instructions(at) for at in (tokens, *shared)]
    predicted = [
        next((length.ms for length in report.estimate.lengths if length.tokens == tokens), None)
        if report.estimate
        else None
        for report in reports
    ]
    return [*figures, _figure("predicted latency", "ms", "lower", predicted, tokens)]


def _whole_figures(reports: Sequence[ProbeReport]) -> list[ComparedFigure]:
    """What belongs to the whole report, or to its reference length and is then only compared where that is the same."""
    same_length = [report.reference_tokens == reports[0].reference_tokens for report in reports]

    def of(figure: str, unit: str, measure: Measure, better: Better = "lower", at_length: bool = False) -> None:
        comparable = same_length if at_length else None
        figures.append(_figure(figure, unit, better, [measure(report) for report in reports], None, comparable))

    figures: list[ComparedFigure] = []
    of("load", "ms", lambda report: None if report.emulated else report.load_ms)
    of("reload", "ms", lambda report: None if report.emulated else report.reload_ms)
    of("first run", "ms", lambda report: None if report.emulated else report.first_run_ms, at_length=True)
    of("peak memory", "MiB", lambda report: report.peak_rss_mib)
    of("resident memory", "MiB", lambda report: report.memory.rss)
    of("private memory", "MiB", lambda report: report.memory.private)
    for batch in sorted({part.batch for report in reports for part in report.throughput}):
        of(f"throughput, batch {batch:,}", "texts/s", _throughput(batch), "higher")
    of("energy per inference", "J", lambda report: report.energy.joules_per_inference, at_length=True)
    of("energy above idle", "J", lambda report: report.energy.above_idle, at_length=True)
    for name in ("flash", "ram", "stack_used", "arena_used"):
        of(MEMORIES[name], "bytes", _memory(name))
    of("model files", "bytes", lambda report: report.bundle.model_bytes)
    of("cosine to PyTorch, least", "", lambda report: report.bundle.fidelity_cosine_min, "higher")
    return figures


def _memory(name: str) -> Measure:
    def measure(report: ProbeReport) -> float | None:
        found = getattr(report.firmware, name) if report.firmware else None
        return sum(found.values()) if isinstance(found, dict) else found

    return measure


def _throughput(batch: int) -> Measure:
    def measure(report: ProbeReport) -> float | None:
        if report.emulated:
            return None
        return next((part.texts_per_s for part in report.throughput if part.batch == batch), None)

    return measure


def _figure(
    figure: str,
    unit: str,
    better: Better,
    values: Sequence[float | None],
    tokens: int | None,
    comparable: Sequence[bool] | None = None,
) -> ComparedFigure:
    finite = tuple(_finite(value) for value in values)
    ratios = tuple(
        _ratio(value, finite[0]) if comparable is None or comparable[number] else None
        for number, value in enumerate(finite)
    )
    return ComparedFigure(figure=figure, tokens=tokens, unit=unit, better=better, values=finite, ratios=ratios)


def _finite(value: float | None) -> float | None:
    """A report may hold integers that no float can."""
    try:
        return float(value) if value is not None and math.isfinite(value) else None
    except OverflowError:
        return None


def _ratio(value: float | None, first: float | None) -> float | None:
    if value is None or first is None:
        return None
    return _finite(value / first) if first else None


def _describe(number: int, report: ProbeReport) -> ComparedReport:
    return ComparedReport(
        letter=letter(number),
        title=report.title,
        bundle=report.bundle.name,
        digest=report.bundle.digest,
        target=report.bundle.target,
        place=report.place,
        via=report.via,
        emulated=report.emulated,
        complete=report.complete,
        threads=report.runtime.threads,
        reference_tokens=report.reference_tokens,
        started_at=report.started_at,
    )


def _warnings(reports: Sequence[ProbeReport], tokens: int | None, common: bool) -> Iterable[str]:
    """Why the figures must not be read as a fair comparison."""
    named = {letter(number): report for number, report in enumerate(reports)}
    emulated = [name for name, report in named.items() if report.emulated]
    yield from _differing("the models differ", {name: report.bundle.name for name, report in named.items()})
    yield from _differing("the targets differ", {name: report.bundle.target for name, report in named.items()})
    if 0 < len(emulated) < len(reports):
        who = f"{', '.join(emulated)} {'are' if len(emulated) > 1 else 'is'} emulated, not the others"
        yield f"{who}: times and instructions are not compared with each other"
    for kind in (False, True):
        places = {name: report.place for name, report in named.items() if report.emulated is kind}
        yield from _differing("the devices differ", places)
    yield from _differing("the threads differ", {name: str(report.runtime.threads) for name, report in named.items()})
    measured = {name: str(report.reference_tokens) for name, report in named.items() if measured_lengths(report)}
    speaking = [name for name, report in named.items() if report.language]
    if 0 < len(speaking) < len(reports):
        yield f"{', '.join(speaking)} generated text, the others did not: what they took for it is not compared"
    elif speaking and not shared_depths(reports):
        yield "no depth was measured in two of them: latencies and instructions are not compared"
    if not common and not speaking:
        yield "no length was measured in all of them: latencies and instructions are not compared"
    elif common:
        yield from _differing(f"the reference lengths differ, {tokens} tokens are compared instead", measured)
    for name, report in named.items():
        if report.device.throttled:
            yield f"{name} was throttled while it was measured"
        if not report.complete:
            missing = f"; missing: {', '.join(report.missing)}" if report.missing else ""
            yield f"{name} is not complete: {report.problem or 'it was ended early'}{missing}"
        if not report.emulated and not report.device.is_target:
            yield f"{name} did not run on the kind of device that its bundle is for"


def _differing(what: str, values: Mapping[str, str]) -> Iterable[str]:
    if len(set(values.values())) > 1:
        yield f"{what}: {', '.join(f'{name} {value}' for name, value in values.items())}"
