"""What is seen first: the warnings, and the figures most people come for."""

from __future__ import annotations

from collections.abc import Iterator

from edgeslm.probe.page.figures import Banner, Fact, Tile, at_length, facts, show, with_unit
from edgeslm.probe.report import ProbeReport

_LATENCY = ("p50", "p90", "p99", "mean", "min", "max")


def banners(report: ProbeReport) -> Iterator[Banner]:
    """What must be known before any figure is believed, the gravest first."""
    device = report.device
    if not report.complete:
        missing = f"; missing: {', '.join(report.missing)}" if report.missing else ""
        yield Banner("problem", "Not complete", f"{report.problem or 'the probe was ended early'}{missing}")
    elif report.problem:
        yield Banner("problem", "Problem", report.problem)
    if report.emulated:
        yield Banner(
            "note",
            "Emulated: counts, no times",
            "The bundle ran under an emulator, which counts instructions. How long the device takes for them was "
            "not measured.",
        )
    elif not device.is_target:
        yield Banner(
            "warning",
            "Not the target device",
            f"The bundle was built for {report.bundle.target_title}; it ran on {report.place}.",
        )
    if report.bundle.below_gate:
        yield Banner(
            "warning",
            "Below its gate",
            "The bundle was built although it missed a fidelity gate: see its MODEL_CARD.md.",
        )
    if device.throttled:
        yield Banner(
            "warning",
            "Throttled",
            "The device lowered its clock for heat or voltage while it was measured: it can be faster than this.",
        )
    if device.virtual and not report.emulated:
        yield Banner(
            "warning", "Virtual machine", f"It ran under {device.virtual}, whose other guests may have slowed it."
        )


def tiles(report: ProbeReport) -> list[Tile]:
    if report.language:
        speed = _instructions(report) if report.emulated else _decode(report)
        return [speed, _first_token(report), _load(report), _memory(report), _energy(report)]
    return [
        _instructions(report) if report.emulated else _latency(report),
        _load(report),
        _memory(report),
        _energy(report),
        _throughput(report),
    ]


def _latency(report: ProbeReport) -> Tile:
    name = f"Latency p50{at_length(report.reference_tokens)}"
    part = report.latency_ms
    if part is None:
        return Tile(name, None, "ms", large=True)
    beside = [(field, with_unit(getattr(part, field), "ms")) for field in ("p90", "p99", "mean", "min", "max")]
    counts = [("runs", show(part.runs)), ("discarded", show(part.discarded))]
    return Tile(name, show(part.p50), "ms", facts(*beside, *counts), large=True)


def _decode(report: ProbeReport) -> Tile:
    part, speed = report.latency_ms, report.tokens_per_s
    beside = [] if part is None else [(field, with_unit(getattr(part, field), "ms")) for field in _LATENCY]
    counts = [] if part is None else [("runs", show(part.runs)), ("discarded", show(part.discarded))]
    value = _known(speed.decode if speed else None)
    return Tile(f"Decode{at_length(report.reference_tokens)}", value, "tokens/s", facts(*beside, *counts), large=True)


def _first_token(report: ProbeReport) -> Tile:
    if report.emulated:
        return Tile("First token", None, "ms", text="an emulator's times are not the device's")
    speed = report.tokens_per_s
    beside = facts(("prefill", _known(speed.prefill if speed else None, "tokens/s")))
    return Tile("First token", _known(report.ttft_ms), "ms", beside)


def _instructions(report: ProbeReport) -> Tile:
    name = f"Instructions per {report.unit}{at_length(report.reference_tokens)}"
    part = report.instructions
    if part is None:
        return Tile(name, None, "", large=True)
    beside = facts(
        ("per token", None if part.per_token is None else show(part.per_token)),
        ("spread", show(part.spread)),
        ("runs", show(part.runs)),
    )
    return Tile(name, show(part.per_inference), "", beside, large=True)


def _load(report: ProbeReport) -> Tile:
    if report.emulated:
        return Tile("Load", None, "ms", text="an emulator's times are not the device's")
    beside = [
        Fact("once more", with_unit(report.reload_ms, "ms")),
        Fact("first run", with_unit(report.first_run_ms, "ms")),
    ]
    return Tile("Load", _known(report.load_ms), "ms", beside)


def _memory(report: ProbeReport) -> Tile:
    beside = facts(
        ("device memory", _known(report.device.memory_mib, "MiB")),
        ("private", _known(report.memory.private, "MiB")),
    )
    return Tile("Peak memory", _known(report.peak_rss_mib), "MiB", beside)


def _energy(report: ProbeReport) -> Tile:
    energy = report.energy
    if not energy.measured:
        return Tile("Energy", None, "J", text=energy.why_not or "")
    beside = facts(("above idle", _known(energy.above_idle, "J")), ("by", energy.source))
    return Tile(
        f"Energy per {'token' if report.language else 'inference'}", _known(energy.joules_per_inference), "J", beside
    )


def _throughput(report: ProbeReport) -> Tile:
    if report.emulated or not report.throughput:
        why = "an emulator's times are not the device's" if report.emulated else ""
        return Tile("Throughput", None, "texts/s", text=why)
    best = max(report.throughput, key=lambda part: part.texts_per_s)
    return Tile("Throughput", show(best.texts_per_s), "texts/s", facts(("batch", show(best.batch))))


def _known(value: float | None, unit: str = "") -> str | None:
    return None if value is None else f"{show(value)} {unit}".rstrip()
