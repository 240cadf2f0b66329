"""The public Python API: the commands as functions."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgeslm import pipeline
from edgeslm.artifacts import BuildReport
from edgeslm.bundle.inspect import Inspection, inspect_bundle
from edgeslm.limits import NO_LIMITS, Limits
from edgeslm.pipeline import Announce, BuildRequest, Decision
from edgeslm.probe.compare import CompareAnswer
from edgeslm.probe.compare import compare as compare_reports
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.run import ProbeRequest, probe
from edgeslm.probe.settings import ProbeSettings
from edgeslm.quantize.plan import TensorPlan
from edgeslm.report import write_report


@contextlib.contextmanager
def _silent(stage: str, cached: bool) -> Iterator[None]:
    yield


def _untold(line: str) -> None:
    pass


def plan(
    target: str,
    model: str = "demo",
    *,
    scheme: str | Sequence[str] | None = None,
    backend: str | None = None,
    converter: str | None = None,
    max_length: int | None = None,
    context: int | None = None,
    kv_cache: str | None = None,
    calibration: str | Path | None = None,
    eval: str | Path | None = None,
    min_fidelity: float | None = None,
    litert_aar: Sequence[str | Path] = (),
    plan: str | Path | TensorPlan | None = None,
    limits: Limits = NO_LIMITS,
) -> Decision:
    """What `build` would do with the same arguments, and why. Does nothing.

    Raises the errors of edgeslm.errors, as every function here does.
    """
    request = BuildRequest(
        target,
        model,
        scheme=_schemes(scheme),
        backend=backend,
        converter=converter,
        max_length=max_length,
        context=context,
        kv_cache=kv_cache,
        calibration=_path(calibration),
        eval=_path(eval),
        min_fidelity=min_fidelity,
        litert_aar=tuple(map(Path, litert_aar)),
        plan=plan if isinstance(plan, TensorPlan) else _path(plan),
        limits=limits,
    )
    if limits.asked:
        from edgeslm.search.run import planned

        request = planned(request, _silent)
    return pipeline.plan(request)


def build(
    target: str,
    model: str = "demo",
    *,
    scheme: str | Sequence[str] | None = None,
    backend: str | None = None,
    converter: str | None = None,
    max_length: int | None = None,
    context: int | None = None,
    kv_cache: str | None = None,
    calibration: str | Path | None = None,
    eval: str | Path | None = None,
    min_fidelity: float | None = None,
    plan: str | Path | TensorPlan | None = None,
    limits: Limits = NO_LIMITS,
    allow_below_gate: bool = False,
    force: bool = False,
    vendor_wheels: bool = False,
    litert_aar: Sequence[str | Path] = (),
    out: str | Path = ".",
    announce: Announce = _silent,
    tell: Callable[[str], None] = _untold,
) -> BuildReport:
    """Build the bundle in folder `out`, and its parity report beside it (MODEL-TARGET-SCHEME.report.json).

    Several schemes make several models in one bundle, for Android alone; so does `litert_aar` mean Android: LiteRT's
    library files, to be put into ours.

    `announce(stage, cached)` returns a context that surrounds each stage, `tell` is given lines of progress.
    """
    request = BuildRequest(
        target,
        model,
        scheme=_schemes(scheme),
        backend=backend,
        converter=converter,
        max_length=max_length,
        context=context,
        kv_cache=kv_cache,
        calibration=_path(calibration),
        eval=_path(eval),
        min_fidelity=min_fidelity,
        plan=plan if isinstance(plan, TensorPlan) else _path(plan),
        limits=limits,
        allow_below_gate=allow_below_gate,
        force=force,
        vendor_wheels=vendor_wheels,
        litert_aar=tuple(map(Path, litert_aar)),
        out=Path(out),
    )
    outcome = None
    if limits.asked:
        from edgeslm.search.run import chosen, figures

        request, outcome = chosen(request, announce, tell)
    report = pipeline.build(request, announce)
    if outcome is not None:
        report = dataclasses.replace(report, figures=figures(outcome))
    write_report(report)
    return report


def inspect(bundle: str | Path) -> Inspection:
    """Open a bundle (file or unpacked folder) and verify every digest in it."""
    return inspect_bundle(Path(bundle))


def measure(
    bundle: str | Path,
    *,
    via: str = "local",
    runs: int = 50,
    threads: int = 2,
    lengths: Sequence[int] = (),
    time_limit_s: float = 600.0,
    meter: str | None = None,
    core: str | None = None,
    rootfs: str | Path | None = None,
    calibration: Sequence[ProbeReport] = (),
    keep: bool = False,
) -> ProbeReport:
    """`edgeslm probe` on one device: "local", "qemu", "serial:/dev/ttyACM0" for firmware, or "ssh://user@host:port"
    with the keys and hosts that ssh knows.

    Raises ProbeTimeoutError, ConnectionLostError and their kin; the command line keeps what was measured until then.
    """
    request = ProbeRequest(
        Path(bundle),
        via,
        ProbeSettings(runs, threads, tuple(lengths), time_limit_s, meter),
        rootfs=_path(rootfs),
        core=core,
        calibration=tuple(calibration),
        keep=keep,
    )
    outcome = probe([request], lambda title: contextlib.nullcontext(), lambda line: None)[0]
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.error is not None:
        raise outcome.error
    assert outcome.report is not None  # a probe without an error told at least what it is
    return outcome.report


def compare(reports: Sequence[ProbeReport]) -> CompareAnswer:
    """Reports side by side, and why the comparison may not be a fair one."""
    return compare_reports(reports)


def _schemes(value: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    return value if value is None or isinstance(value, str) else tuple(value)


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)
