"""The choice: the best plans by prediction are built and measured, and the one that is really best wins."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgeslm.artifacts import TensorChoice
from edgeslm.errors import DoesNotFitError
from edgeslm.limits import Objective, amount, amount_with_error
from edgeslm.quantize.choices import notation
from edgeslm.quantize.plan import TensorPlan
from edgeslm.quantize.schemes import MIXED
from edgeslm.search.bounds import METRIC_OF, Bounds, fidelity_of, loss_of
from edgeslm.search.problem import Metric, Option, Problem, Tensor
from edgeslm.search.solve import Picked, solve

MOST_BUILT = 3
APART = 10
"""Of so many tensors one, at least, is stored otherwise in the next candidate: a neighbour would tell nothing new."""
LEAST_LOSS = 1e-9
MOST: Mapping[Objective, str] = {
    "fidelity": "most fidelity", "size": "least size", "ram": "least memory", "latency": "least latency",
    "instructions": "fewest instructions",
}  # fmt: skip
"""What is said of a plan that nothing else limits."""
COSTS: tuple[Objective, ...] = ("latency", "instructions")


@dataclass(frozen=True)
class Measurement:
    """Of a plan that was built: bytes of its files, and what it keeps on the scoring texts; None of what was not
    measured. `instructions` of an emulated core, `latency` in ms and `ram` in bytes of this machine. `passed`: it kept
    the gates of its build."""

    size: float
    fidelity: float
    ram: float | None = None
    latency: float | None = None
    instructions: float | None = None
    passed: bool = True

    def known(self) -> dict[Objective, float]:
        values: dict[Objective, float | None] = {
            "size": self.size,
            "ram": self.ram,
            "latency": self.latency,
            "instructions": self.instructions,
            "fidelity": self.fidelity,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Candidate:
    """A plan, what was predicted of it by name (size, ram, latency or instructions, fidelity), and what was then
    measured; `plus_minus` is the prediction's error of latency or instructions, `held_out` on how many kernel shapes it
    was seen; `ram_plus_minus` that of memory. `proven`: by prediction, no other plan is better."""

    choices: Mapping[str, TensorChoice]
    predicted: Mapping[Objective, float]
    plus_minus: float | None = None
    held_out: int | None = None
    ram_plus_minus: float | None = None
    measured: Measurement | None = None
    proven: bool = True

    @property
    def known(self) -> dict[Objective, float]:
        """What was measured."""
        return {} if self.measured is None else self.measured.known()

    def value(self, name: Objective) -> float:
        """As measured, where it was."""
        known = self.known
        return known[name] if name in known else self.predicted[name]


@dataclass(frozen=True)
class Outcome:
    """`candidates` in the order they were found; `winner` is one of them."""

    bounds: Bounds
    candidates: tuple[Candidate, ...]
    winner: Candidate

    def plan(self) -> TensorPlan:
        return tensor_plan(self.bounds, self.winner, len(self.candidates))


Measure = Callable[[TensorPlan], Measurement]


def propose(bounds: Bounds) -> Candidate:
    """The best plan by prediction alone. Raises DoesNotFitError where no plan keeps the limits."""
    problem, within = bounds.subject.problem(), bounds.metrics()
    picked = solve(problem, METRIC_OF[bounds.objective], within)
    if picked is None:
        raise bounds.infeasible(problem, within)
    return candidate(bounds, problem, picked, proven=picked.proven)


def choose(bounds: Bounds, measure: Measure) -> Outcome:
    """Up to MOST_BUILT plans, each built, the first that are best by prediction; predictions are corrected by what was
    measured of the plans before. Raises DoesNotFitError where no plan keeps the limits, in prediction or in fact.
    """
    problem, within = bounds.subject.problem(), bounds.metrics()
    objective = METRIC_OF[bounds.objective]
    seen: list[Picked] = []
    found: list[Candidate] = []
    corrected = dict(within)
    for _ in range(MOST_BUILT):
        if found and objective == "loss":
            # Fidelity is as good as it gets: what differs may turn out better than was predicted.
            corrected.pop("loss", None)
            picked = solve(problem, objective, corrected, seen, max(1, len(problem.tensors) // APART))
        else:
            picked = solve(problem, objective, corrected)
        if picked is None and not found:
            raise bounds.infeasible(problem, within)
        if picked is None or picked in seen:
            break
        seen.append(picked)
        made = candidate(bounds, problem, picked, proven=picked.proven)
        found.append(replace(made, measured=measure(tensor_plan(bounds, made))))
        corrected = _corrected(bounds, problem, picked, found[-1])
    kept = [one for one in found if _keeps(bounds, one)]
    if not kept:
        raise _missed(bounds, found)
    sign = -1 if bounds.objective == "fidelity" else 1
    return Outcome(bounds, tuple(found), min(kept, key=lambda one: sign * one.value(bounds.objective)))


def _corrected(bounds: Bounds, problem: Problem, picked: Picked, made: Candidate) -> dict[Metric, float]:
    """The limits on predictions with which plans that turn out as this one did keep theirs. Bytes that were not
    foreseen are those around the tensors, the same for all plans; a loss or a cost is off by a share."""
    found = bounds.metrics()
    for name, value in made.known.items():
        metric = METRIC_OF[name]
        if metric not in found:
            continue
        if metric == "loss":
            lost = loss_of(value, language=bounds.language)
            found[metric] /= max(lost, LEAST_LOSS) / max(problem.value(picked, "loss"), LEAST_LOSS)
        elif metric == "cost":
            found[metric] /= max(1.0, value / made.predicted[name])
        else:
            found[metric] -= max(0.0, value - made.predicted[name])
    return found


def candidate(bounds: Bounds, problem: Problem, picked: Picked, *, proven: bool = True) -> Candidate:
    """The plan with its reasons and predictions."""
    choices: dict[str, TensorChoice] = {}
    for tensor, number in zip(problem.tensors, picked, strict=True):
        option = tensor.options[number]
        reason = _reason(bounds, tensor, option)
        choices |= {name: TensorChoice(option.choice[0], reason, option.choice[1]) for name in tensor.names}
    ordered = {parameter.name: choices[parameter.name] for parameter in bounds.subject.checkpoint.parameters}
    values = problem.values(picked)
    predicted: dict[Objective, float] = {
        "size": values["size"],
        "ram": values["ram"],
        "fidelity": fidelity_of(values["loss"], language=bounds.language),
    }
    cost = bounds.subject.predict(ordered)
    if cost is not None:
        predicted[bounds.cost_name] = cost.value
    doubt = bounds.subject.ram_doubt(ordered)
    if cost is None:
        return Candidate(ordered, predicted, ram_plus_minus=doubt, proven=proven)
    return Candidate(ordered, predicted, cost.plus_minus, cost.held_out, doubt, proven=proven)


def tensor_plan(bounds: Bounds, made: Candidate, built: int = 0, title: str = "") -> TensorPlan:
    """For the pipeline. Its reason tells what was asked, or the `title`, what was predicted, and measured."""
    asked = ", ".join(
        f"{name} {'≥' if name == 'fidelity' else '≤'} {amount(name, value)}" for name, value in bounds.asked().items()
    )
    best = f"best {bounds.objective} under {asked}" if asked else MOST[bounds.objective]
    origin = f"{title or best}; {foretold(made)}"
    if not made.proven:
        origin += " (not proven to be the best: the solver's time was up)"
    if made.measured is not None:
        origin += f"; measured {_told(made.known)}"
        origin += f" ({built} built)" if built > 1 else ""
    return TensorPlan(MIXED, bounds.subject.backend, made.choices, origin, bounds.fidelity)


def foretold(made: Candidate) -> str:
    """What was predicted, with the error of a run's cost."""
    told = []
    for name, value in made.predicted.items():
        error = (made.plus_minus, made.held_out) if name in COSTS else (None, None)
        told.append(f"{name} {amount_with_error(name, value, *error)}")
    return f"predicted {', '.join(told)}"


