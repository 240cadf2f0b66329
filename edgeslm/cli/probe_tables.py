"""A probe's figures on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import print_table, printable
from edgeslm.cli.probe_firmware import counter_text, print_cycles, print_positions
from edgeslm.cli.probe_language import print_language

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeslm.probe.report import LayerPart, ProbeReport
    from edgeslm.probe.run import Outcome

SHOWN_LAYERS = 8


def print_report(report: ProbeReport) -> None:
    """One report: its lengths, what the device takes, where the time goes."""
    bundle = report.bundle
    click.echo()
    title = f"{bundle.name} ({bundle.backend}, {bundle.scheme}) on {report.place}"
    incomplete = f"   INCOMPLETE: {printable(report.problem.splitlines()[0])}" if report.problem else ""
    click.echo(click.style(printable(title), bold=True) + incomplete)
    if report.language:
        if report.emulated or report.latency_ms:
            print_language(report.language, report.emulated)
        if report.firmware:
            print_positions(report.firmware)
        click.echo()
    elif report.lengths:
        if report.firmware and not report.emulated:
            print_cycles(report.lengths)
        else:
            (_print_counts if report.emulated else _print_latencies)(report)
        click.echo()
    print_table(None, [[name, printable(value)] for name, value in _facts(report) if value])
    if report.estimate is not None:
        _print_estimate(report)
    if report.profile is not None:
        _print_layers(report)


def print_hosts(outcomes: Sequence[Outcome]) -> None:
    """Several devices side by side: times of real ones, instructions of emulated ones."""
    rows = []
    for outcome in outcomes:
        report, error = outcome.report, outcome.error
        if report is None:
            rows.append([outcome.request.via, *[""] * 5, error.message if error else ""])
            continue
        latency, count = report.latency_ms, report.instructions
        rows.append(
            [
                outcome.request.via,
                report.place,
                f"{latency.p50:.2f} ms" if latency else "",
                f"{latency.p99:.2f} ms" if latency else "",
                f"{count.per_inference / 1e6:,.1f} M" if count else "",
                _mib(report.peak_rss_mib),
                "ok" if report.complete else report.problem or "",
            ]
        )
    reports = [outcome.report for outcome in outcomes if outcome.report]
    tokens = {report.reference_tokens for report in reports} - {None}
    click.echo()
    if len(tokens) == 1:
        what = "One token at a depth of" if all(report.language for report in reports) else "One inference of"
        click.echo(f"{what} {tokens.pop()} tokens")
    print_table(
        ["via", "device", "p50", "p99", "instructions", "peak memory", ""],
        [_first_lines(row) for row in rows],
        right={2, 3, 4, 5},
    )


def _first_lines(row: list[str]) -> list[str]:
    return [printable(cell.splitlines()[0]) if cell else "" for cell in row]


def _print_latencies(report: ProbeReport) -> None:
    print_table(
        ["tokens", "p50 ms", "p90 ms", "p99 ms", "mean ms", "min ms", "runs"],
        [
            [_tokens(part.tokens), *(f"{ms:.2f}" for ms in (at.p50, at.p90, at.p99, at.mean, at.min)), f"{at.runs}"]
            for part in report.lengths
            for at in (part.latency_ms,)
            if at is not None
        ],
        right=set(range(7)),
    )


def _print_counts(report: ProbeReport) -> None:
    print_table(
        ["tokens", "instructions", "per token", "runs", "spread"],
        [
            [
                _tokens(part.tokens),
                f"{count.per_inference / 1e6:,.2f} M",
                "" if count.per_token is None else f"{count.per_token / 1e6:,.3f} M",
                f"{count.runs}",
                f"{count.spread:.4%}",
            ]
            for part in report.lengths
            for count in (part.instructions,)
            if count is not None
        ],
        right=set(range(5)),
    )


def _facts(report: ProbeReport) -> list[tuple[str, str]]:
    device, energy = report.device, report.energy
    throughput = ", ".join(f"{part.texts_per_s:.1f}/s in batches of {part.batch}" for part in report.throughput)
    joules = ""
    if energy.measured and energy.joules_per_inference is not None and energy.above_idle is not None:
        joules = f"{energy.joules_per_inference * 1e3:.2f} mJ per {report.unit} ({energy.source}), "
        joules += f"{energy.above_idle * 1e3:.2f} mJ above idle"
    clock = f", {device.before.clock_mhz:.0f} MHz" if device.before.clock_mhz else ""
    heat = f", {device.before.temperature_c:.0f} °C" if device.before.temperature_c else ""
    return [
        ("load", "" if report.load_ms is None else f"{report.load_ms:.0f} ms, again {_ms(report.reload_ms)}"),
        ("first token" if report.language else "first run", _ms(report.first_run_ms)),
        ("throughput", throughput),
        ("memory", _memory(report)),
        ("energy", joules or f"not measured: {energy.why_not}"),
        ("counter", counter_text(report.firmware) if report.firmware else ""),
        ("device", f"{device.cpu or device.machine}, {device.cores} cores{clock}{heat}"),
        ("runtime", f"{report.runtime.name} {report.runtime.version or ''}, {_threads(report.runtime.threads)}"),
    ]


def _memory(report: ProbeReport) -> str:
    if report.firmware is None:
        return f"{_mib(report.peak_rss_mib)} at most, {_mib(report.memory.private)} private"
    part = report.firmware
    used = [
        f"{name} {used:,} of {size:,}"
        for name, used, size in (
            ("stack", part.stack_used, part.stack_bytes),
            ("arena", part.arena_used, part.arena_bytes),
        )
        if used is not None
    ]
    amounts = f"flash {sum(part.flash.values()):,}, RAM {sum(part.ram.values()):,} bytes"
    return "; ".join([amounts, *used])


def _print_estimate(report: ProbeReport) -> None:
    estimate = report.estimate
    assert estimate is not None
    click.echo()
    click.echo(
        f"Predicted for {estimate.board} from {estimate.points} measured and counted lengths "
        f"(off by up to {estimate.error:.1%} where it could be checked)"
    )
    print_table(
        ["tokens", "predicted ms", "±"],
        [[_tokens(part.tokens), f"{part.ms:.2f}", f"{part.error_ms:.2f}"] for part in estimate.lengths],
        right={0, 1, 2},
    )


def _print_layers(report: ProbeReport) -> None:
    profile = report.profile
    assert profile is not None
    what = "instructions go" if report.emulated else "cycles go" if report.firmware else "time goes"
    click.echo()
    click.echo(f"Where the {what}" + (f", at {profile.tokens} tokens" if profile.tokens else ""))
    # A board's marks cost nothing that counts; a runtime's profiler does, so that its sums are not shown.
    exact = report.firmware is not None
    rows = [
        [f"{layer.share:.1%}", *([f"{_count(layer):,.0f}"] * exact), printable(layer.layer)]
        for layer in profile.layers[:SHOWN_LAYERS]
    ]
    rest = profile.layers[SHOWN_LAYERS:]
    if rest:
        counts = [f"{sum(map(_count, rest)):,.0f}"] * exact
        rows.append([f"{sum(layer.share for layer in rest):.1%}", *counts, f"{len(rest)} more"])
    print_table(None, rows, right={0, 1} if exact else {0})


def _count(layer: LayerPart) -> float:
    return layer.instructions or layer.cycles or 0


def _tokens(tokens: int | None) -> str:
    return "–" if tokens is None else f"{tokens}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms"


def _mib(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} MiB"
