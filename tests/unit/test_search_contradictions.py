"""Limits that make no sense are said before anything is measured: what, where, and what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeslm.cost.profile import TargetProfile
from edgeslm.errors import ConfigError
from edgeslm.limits import Limits
from edgeslm.pipeline import BuildRequest, plan
from edgeslm.search.contradictions import reject_contradictions
from edgeslm.target import load_target


def profile(unit: str, backend: str = "tflite") -> TargetProfile:
    law = {"backend": backend, "kind": "gemv", "row": 1.0, "spread": 0.01, "held_out": 3}
    facts = {"name": "some-profile", "core": "cortex-a72", "unit": unit, "measured": unit == "ms", "device": "none"}
    return TargetProfile.model_validate(facts | {"source": "a test", "kernel": [law]})


COUNTS, TIMES, OTHER = profile("instructions"), profile("ms"), profile("instructions", "cortexm")


@pytest.mark.parametrize(
    ("limits", "known", "message", "hints"),
    [
        (Limits(latency_ms=25), COUNTS, "--max-latency needs a profile measured on rpi4",
         ("edgeslm profile-target --target rpi4", "--max-instructions needs none")),
        (Limits(latency_ms=25), None, "--max-latency: nothing is known of what kernels cost with tflite on rpi4",
         ("edgeslm profile-target --target rpi4", "--max-instructions takes no measured one")),
        (Limits(instructions=2e7), OTHER, "--max-instructions: nothing is known of what kernels cost with tflite",
         ("profiles know --backend cortexm", "--max-size needs none")),
        (Limits(instructions=2e7), TIMES, "--max-instructions: the profile some-profile knows milliseconds",
         ("--max-latency takes those",)),
        (Limits(objective="latency"), COUNTS, "--objective latency needs a profile measured on rpi4",
         ("--objective instructions needs none",)),
        (Limits(latency_ms=25, instructions=2e7), TIMES, "--max-latency and --max-instructions exclude each other", ()),
        (Limits(latency_ms=25, objective="instructions"), TIMES,
         "--max-latency and --objective instructions exclude each other", ("aim for the same one",)),
    ],
)  # fmt: skip
def test_what_contradicts_names_its_flags_and_a_way_out(
    limits: Limits, known: TargetProfile | None, message: str, hints: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        reject_contradictions(limits, 0.9, load_target("rpi4"), "tflite", known)
    assert caught.value.message.startswith(message)
    assert all(hint in str(caught.value.hint) for hint in hints)


def test_a_microcontroller_is_not_sent_to_a_command_that_refuses_it() -> None:
    with pytest.raises(ConfigError) as caught:
        reject_contradictions(Limits(latency_ms=25), 0.9, load_target("mps2-an386"), "cortexm", OTHER)
    assert "profile-target" not in str(caught.value.hint)
    assert "--max-instructions" in str(caught.value.hint)


def test_an_objective_needs_a_fidelity_that_is_kept() -> None:
    with pytest.raises(ConfigError, match="--objective size without a limit on fidelity"):
        reject_contradictions(Limits(objective="size"), None, load_target("rpi4"), "tflite", None)
    reject_contradictions(Limits(objective="size"), 0.9, load_target("rpi4"), "tflite", None)
    reject_contradictions(Limits(latency_ms=25), 0.9, load_target("rpi4"), "tflite", TIMES)


def test_a_profile_without_a_limit_says_nothing() -> None:
    """Silently ignored, it would pass for one that was believed."""
    given = BuildRequest("rpi4", limits=Limits(profile=Path("/nowhere/my-board.toml")))
    with pytest.raises(ConfigError, match=r"--target-profile /nowhere/my-board\.toml says what a run costs, and no"):
        plan(given)
