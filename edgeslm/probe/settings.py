"""What a probe is asked for, and the words for it that the device package understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Event = dict[str, Any]
"""One line of the device's answer: a JSON object with the key `section`. docs/probe.md describes them all."""
OnEvent = Callable[[Event], None]
AdbMode = Literal["auto", "app", "pushed"]
"""On Android: by the demo app, by a Python that is pushed, or (auto) by the app where it is installed and holds this
model."""

GRACE_S = 15.0
"""The device ends its probe at the time limit by itself; what takes this much longer is ended from here."""


@dataclass(frozen=True)
class ProbeSettings:
    """How to measure; the command line's flags."""

    runs: int = 50  # timed inferences for each length
    threads: int = 2
    lengths: tuple[int, ...] = ()  # length buckets in tokens; all, if not given
    time_limit_s: float = 600.0  # of the measuring itself, not of copying and installing
    meter: str | None = None  # a power meter's serial device or tcp://HOST:PORT, as the device sees it
    profile: bool = True  # which operator takes how long; the model is opened once more for it
    kernels: bool = False  # the bundle is one of single kernels, for a cost model


def device_arguments(bundle: str | Path, settings: ProbeSettings) -> list[str]:
    """What comes after `python3` on the device, whose PYTHONPATH names the bundle: its own device package runs.

    It prints one event a line on stdout. It ends by itself at the time limit, and as soon as its stdin is closed, so
    that nothing goes on measuring on a device whose connection is lost.
    """
    arguments = ["-m", "edgeslm_device", "probe", str(bundle), "--events"]
    arguments += ["--runs", str(settings.runs), "--threads", str(settings.threads)]
    arguments += ["--time-limit", f"{settings.time_limit_s:g}"]
    for tokens in settings.lengths:
        arguments += ["--length", str(tokens)]
    if not settings.profile:
        arguments.append("--no-profile")
    if settings.kernels:
        arguments.append("--kernels")
    if settings.meter:
        arguments += ["--meter", settings.meter]
    return arguments


def parse_event(line: str) -> Event | None:
    """One line of the device's stdout, or None where a library printed something of its own."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("section"), str) else None


def on_line(on_event: OnEvent) -> Callable[[str], None]:
    """What takes the device's stdout line by line and hands over its events."""

    def take(line: str) -> None:
        event = parse_event(line)
        if event is not None:
            on_event(event)

    return take
