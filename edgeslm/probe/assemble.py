"""From the device's events to a ProbeReport, whole or as far as the probe came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeslm import __version__
from edgeslm.bundle.inspect import Inspection
from edgeslm.bundle.manifest import Manifest
from edgeslm.errors import DeviceError
from edgeslm.probe import language
from edgeslm.probe.language_notes import language_notes, missing_profile
from edgeslm.probe.measured import instructions_part, latency_part
from edgeslm.probe.notes import notes
from edgeslm.probe.operators import profile_part
from edgeslm.probe.report import (
    AndroidPart,
    BundlePart,
    ConditionPart,
    DevicePart,
    EnergyPart,
    LengthPart,
    MemoryPart,
    ProbeReport,
    RuntimePart,
    ThroughputPart,
)
from edgeslm.probe.settings import Event
from edgeslm.probe.step_reads import StepReads
from edgeslm.target import CORES, Target

MIB = 1 << 20
SECTIONS = ("start", "device", "load", "length", "throughput", "memory", "energy", "after", "profile", "end")
"""In the order in which a device tells them."""
UNTIMED = frozenset({"throughput"})
"""What an emulated device leaves out."""


def assemble(
    inspection: Inspection,
    via: str,
    events: Sequence[Event],
    *,
    started_at: str,
    duration_s: float,
    layers: bytes | None,
    reads: StepReads | None = None,
    problem: str | None = None,
) -> ProbeReport | None:
    """The report of these events; None where the device did not even say what it is.

    `layers` is the bundle's model/layers.json, `reads` what a language model's step reads; a bundle without is none.
    Raises DeviceError where an event is not what the protocol says.
    """
    told: dict[str, list[Event]] = {}
    for event in events:
        told.setdefault(event["section"], []).append(event)
    if "start" not in told or "device" not in told:
        return None
    try:
        return _assemble(inspection, via, told, started_at, duration_s, layers, reads, problem)
    except (KeyError, TypeError, ValueError) as error:  # pydantic's ValidationError is a ValueError
        raise DeviceError(
            f"the device answered something that is no probe: {type(error).__name__} {error}",
            "the bundle's device package and this edgeslm must be of the same version: build the bundle again",
        ) from None


def _assemble(
    inspection: Inspection,
    via: str,
    told: dict[str, list[Event]],
    started_at: str,
    duration_s: float,
    layers: bytes | None,
    reads: StepReads | None,
    problem: str | None,
) -> ProbeReport:
    def one(section: str) -> Event:
        return told.get(section, [{}])[-1]

    start, load, after, memory = (one(name) for name in ("start", "load", "after", "memory"))
    emulated: bool = start["emulated"]
    target = inspection.manifest.target
    counted = _CountedRuns(one("counts"))
    reference_tokens = load.get("reference_tokens")
    device = _device(one("device"), after, target, emulated)
    android = one("android")
    if android and not target.is_android:
        device = device.model_copy(update={"is_target": False})  # a phone has the cores of a board, and is none
    lengths = tuple(_length(event, counted) for event in told.get("length", []))
    spoken = None
    if reads is not None:
        is_target = device.is_target and not emulated
        spoken = language.language_part(told, counted.take, reads, target, is_target)
    prompt = language.reference_prompt(spoken, reference_tokens) if spoken else None
    depth = language.reference_depth(spoken, reference_tokens) if spoken else None
    reference = depth or next((part for part in lengths if part.tokens == reference_tokens), None)
    sections, untimed = (language.SECTIONS, language.UNTIMED) if spoken else (SECTIONS, UNTIMED)
    missing = tuple(name for name in sections if name not in told and not (emulated and name in untimed))
    report = ProbeReport(
        edgeslm=__version__,
        complete=problem is None and not missing,
        problem=problem or (f"the device left out: {', '.join(missing)}" if missing else None),
        missing=missing,
        via=via,
        emulated=emulated,
        started_at=started_at,
        duration_s=round(duration_s, 3),
        bundle=bundle_part(inspection),
        device=device,
        runtime=RuntimePart(
            name=load.get("runtime") or inspection.manifest.model.runtime,
            version=load.get("runtime_version"),
            python=start["python"],
            threads=start["threads"],
        ),
        reference_tokens=reference_tokens,
        latency_ms=reference.latency_ms if reference else None,
        instructions=reference.instructions if reference else None,
        ttft_ms=prompt.ttft_ms.p50 if prompt and prompt.ttft_ms else None,
        tokens_per_s=language.speed_part(prompt, depth),
        load_ms=load.get("load_ms"),
        reload_ms=after.get("reload_ms"),
        first_run_ms=load.get("first_run_ms"),
        peak_rss_mib=_mib(memory.get("peak_rss")),
        memory=MemoryPart(
            rss=_mib(memory.get("rss")), peak_rss=_mib(memory.get("peak_rss")), private=_mib(memory.get("private"))
        ),
        lengths=lengths,
        throughput=tuple(
            ThroughputPart(**{name: event[name] for name in ThroughputPart.model_fields})
            for event in told.get("throughput", [])
        ),
        energy=_energy(one("energy")),
        profile=profile_part(one("profile"), counted.take, reference, layers) if "profile" in told else None,
        estimate=None,
        language=spoken,
        android=_android(android) if android else None,
    )
    more: list[str] = list(android.get("notes", []))
    if spoken is not None and reads is not None:
        more += language_notes(spoken, told, reads)
        more += missing_profile(report.instructions is not None, one("profile"), report.profile is not None)
    return report.model_copy(update={"notes": notes(report, target, one("profile"), after, one("end"), more)})


class _CountedRuns:
    """The emulator's counts, handed out in the order in which the device made its runs."""

    def __init__(self, event: Event) -> None:
        self._overhead: int = event.get("overhead", 0)
        self._left: list[Sequence[int]] = list(event.get("runs", []))

    def take(self, runs: int) -> list[list[int]]:
        """Instructions of the next `runs` runs, split at the clock reads in them; fewer where the counts ended."""
        taken, self._left = self._left[:runs], self._left[runs:]
        # What a mark takes itself lies before its system call, so at the end of each run.
        return [[*run[:-1], max(0, run[-1] - self._overhead)] for run in taken]


