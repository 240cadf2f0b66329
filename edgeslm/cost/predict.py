"""What a run of a model costs, from a profile's laws, with its error.

Errors of one law count together, as its calls are off in the same direction; those of different laws are independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgeslm.artifacts import Precision, TensorChoice
from edgeslm.cost.kernels import LINEAR, SHORT, WEIGHTED, KernelCall, choice_of
from edgeslm.cost.profile import KernelLaw, Slow, TargetProfile
from edgeslm.errors import ProfileError

Task = Literal["encoder", "decoder"]

FREE = frozenset({"reshape"})
"""Counts as an operator of the run alone: nothing is computed or moved."""
LIKE = {
    "sub": "add", "minimum": "add", "maximum": "add", "squared_difference": "add", "pow": "div",
    "gather": "slice", "strided_slice": "slice", "split": "slice", "pad": "slice", "transpose runs": "slice",
    "log_softmax": "softmax", "mean": "sum", "reduce_max": "sum", "mean squared": "sum",
    "capped_attention": "attention",
}  # fmt: skip
"""Kernels that were not measured, and what costs about the same."""
MEGA = 1e6
UNKNOWN_SPREAD = 0.5
"""Of a kernel that another's law stands in for."""


@dataclass(frozen=True)
class Prediction:
    """`plus_minus` in the same unit; `held_out`: how many shapes the laws used were held against."""

    value: float
    plus_minus: float
    unit: str
    held_out: int

    @property
    def text(self) -> str:
        """As in "21.4 ms ± 1.2 (12 held-out shapes)"."""
        scale, unit = (1.0, self.unit)
        if self.unit == "instructions":
            scale, unit = (1e6, "M instructions") if self.value >= MEGA else (1e3, "k instructions")
        return f"{self.value / scale:,.2f} {unit} ± {self.plus_minus / scale:,.2f} ({self.held_out} held-out shapes)"


def predict(
    profile: TargetProfile,
    backend: str,
    calls: Sequence[KernelCall],
    choices: Mapping[str, TensorChoice],
    task: Task,
    outputs: int = 0,
) -> Prediction:
    """The cost of one run: an inference, or a step. `outputs`: numbers that it hands out.

    Raises ProfileError where the profile knows nothing of how a matrix is stored.
    """
    errors: dict[tuple[str, str, int | None], float] = {}
    used: dict[tuple[str, str, int | None], int] = {}
    value = 0.0
    for call in calls:
        law, spread = law_of(profile, backend, call, *choice_of(call, choices))
        if law is None:
            continue
        cost = law.law.cost(call)
        key = (law.kind, law.precision, law.group)
        value += cost
        errors[key] = errors.get(key, 0.0) + spread * cost
        used[key] = law.held_out
    around = next((one for one in profile.run if (one.backend, one.task) == (backend, task)), None)
    if around is not None:
        value += around.call + around.operator * len(calls) + around.output * outputs
    return Prediction(value, math.hypot(*errors.values()), profile.unit, sum(used.values()))


def call_cost(profile: TargetProfile, backend: str, call: KernelCall, precision: Precision, group: int | None) -> float:
    """What one call costs with its parameter stored so."""
    law, _ = law_of(profile, backend, call, precision, group)
    return 0.0 if law is None else law.law.cost(call)


def law_of(
    profile: TargetProfile, backend: str, call: KernelCall, precision: Precision, group: int | None
) -> tuple[KernelLaw | None, float]:
    """The law for this call and its spread; None for what costs nothing by itself."""
    if call.kind in WEIGHTED:
        exact = profile.find(backend, call.kind, precision, group)
        if (
            exact is None and call.kind == "lookup"
        ):  # of a precision that lookups do not have: its rows are int8 or floats
            exact = profile.find(backend, call.kind, "int8" if precision == "int4" else "fp32", None)
        if exact is None:
            raise _unknown(profile, backend, call, precision, group)
        return exact, exact.spread
    if call.kind in FREE:
        return None, 0.0
    found = profile.find(backend, call.kind, "fp32", None)
    if found is not None:
        return found, found.spread
    return _standing_in(profile, backend, call.kind), UNKNOWN_SPREAD


def slow_choices(profile: TargetProfile, backend: str, choices: Iterable[TensorChoice]) -> list[Slow]:
    """What is known to be slow among these choices."""
    chosen = {(choice.precision, choice.group) for choice in choices}
    return [
        one
        for one in profile.slow
        if one.backend == backend
        and one.only is None
        and any(one.precision == name and one.group in (None, group) for name, group in chosen)
    ]


def knows(profile: TargetProfile, backend: str, precision: Precision, group: int | None) -> bool:
    """Whether the profile can tell what a matrix costs that is stored so."""
    kinds = {law.kind for law in profile.kernel if law.backend == backend}.intersection((*LINEAR, SHORT))
    return bool(kinds) and all(profile.find(backend, kind, precision, group) is not None for kind in kinds)


def _standing_in(profile: TargetProfile, backend: str, kind: str) -> KernelLaw | None:
    """The law of the kernel that is most like this one, None where the profile has none of its backend."""
    first, _, form = kind.partition(" ")
    word = LIKE.get(kind) or LIKE.get(first)
    wanted = [word, f"{word} {form}" if word and form else None, first]
    for name in (*wanted, "slice", "add both"):
        law = profile.find(backend, name, "fp32", None) if name else None
        if law is not None:
            return law
    return None


def _unknown(
    profile: TargetProfile, backend: str, call: KernelCall, precision: Precision, group: int | None
) -> ProfileError:
    stored = f"{precision} in blocks of {group}" if group else precision
    known = sorted({f"{law.precision}{f' in blocks of {law.group}' if law.group else ''}"
                    for law in profile.kernel if law.backend == backend and law.kind == call.kind})  # fmt: skip
    return ProfileError(
        f"profile {profile.name} does not know {call.kind} of {stored} with {backend}",
        f"it knows {', '.join(known)}" if known else f"it knows nothing of {backend}",
    )
