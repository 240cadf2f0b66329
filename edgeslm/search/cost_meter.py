"""What a plan that was built really costs: instructions of an emulated core, or milliseconds of this machine."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.cache import StageCache
from edgeslm.cost.memory import MIB
from edgeslm.errors import DeviceError, EdgeslmError
from edgeslm.firmware.qemu import is_emulated
from edgeslm.probe.measured import InstructionsPart
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.run import ProbeRequest, probe
from edgeslm.probe.settings import ProbeSettings
from edgeslm.search.subject import Subject
from edgeslm.stages.firmware import kernels_key

RUNS = 200
"""Timed ones, of which the fastest tenth is told: a profile's kernels are believed in the same way."""
FASTEST = 10.0
"""Percentile."""


@dataclass(frozen=True)
class Cost:
    """Of one run in the profile's unit; `ram` in bytes, None where an emulator holds the process."""

    value: float
    ram: float | None = None


class CostMeter:
    """Measures bundles of one search. `why_not` says why it does not, None as long as it does; what is missing on this
    machine shows at the first bundle."""

    def __init__(
        self, subject: Subject, cache: StageCache, announce: Callable[[str, bool], AbstractContextManager[None]]
    ) -> None:
        self._subject = subject
        self._cache = cache
        self._announce = announce
        self.why_not = _why_not(subject)

    def measure(self, bundle: Path, model_digest: str) -> Cost | None:
        """None where it cannot be measured here."""
        if self.why_not is not None:
            return None
        try:
            if self._counted:  # the same file takes the same instructions
                key = [model_digest, self._subject.target.cpu.core, *map(str, self._lengths), *self._runtime]
                return self._cache.stage("instructions", key, Cost, lambda _: self._probe(bundle))
            return self._probe(bundle)
        except EdgeslmError as error:
            self.why_not = error.message
            return None

    @property
    def _counted(self) -> bool:
        profile = self._subject.profile
        return profile is not None and profile.unit == "instructions"

    @property
    def _lengths(self) -> tuple[int, ...]:
        return () if self._subject.tokens is None else (self._subject.tokens,)

    @property
    def _runtime(self) -> tuple[object, ...]:
        """What runs the model, where that is a part of the bundle that the model's digest does not know."""
        target = self._subject.target
        return kernels_key(choose_variant(target.cpu.isa)) if target.is_firmware else ()

    def _probe(self, bundle: Path) -> Cost:
        profile = self._subject.profile
        assert profile is not None
        settings = ProbeSettings(runs=RUNS, threads=profile.threads, lengths=self._lengths, profile=False)
        request = ProbeRequest(bundle, "qemu" if self._counted else "local", settings)
        (outcome,) = probe([request], lambda title: self._announce(title, False), lambda _: None)
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.error is not None:
            raise outcome.error
        if outcome.report is None:
            raise DeviceError("the probe told nothing")
        return _read(outcome.report, counted=self._counted)


def _read(report: ProbeReport, *, counted: bool) -> Cost:
    """The reference run's. Raises DeviceError where the report has none."""
    found = report.instructions if counted else report.latency_ms
    if found is None:
        what = "instructions" if counted else "times"
        raise DeviceError(f"the probe told no {what}", report.problem)
    if isinstance(found, InstructionsPart):
        return Cost(found.per_inference)
    parts = report.lengths if report.language is None else report.language.decode
    samples = [ms for part in parts if part.tokens == report.reference_tokens for ms in part.samples_ms]
    ram = None if report.peak_rss_mib is None else report.peak_rss_mib * MIB
    return Cost(float(np.percentile(samples, FASTEST)), ram)


def _why_not(subject: Subject) -> str | None:
    """What is known before anything is built."""
    target, profile = subject.target, subject.profile
    if not subject.has_costs or profile is None:
        return f"no profile tells what kernels cost with {subject.backend} on {target.name}"
    if target.is_firmware and (profile.unit == "ms" or not is_emulated(target)):
        return f"{target.name} is a board of its own: edgeslm probe BUNDLE --via serial:PORT measures it"
    if target.is_android:
        return f"{target.name} takes apps: edgeslm probe BUNDLE --via adb measures one"
    machine = platform.machine()
    if profile.unit == "ms" and target.cpu.arch != machine:
        return f"{target.name} is no {machine}: edgeslm probe BUNDLE --via ssh://… takes its time"
    return None
