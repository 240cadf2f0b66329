"""The trade-off: plans that nothing is better than in size, cost and fidelity at once, with uniform schemes beside
them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeslm.artifacts import Precision
from edgeslm.quantize.choices import Choice
from edgeslm.quantize.plan import TensorPlan, choose_precisions
from edgeslm.quantize.schemes import SCHEMES, Scheme
from edgeslm.search.bounds import Bounds
from edgeslm.search.choose import Candidate, Measure, candidate, tensor_plan
from edgeslm.search.problem import Metric, Problem
from edgeslm.search.solve import Picked, Solved, solve

UNIFORM = ("fp32", "fp16", "int8", "int4")
"""Schemes that are compared with, where the backend has them (fp16 is no language model's); those of other activations
have no plan of this kind."""
ROOM = 1.02
"""The largest plan looked for is this much larger than int8's: beyond, fidelity is all but whole."""


@dataclass(frozen=True)
class Point:
    """A plan of the trade-off: on the front, or a uniform scheme's. `picked` is its place in the problem."""

    name: str
    candidate: Candidate
    picked: Picked
    scheme: str | None = None
    best: bool = False  # no other point is as good in all and better in one


def find_front(bounds: Bounds, count: int) -> tuple[Point, ...]:
    """Uniform schemes, then about `count` plans by size; all by prediction. Raises DoesNotFitError where no plan keeps
    the limits."""
    problem, within = bounds.subject.problem(), bounds.metrics()
    uniform = {
        name: uniform_plan(bounds, problem, SCHEMES[name])
        for name in UNIFORM
        if _stores(problem, SCHEMES[name].linear) and not (bounds.language and name == "fp16")
    }
    found: dict[Solved, None] = {}
    for metric in ("size", "cost") if bounds.subject.has_costs else ("size",):
        known = [problem.value(uniform[name], metric) for name in ("int4", "int8") if name in uniform]
        for limit in _limits(problem, within, metric, known, count if metric == "size" else count // 2):
            picked = solve(problem, "loss", {**within, metric: min(limit, within.get(metric, limit))})
            if picked is not None:
                found[picked] = None
    if not found:
        picked = solve(problem, "loss", within)
        if picked is None:
            raise bounds.infeasible(problem, within)
        found[picked] = None
    # What a uniform scheme is anyway is a point already.
    ordered = sorted(
        [one for one in found if one not in uniform.values()] or found, key=lambda one: problem.value(one, "size")
    )
    points = [Point(name, candidate(bounds, problem, plan), plan, name) for name, plan in uniform.items()]
    points += [
        Point(f"{number:02d}", candidate(bounds, problem, plan, proven=plan.proven), plan)
        for number, plan in enumerate(ordered, start=1)
    ]
    counting: tuple[Metric, ...] = ("size", "loss", "cost") if bounds.subject.has_costs else ("size", "loss")
    values = [[problem.value(point.picked, metric) for metric in counting] for point in points]
    return tuple(
        replace(point, best=not any(_beats(other, own) for other in values))
        for point, own in zip(points, values, strict=True)
    )


def _stores(problem: Problem, precision: Precision) -> bool:
    return any(option.choice[0] == precision for tensor in problem.tensors for option in tensor.options)


def measured(bounds: Bounds, points: Sequence[Point], count: int, measure: Measure) -> tuple[Point, ...]:
    """The same, with int8, int4 and `count` others really built: evenly spaced among those on the front."""
    front = [number for number, point in enumerate(points) if point.scheme is None and point.best]
    spaced = {front[round(step * (len(front) - 1) / max(1, count - 1))] for step in range(count)} if front else set()
    if count:
        spaced |= {number for number, point in enumerate(points) if point.scheme in ("int8", "int4")}
    return tuple(
        replace(point, candidate=replace(point.candidate, measured=measure(_plan_of(bounds, point))))
        if number in spaced
        else point
        for number, point in enumerate(points)
    )


def _plan_of(bounds: Bounds, point: Point) -> TensorPlan:
    title = f"plan {point.name} of the front" if point.scheme is None else f"uniform {point.scheme}"
    return tensor_plan(bounds, point.candidate, title=title)


def uniform_plan(bounds: Bounds, problem: Problem, scheme: Scheme) -> Picked:
    """What a scheme stores each tensor as; what it cannot store so is as fine as it gets."""
    wanted = choose_precisions(bounds.subject.checkpoint.parameters, scheme)
    picked = []
    for tensor in problem.tensors:
        choice: Choice = (wanted[tensor.names[0]].precision, wanted[tensor.names[0]].group)
        known = [option.choice for option in tensor.options]
        picked.append(known.index(choice) if choice in known else 0)
    return tuple(picked)


def _limits(
    problem: Problem, within: dict[Metric, float], metric: Metric, uniform: Sequence[float], count: int
) -> tuple[float, ...]:
    """From the least that any plan within the limits has to a little more than int8's, the last of `uniform`, evenly;
    those nearest to what uniform schemes take are exactly that, so that plans can be held against them."""
    others = {name: value for name, value in within.items() if name != metric}
    least = solve(problem, metric, others)
    if least is None or not count:
        return ()
    low, high = problem.value(least, metric), ROOM * uniform[-1]
    if high <= low:
        return (low,)
    found = [low + (high - low) * step / max(1, count - 1) for step in range(count)]
    for value in uniform:
        inner = [number for number in range(1, len(found) - 1) if found[number] not in uniform]
        if inner and low < value < high:
            found[min(inner, key=lambda number: abs(found[number] - value))] = value
    return tuple(found)


def _beats(other: Sequence[float], own: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(other, own, strict=True)) and list(other) != list(own)
