"""The story of a probe: what is measured, in which order. Each section is one event, told as soon as it is known.

What is measured of a model depends on its kind (encoder.py, language.py); what is around it is told here. Memory is
read before the profile, which opens the model a second time; the profile comes last, because it goes through native
interfaces that could end the process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import NoEnergyError
from .emulator import is_emulated
from .machine import condition, describe_device, has_throttled
from .mark import mark
from .memory import memory
from .options import Options
from .stopwatch import Stopwatch

if TYPE_CHECKING:
    from ..model import Model

Event = dict[str, Any]

PROTOCOL = 1
REFERENCE_TOKENS = 64
"""Of a report's headline, where the kind of model says nothing else."""
PROFILE_FACTOR = 3
"""Times the model's peak memory: MiniLM in fp32 takes 287 MiB without the cache of packed weights, 86 with it."""


class Subject(Protocol):
    """What is measured of one kind of model."""

    wanted: int  # the reference length, or near it

    @property
    def runtime(self) -> str: ...

    @property
    def lengths(self) -> list[int | None]:
        """In tokens, those that a reference can be; None for a model without lengths."""

    def first(self, reference: int | None) -> None:
        """The first run after the model was opened."""

    def run(self, reference: int | None) -> None:
        """What the energy of is measured: one inference, one token."""

    def measure(self) -> Iterator[Event]:
        """The sections between `load` and `memory`."""

    def measure_device(self, available_mib: float | None) -> Iterator[Event]:
        """Sections about the device that its figures are set against. They may take memory: it was read by then."""

    def profile(self, reference: int | None) -> Event:
        """The section `profile` without its `section` and `tokens`. The model is closed by then."""


def probe(options: Options) -> Iterator[Event]:
    """Every section in order. Raises DeviceError where the bundle cannot be run at all."""
    emulated = is_emulated()
    wall, monotonic = time.time(), time.monotonic()
    yield start_event(options, emulated)
    before = condition()
    yield {"section": "device", **describe_device(), "condition": before}

    stopwatch = Stopwatch()
    opened: list[Model] = []
    load_ms = stopwatch.time(lambda: opened.append(_open(options)))
    model = opened[0]
    subject = _subject(model, options, emulated, stopwatch)
    reference = reference_length(subject.lengths, subject.wanted)
    first_run_ms = stopwatch.time(lambda: subject.first(reference))
    yield {
        "section": "load",
        "runtime": subject.runtime,
        "runtime_version": _version(subject.runtime),
        "reference_tokens": reference,
        "load_ms": None if emulated else load_ms,
        "first_run_ms": None if emulated else first_run_ms,
    }

    if options.counted:
        mark()  # what two marks take with nothing in between
        mark()
    yield from subject.measure()
    taken = memory(emulated)
    yield {"section": "memory", **taken}
    if not emulated:
        yield from subject.measure_device(before["memory_available_mib"])
    yield {"section": "energy", **_energy(options, emulated, lambda: subject.run(reference))}

    model.close()
    reload_ms = None
    if not emulated:
        reload_ms = stopwatch.time(lambda: opened.append(_open(options)))
        opened[-1].close()
    after = condition()
    yield {
        "section": "after",
        "condition": after,
        "throttled": has_throttled(before, after),
        "reload_ms": reload_ms,
        "clock_backwards": stopwatch.discarded,
    }
    if not options.profile:
        profile: Event = {"signature": None, "runs": 0, "operators": [], "why_not": "it was not asked for"}
    elif _is_short_of_memory(after, taken["peak_rss"], emulated):
        why_not = "the device has too little free memory to open the model once more"
        profile = {"signature": None, "runs": 0, "operators": [], "why_not": why_not}
    else:
        profile = subject.profile(reference)
    yield {"section": "profile", "tokens": reference, **profile}
    # A wall clock that was set in the meantime explains odd dates in logs; no duration here rests on it.
    stepped = (time.time() - wall) - (time.monotonic() - monotonic)
    yield {"section": "end", "wall_clock_stepped_s": round(stepped, 3)}


def reference_length(lengths: Sequence[int | None], wanted: int = REFERENCE_TOKENS) -> int | None:
    """The length nearest to `wanted`; None for a model without lengths."""
    known = [length for length in lengths if length is not None]
    return min(known, key=lambda length: (abs(length - wanted), length), default=None)


def _subject(model: Model, options: Options, emulated: bool, stopwatch: Stopwatch) -> Subject:
    if model.task == "generation":
        from .language import LanguageSubject

        return LanguageSubject(model, options, emulated, stopwatch)
    from .encoder import EncoderSubject

    return EncoderSubject(model, options, emulated, stopwatch)


def start_event(options: Options, emulated: bool) -> Event:
    return {
        "section": "start",
        "protocol": PROTOCOL,
        "pid": os.getpid(),
        "pgid": os.getpgrp(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "emulated": emulated,
        "runs": options.runs,
        "threads": options.threads_used,
    }


def _open(options: Options) -> Model:
    from ..model import Model  # here: numpy's import is part of what a user waits for

    return Model.open(options.bundle, threads=options.threads_used)


def _energy(options: Options, emulated: bool, run: Callable[[], object]) -> Event:
    from .energy import find_source, measure_energy

    if emulated:
        return {"measured": False, "why_not": "an emulator takes its host's energy, not a device's"}
    try:
        return measure_energy(find_source(options.meter), run)
    except NoEnergyError as error:
        if options.meter is not None:
            raise
        return {"measured": False, "why_not": error.message}


def _is_short_of_memory(after: dict[str, Any], peak_rss: int | None, emulated: bool) -> bool:
    """Whether a profile might cost the whole probe: it packs the weights without the engine's cache of them."""
    available = after["memory_available_mib"]
    if emulated or available is None or peak_rss is None:
        return False
    return bool(available * (1 << 20) < PROFILE_FACTOR * peak_rss)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
