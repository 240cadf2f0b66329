"""What a reader has to know beside a report's numbers, so that they say no more than was measured."""

from __future__ import annotations

from collections.abc import Sequence

from edgeslm.probe.measured import InstructionsPart, LatencyPart
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.settings import Event
from edgeslm.target import Target

BUSY = 0.5
"""Load average per core from which on other work may have slowed the probe down."""
STEPPED_S = 1.0
STEADY_GOVERNORS = frozenset({"performance", "userspace"})
UNSTEADY_COUNT = 0.001
"""Counts of the same work that differ by more than this share are not deterministic."""


def notes(
    report: ProbeReport, target: Target, profile: Event, after: Event, end: Event, more: Sequence[str] = ()
) -> tuple[str, ...]:
    """Plain sentences, the most important first. `more`: what its kind of model has to add."""
    found = [*_place_notes(report, target), *_condition_notes(report), *_clock_notes(report, after, end)]
    worst = max((part.spread for part in _counts(report)), default=0.0)
    if worst > UNSTEADY_COUNT:
        found.append(f"instruction counts of the same work differ by up to {worst:.2%}")
    if profile.get("why_not"):
        found.append(f"no profile by operator: {profile['why_not']}")
    return (*found, *more)


def _counts(report: ProbeReport) -> list[InstructionsPart]:
    found = [part.instructions for part in report.lengths]
    if report.language:
        found += [part.instructions for part in report.language.prompts]
        found += [part.instructions for part in report.language.decode]
    return [part for part in found if part]


def _latencies(report: ProbeReport) -> list[LatencyPart]:
    found = [part.latency_ms for part in report.lengths]
    if report.language:
        found += [part.ttft_ms for part in report.language.prompts]
        found += [part.latency_ms for part in report.language.decode]
    return [part for part in found if part]


def _place_notes(report: ProbeReport, target: Target) -> list[str]:
    device, found = report.device, []
    if report.emulated:
        core = device.core or device.machine
        if _counts(report):
            found.append(f"emulated {core}: instructions are counted, times of the device are not known")
        else:
            found.append(f"the device is an emulator ({core}): its times are not shown; --via qemu counts instructions")
    if not device.is_target:
        place = device.board or device.core or device.cpu or device.machine
        found.append(f"measured on {place}, which is no {target.title}: these figures are not that device's")
    if device.virtual:
        found.append(f"a virtual machine ({device.virtual}): it shares its processor with others")
    return found


def _condition_notes(report: ProbeReport) -> list[str]:
    device, found = report.device, []
    if device.throttled:
        found.append("the device slowed itself down while it was measured (heat or power): cool it and probe again")
    load = device.before.load_average
    if load is not None and load / max(1, device.cores) > BUSY:
        found.append(f"the device was busy before the probe began: load {load:.2f} on {device.cores} cores")
    if device.before.governor and device.before.governor not in STEADY_GOVERNORS:
        found.append(f"the clock follows the load (governor {device.before.governor}); performance is steadier")
    return found


def _clock_notes(report: ProbeReport, after: Event, end: Event) -> list[str]:
    found = []
    backwards = max(sum(part.discarded for part in _latencies(report)), after.get("clock_backwards", 0))
    if backwards:
        found.append(f"the device's clock went backwards: {backwards} readings that cannot be are left out")
    stepped = end.get("wall_clock_stepped_s", 0.0)
    if abs(stepped) >= STEPPED_S:
        found.append(f"the device's date was set by {stepped:+.0f} s meanwhile; no duration here rests on it")
    return found
