"""The choice: the best plans by prediction are built and measured, and the one that is really best wins."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgeslm.artifacts import TensorChoice
from edgeslm.errors import DoesNotFitError
from edgeslm.limits import Objective, amount
from edgeslm.quantize.choices import notation
from edgeslm.quantize.plan import TensorPlan
from edgeslm.quantize.schemes import MIXED
from edgeslm.search.bounds import METRIC_OF, Bounds, fidelity_of, loss_of
from edgeslm.search.problem import Option, Problem, Tensor
from edgeslm.search.solve import Picked, solve

MOST_BUILT = 3
APART = 10
"""Of so many tensors one, at least, is stored otherwise in the next candidate: a neighbour would tell nothing new."""
LEAST_LOSS = 1e-9


@dataclass(frozen=True)
class Measurement:
    """Of a plan that was built: bytes of its files, and what it keeps on the scoring texts."""

    size: float
    fidelity: float


@dataclass(frozen=True)
class Candidate:
    """A plan, what was predicted of it by name (size, ram, latency or instructions, fidelity), and what was then
    measured; `plus_minus` is the prediction's error of latency or instructions."""

    choices: Mapping[str, TensorChoice]
    predicted: Mapping[Objective, float]
    plus_minus: float | None = None
    measured: Measurement | None = None

    def value(self, name: Objective) -> float:
        """As measured, where it was."""
        if self.measured is not None and name in ("size", "fidelity"):
            return self.measured.size if name == "size" else self.measured.fidelity
        return self.predicted[name]


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
    return candidate(bounds, problem, picked)


def choose(bounds: Bounds, measure: Measure) -> Outcome:
    """Up to MOST_BUILT plans, each built, the first that are best by prediction; predictions are corrected by what was
    measured of the plans before. Raises DoesNotFitError where no plan keeps the limits, in prediction or in fact.
    """
    problem, within = bounds.subject.problem(), bounds.metrics()
    objective = METRIC_OF[bounds.objective]
    seen: list[Picked] = []
    found: list[Candidate] = []
    corrections = {"size": 1.0, "loss": 1.0}
    for _ in range(MOST_BUILT):
        corrected = {metric: limit / corrections.get(metric, 1.0) for metric, limit in within.items()}
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
        made = candidate(bounds, problem, picked)
        measured = measure(tensor_plan(bounds, made))
        found.append(replace(made, measured=measured))
        loss = loss_of(measured.fidelity, language=bounds.language)
        corrections["size"] = max(1.0, measured.size / made.predicted["size"])
        corrections["loss"] = max(loss, LEAST_LOSS) / max(problem.value(picked, "loss"), LEAST_LOSS)
    kept = [one for one in found if _keeps(bounds, one)]
    if not kept:
        raise _missed(bounds, found)
    sign = -1 if bounds.objective == "fidelity" else 1
    return Outcome(bounds, tuple(found), min(kept, key=lambda one: sign * one.value(bounds.objective)))


def candidate(bounds: Bounds, problem: Problem, picked: Picked) -> Candidate:
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
    return Candidate(ordered, predicted, None if cost is None else cost.plus_minus)


def tensor_plan(bounds: Bounds, made: Candidate, built: int = 0) -> TensorPlan:
    """For the pipeline. Its reason tells what was asked, predicted and measured."""
    asked = ", ".join(
        f"{name} {'≥' if name == 'fidelity' else '≤'} {amount(name, value)}" for name, value in bounds.asked().items()
    )
    told = ", ".join(f"{name} {amount(name, value)}" for name, value in made.predicted.items())
    origin = f"best {bounds.objective} under {asked or 'no other limit'}; predicted {told}"
    if made.measured is not None:
        size, fidelity = made.measured.size, made.measured.fidelity
        origin += f"; measured size {amount('size', size)}, fidelity {amount('fidelity', fidelity)}"
        origin += f" ({built} built)" if built > 1 else ""
    return TensorPlan(MIXED, bounds.subject.backend, made.choices, origin, bounds.fidelity)


def _keeps(bounds: Bounds, one: Candidate) -> bool:
    names: tuple[Objective, ...] = ("size", "fidelity")
    asked = bounds.asked()
    return all(
        one.value(name) >= asked[name] if name == "fidelity" else one.value(name) <= asked[name]
        for name in names
        if name in asked
    )


def _missed(bounds: Bounds, found: list[Candidate]) -> DoesNotFitError:
    rows = [
        f"\n         size {amount('size', one.value('size'))}, fidelity {amount('fidelity', one.value('fidelity'))} "
        f"(predicted {amount('fidelity', one.predicted['fidelity'])})"
        for one in found
    ]
    best = max(found, key=lambda one: one.value("fidelity"))
    nearest = math.floor(1e4 * best.value("fidelity")) / 1e4
    hint = f"--min-fidelity {nearest:g} would be kept"
    if bounds.limits.size is not None:
        hint += "; or allow more bytes with --max-size"
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
