"""Limits that make no sense, alone or together, on this target: said before anything is measured."""

from __future__ import annotations

from edgeslm.cost.profile import TargetProfile
from edgeslm.errors import ConfigError
from edgeslm.limits import Limits
from edgeslm.target import Target

MICROCONTROLLERS = "profiles of Cortex-M4, -M7 and -M55 are shipped; edgeslm profile-target measures a board's own"


def reject_contradictions(
    limits: Limits, fidelity: float | None, target: Target, backend: str, profile: TargetProfile | None
) -> None:
    """`profile` is the file's or the target's shipped one, whatever backends it knows. Raises ConfigError."""
    objective = limits.objective or "fidelity"
    if objective != "fidelity" and fidelity is None:
        raise ConfigError(
            f"--objective {objective} without a limit on fidelity leaves a model that means nothing",
            "add --min-fidelity 0.97, or another share that is to be kept",
        )
    if limits.latency_ms is not None and limits.instructions is not None:
        raise ConfigError(
            "--max-latency and --max-instructions exclude each other: a profile knows one of them",
            "leave one of them out",
        )
    timed = "--max-latency" if limits.latency_ms is not None else ""
    timed = timed or ("--objective latency" if objective == "latency" else "")
    counted = "--max-instructions" if limits.instructions is not None else ""
    counted = counted or ("--objective instructions" if objective == "instructions" else "")
    if timed and counted:
        raise ConfigError(
            f"{timed} and {counted} exclude each other: a profile knows one of them", "limit and aim for the same one"
        )
    if timed or counted:
        _require_profile(timed, counted, target, backend, profile)


def _require_profile(timed: str, counted: str, target: Target, backend: str, profile: TargetProfile | None) -> None:
    """One that knows the backend, in the unit that is asked for."""
    known = sorted({law.backend for law in profile.kernel}) if profile is not None else []
    if profile is None or backend not in known:
        hints = [f"profiles know --backend {', '.join(known)}"] if known else []
        hints += [MICROCONTROLLERS if target.is_firmware else _measured_by(target)]
        hints += [f"{timed.replace('latency', 'instructions')} takes no measured one"] if timed else []
        raise ConfigError(
            f"{timed or counted}: nothing is known of what kernels cost with {backend} on {target.name}",
            "; ".join([*hints, "--max-size needs none"]),
        )
    if timed and profile.unit != "ms":
        hints = [] if target.is_firmware else [_measured_by(target)]
        raise ConfigError(
            f"{timed} needs a profile measured on {target.name}, and {profile.name}, the one that is here, "
            "counts instructions",
            "; ".join([*hints, f"{timed.replace('latency', 'instructions')} needs none"]),
        )
    if counted and profile.unit == "ms":
        raise ConfigError(
            f"{counted}: the profile {profile.name} knows milliseconds, not instructions",
            f"{counted.replace('instructions', 'latency')} takes those",
        )


def _measured_by(target: Target) -> str:
    return f"edgeslm profile-target --target {target.name} --via … measures one for --target-profile FILE"
