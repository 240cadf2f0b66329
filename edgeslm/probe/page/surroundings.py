"""The sections of what the figures belong to: the device and its state, the bundle, the run, and its notes."""

from __future__ import annotations

from collections.abc import Iterator

from edgeslm.probe.page.figures import UNKNOWN, Fact, Section, Table, facts, show
from edgeslm.probe.report import ConditionPart, DevicePart, ProbeReport

_CONDITIONS = (
    ("clock, MHz", "clock_mhz"),
    ("governor", "governor"),
    ("temperature, °C", "temperature_c"),
    ("throttle events since boot", "throttle_events"),
    ("load average", "load_average"),
    ("memory available, MiB", "memory_available_mib"),
)


def surroundings(report: ProbeReport, prefix: str) -> Iterator[Section]:
    yield _device(report.device, prefix)
    yield _bundle(report, prefix)
    yield _run(report, prefix)
    if report.notes:
        yield Section("Notes", f"{prefix}-notes", points=report.notes)


def _device(device: DevicePart, prefix: str) -> Section:
    rows = [(name, _condition(device.before, field), _condition(device.after, field)) for name, field in _CONDITIONS]
    return Section(
        "Device",
        f"{prefix}-device",
        facts=facts(
            ("board", device.board or UNKNOWN),
            ("processor", " · ".join(dict.fromkeys(filter(None, (device.cpu, device.core)))) or UNKNOWN),
            ("cores", show(device.cores)),
            ("highest clock", None if device.clock_max_mhz is None else f"{show(device.clock_max_mhz)} MHz"),
            ("memory", None if device.memory_mib is None else f"{show(device.memory_mib)} MiB"),
            ("architecture", device.machine),
            ("system", device.system),
            ("kernel", device.kernel),
            ("glibc", device.glibc),
            ("virtual", device.virtual),
            ("the bundle's target", "yes" if device.is_target else "no"),
            ("throttled", {True: "yes", False: "no", None: "it does not tell"}[device.throttled]),
        ),
        tables=[Table(("state", "before", "after"), rows)],
        beside=True,
    )


def _condition(part: ConditionPart | None, field: str) -> str:
    value = getattr(part, field) if part else None
    return value if isinstance(value, str) else show(value)


def _bundle(report: ProbeReport, prefix: str) -> Section:
    bundle = report.bundle
    known = facts(
        ("name", bundle.name),
        ("task", bundle.task),
        ("target", f"{bundle.target_title} ({bundle.target})"),
        ("core", bundle.target_core),
        ("backend", bundle.backend),
        ("scheme", bundle.scheme),
        ("model files", f"{show(bundle.model_bytes)} bytes"),
        ("cosine to PyTorch, least", show(bundle.fidelity_cosine_min)),
    )
    return Section(
        "Bundle",
        f"{prefix}-bundle",
        facts=[*known, Fact("digest", bundle.digest, code=True)],
        half=True,
    )


def _run(report: ProbeReport, prefix: str) -> Section:
    runtime = report.runtime
    tokens = report.reference_tokens
    return Section(
        "Run",
        f"{prefix}-run",
        facts=facts(
            ("started", report.started_at),
            ("took", f"{show(report.duration_s)} s"),
            ("via", report.via),
            ("runtime", f"{runtime.name} {runtime.version or '(version unknown)'}"),
            ("Python", runtime.python),
            ("threads", show(runtime.threads)),
            ("reference length", None if tokens is None else f"{show(tokens)} tokens"),
            ("edgeslm", report.edgeslm),
            ("report schema", show(report.schema_version)),
        ),
        half=True,
    )