def _told(values: Mapping[Objective, float]) -> str:
    return ", ".join(f"{name} {amount(name, value)}" for name, value in values.items())


def _keeps(bounds: Bounds, one: Candidate) -> bool:
    """All limits on what was measured; the solver has seen to the others."""
    return not bounds.missed(one.known)


def _missed(bounds: Bounds, found: list[Candidate]) -> DoesNotFitError:
    rows = [
        f"\n         {_told(one.known)} (predicted fidelity {amount('fidelity', one.predicted['fidelity'])})"
        for one in found
    ]
    hint = "; or ".join(dict.fromkeys(bounds.kept_by(one.known) for one in found))
    name, target = bounds.subject.checkpoint.name, bounds.subject.target.name
    count = f"{len(found)} plan" + ("s were" if len(found) > 1 else " was")
    return DoesNotFitError(
        f"no plan of {name} for {target} kept all limits when it was built; {count} measured:{''.join(rows)}", hint
    )


def _reason(bounds: Bounds, tensor: Tensor, option: Option) -> str:
    """Why this and not the next finer or coarser one."""
    if len(tensor.options) == 1:
        return "norm, bias or small tensor: nothing to gain, accuracy to lose"
    language = bounds.language
    word = "KL" if language else "1 - cosine"
    said = f"loses {option.loss:.2g} ({word})"
    finer = [one for one in tensor.options if one.size > option.size]
    coarser = [one for one in tensor.options if one.size < option.size]
    if option.slow:
        faster = min(finer, key=lambda one: one.cost)
        times = option.cost / faster.cost if faster.cost else math.inf
        return (
            f"{said}; slower than {notation(faster.choice)} here ({times:.2f}×), but the limits leave no bytes for it"
        )
    if coarser:
        next_one = max(coarser, key=lambda one: one.size)
        said += f"; {notation(next_one.choice)} {next_one.loss:.2g}"
    if finer:
        next_one = min(finer, key=lambda one: one.size)
        more = next_one.size - option.size
        said += f"; {notation(next_one.choice)} {next_one.loss:.2g}, {more / 1e3:,.1f} kB more"
    return said