def _length(event: Event, counted: _CountedRuns) -> LengthPart:
    tokens, samples = event["tokens"], event["samples_ms"]
    counts = [sum(run) for run in counted.take(event["counted_runs"])]
    return LengthPart(
        tokens=tokens,
        warm_up_runs=event["warm_up_runs"],
        latency_ms=latency_part(samples, event["discarded"]),
        samples_ms=tuple(samples),
        instructions=instructions_part(counts, tokens),
    )


def bundle_part(inspection: Inspection) -> BundlePart:
    """Which bundle it was."""
    manifest = inspection.manifest
    return BundlePart(
        name=manifest.name,
        digest=inspection.digest,
        task=manifest.task,
        target=manifest.target.name,
        target_title=manifest.target.title,
        target_core=manifest.target.cpu.core,
        backend=manifest.backend,
        scheme=manifest.scheme,
        model_bytes=_model_bytes(manifest),
        fidelity_cosine_min=manifest.fidelity.cosine_min,
        below_gate=manifest.below_gate,
    )


def _model_bytes(manifest: Manifest) -> int:
    """In firmware the model's files are C: what counts is what lies in flash."""
    if manifest.firmware is not None:
        return manifest.firmware.flash.get("weights", 0)
    return sum(manifest.files[name].bytes for name in manifest.model.files)


def _device(event: Event, after: Event, target: Target, emulated: bool) -> DevicePart:
    facts: dict[str, Any] = {
        name: event[name]
        for name in DevicePart.model_fields
        if name not in {"is_target", "before", "after", "throttled"}
    }
    if emulated:  # what the host shows through the emulator is no fact of the device
        facts |= dict.fromkeys(("board", "virtual", "clock_max_mhz", "memory_mib", "kernel"))
        conditions = [ConditionPart(**dict.fromkeys(ConditionPart.model_fields))] * 2
    else:
        conditions = [
            ConditionPart(**{name: found[name] for name in ConditionPart.model_fields})
            for found in (event["condition"], after.get("condition"))
            if found is not None
        ]
    return DevicePart(
        **facts,
        is_target=is_target(facts["machine"], facts["core"], target),
        before=conditions[0],
        after=conditions[1] if len(conditions) > 1 and after else None,
        throttled=None if emulated else after.get("throttled"),
    )


def is_target(machine: str, core: str | None, target: Target) -> bool:
    """Whether this is the kind of device a bundle was built for: its core on Arm, whose cores tell who they are.

    Android's targets are a class of phones with many cores, which share the instruction set.
    """
    if machine != target.cpu.arch or target.packaging == "android":
        return machine == target.cpu.arch
    return core == target.cpu.core or (machine == "x86_64" and CORES[target.cpu.core].arch == "x86_64")


def _android(event: Event) -> AndroidPart:
    told = {name: event[name] for name in AndroidPart.model_fields}
    return AndroidPart(**{**told, "abis": tuple(told["abis"])})


def _energy(event: Event) -> EnergyPart:
    if not event:
        return EnergyPart(measured=False, why_not="the probe ended before")
    return EnergyPart(**{name: event[name] for name in EnergyPart.model_fields if name in event})


def _mib(count: int | None) -> float | None:
    return None if count is None else round(count / MIB, 2)
