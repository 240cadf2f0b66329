"""The sections of what was measured: latency or instructions, profile, throughput, memory, energy; and the estimate."""

from __future__ import annotations

from collections.abc import Iterator

from edgeslm.probe.page import plots
from edgeslm.probe.page.figures import (
    UNKNOWN,
    Samples,
    Section,
    Table,
    at_length,
    facts,
    length_name,
    percent,
    show,
    with_unit,
)
from edgeslm.probe.page.language import LATENCY_HEADER, language_sections, latency_cells
from edgeslm.probe.report import EstimatePart, ProbeReport, ProfilePart


def measurements(report: ProbeReport, prefix: str) -> Iterator[Section]:
    """Every section that has something to show. `prefix` keeps the names in it apart from another report's."""
    if report.language:
        yield from language_sections(report.language, report.reference_tokens, report.emulated, prefix)
    else:
        yield _instructions(report, prefix) if report.emulated else _latency(report, prefix)
    if report.profile:
        yield _profile(report.profile, report.emulated, report.unit, prefix)
    if report.estimate:
        yield _estimate(report.estimate, prefix)
    if report.throughput:
        yield _throughput(report, prefix)
    yield _memory(report, prefix)
    yield _energy(report, prefix)


def _latency(report: ProbeReport, prefix: str) -> Section:
    drawn = (
        plots.distribution(report.lengths, f"{prefix}-distribution"),
        plots.latency_by_length(report, f"{prefix}-latency"),
    )
    rows = [
        (length_name(length.tokens), *latency_cells(length.latency_ms), show(length.warm_up_runs))
        for length in report.lengths
    ]
    marked = [number for number, length in enumerate(report.lengths) if length.tokens == report.reference_tokens]
    samples = [
        (length_name(length.tokens), "  ".join(map(show, length.samples_ms)))
        for length in report.lengths
        if length.samples_ms
    ]
    return Section(
        "Latency",
        f"{prefix}-latencies",
        text="Of one inference, batch 1, on the device's monotonic clock. Each dot is one inference, the first at the "
        "top; each length has an axis of its own."
        if drawn[0]
        else "Of one inference, batch 1, on the device's monotonic clock.",
        plots=[plot for plot in drawn if plot],
        tables=[
            Table(
                ("tokens", *LATENCY_HEADER, "warm-up"),
                rows,
                marked=marked[0] if marked else None,
            )
        ],
        samples=Samples("Every reading, in milliseconds and in the order taken", samples) if samples else None,
    )


def _instructions(report: ProbeReport, prefix: str) -> Section:
    drawn = plots.instructions_by_length(report, f"{prefix}-instructions")
    rows = []
    for length in report.lengths:
        part = length.instructions
        cells = [part.per_inference, part.per_token, part.spread, part.runs] if part else [None] * 4
        rows.append((length_name(length.tokens), *map(show, cells), show(length.warm_up_runs)))
    marked = [number for number, length in enumerate(report.lengths) if length.tokens == report.reference_tokens]
    header = ("tokens", "per inference", "per token", "spread", "runs", "warm-up")
    return Section(
        "Instructions",
        f"{prefix}-instruction-counts",
        text="Guest instructions of one inference in one thread, the median of the runs. They are no times.",
        plots=[drawn] if drawn else [],
        tables=[Table(header, rows, marked=marked[0] if marked else None)],
        beside=True,
    )


