"""Events of a device that turns out to be an emulator: what it told of times is none of any device's."""

from __future__ import annotations

from edgeslm.probe.settings import Event

_ONLY_TIMES = frozenset({"throughput", "bandwidth"})
WHY_NOT = "an emulator's times and energy are none of a device's"


def without_times(event: Event) -> Event | None:
    """The event as an emulated device tells it; None for a section that it leaves out."""
    section = event["section"]
    if section in _ONLY_TIMES:
        return None
    changes: Event = {}
    if section == "start":
        changes = {"emulated": True}
    elif section == "load":
        changes = {"load_ms": None, "first_run_ms": None}
    elif section == "kernel":
        changes = {"samples_ms": []}
    elif section in {"length", "prompt", "decode"}:
        changes = {"samples_ms": [], "discarded": 0}
        changes |= {name: None for name in ("prefill_ms", "outside_ms") if name in event}
    elif section == "energy":
        return {"section": section, "measured": False, "why_not": WHY_NOT}
    elif section == "after":
        changes = {"reload_ms": None, "throttled": None, "clock_backwards": 0}
    elif section == "profile":
        changes = {"runs": 0, "operators": [], "why_not": WHY_NOT}
    return {**event, **changes}