def _profile(profile: ProfilePart, emulated: bool, of: str, prefix: str) -> Section:
    measure = "instructions" if emulated else "ms"
    measures = [name for name in ("ms", "instructions") if any(getattr(part, name) for part in profile.operators)]
    drawn = plots.layers(profile.layers, measure, profile.tokens, f"{prefix}-layers", of)
    layers = [
        (part.layer, show(part.operators), *(show(getattr(part, name)) for name in measures), show(part.share))
        for part in profile.layers
    ]
    operators = [
        (str(number), part.kind, part.layer or UNKNOWN, *(show(getattr(part, name)) for name in measures))
        for number, part in enumerate(profile.operators, 1)
    ]
    return Section(
        "Where the instructions go" if emulated else "Where the time goes",
        f"{prefix}-profile",
        text=f"The runtime's own profile{at_length(profile.tokens)}, by layer of the checkpoint. Profiling has a cost "
        "of its own: shares count, not sums.",
        plots=[drawn] if drawn else [],
        facts=facts(
            ("profiled runs", show(profile.runs)), ("adds up to, of a run without profile", _share(profile.covered))
        ),
        tables=[
            Table(("layer", "operators", *measures, "share"), layers, title="Layers", folded=True),
            Table(("#", "operator", "layer", *measures), operators, names=3, title="Operators", folded=True),
        ],
    )


def _share(share: float | None) -> str | None:
    return None if share is None else f"{show(share)} ({percent(share)})"


def _estimate(estimate: EstimatePart, prefix: str) -> Section:
    rows = [
        (length_name(length.tokens), with_unit(length.ms, "ms"), f"± {with_unit(length.error_ms, 'ms')}")
        for length in estimate.lengths
    ]
    return Section(
        f"Latency on {estimate.board}",
        f"{prefix}-estimate",
        text="Foretold from this bundle's instructions and bytes, not measured.",
        tables=[Table(("tokens", "latency", "error"), rows)],
        facts=facts(
            ("core", estimate.core),
            ("ns per instruction", show(estimate.ns_per_instruction)),
            ("ns per byte", show(estimate.ns_per_byte)),
            ("measurements behind it", show(estimate.points)),
            ("largest error among them", _share(estimate.error)),
        ),
        points=estimate.basis,
        points_title="It rests on",
        predicted=True,
        beside=True,
    )


def _throughput(report: ProbeReport, prefix: str) -> Section:
    drawn = None if report.emulated else plots.throughput(report.throughput, f"{prefix}-throughput")
    rows = [
        tuple(map(show, (part.batch, part.texts_per_s, part.tokens_per_s, part.batches))) for part in report.throughput
    ]
    return Section(
        "Throughput",
        f"{prefix}-batches",
        text="Texts handed over in batches, tokenizing included.",
        plots=[drawn] if drawn else [],
        tables=[Table(("batch", "texts/s", "tokens/s", "batches"), rows)],
        beside=True,
    )


def _memory(report: ProbeReport, prefix: str) -> Section:
    memory = report.memory
    same = memory.peak_rss == report.peak_rss_mib
    return Section(
        "Memory",
        f"{prefix}-memory",
        text="Of the process that ran the model."
        + (" The emulator's own memory is taken off." if report.emulated else ""),
        facts=facts(
            ("peak", with_unit(report.peak_rss_mib, "MiB")),
            ("peak, of the last process", None if same else with_unit(memory.peak_rss, "MiB")),
            ("resident", with_unit(memory.rss, "MiB")),
            ("private, not from files", with_unit(memory.private, "MiB")),
        ),
        half=True,
    )


def _energy(report: ProbeReport, prefix: str) -> Section:
    energy, of = report.energy, report.unit
    known = facts(
        (f"per {of}", _amount(energy.joules_per_inference, "J")),
        ("above idle", _amount(energy.above_idle, "J")),
        ("while idle", _amount(energy.idle_watts, "W")),
        ("while it ran", _amount(energy.active_watts, "W")),
        (f"{of}s", _amount(energy.inferences, "")),
        ("measured by", energy.source),
    )
    reason = f"Not measured: {energy.why_not}" if energy.why_not else "Not measured."
    text = f"Of one {of}{at_length(report.reference_tokens)}." if energy.measured else reason
    return Section("Energy", f"{prefix}-energy", text=text, facts=known, half=True)


def _amount(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{show(value)} {unit}".rstrip()
