"""The exact choice: a mixed-integer program, a binary for each tensor and option, solved by branch and bound (HiGHS,
Huangfu and Hall 2018, in scipy.optimize.milp). The same problem gives the same plan."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edgeslm.cache import cache_folder
from edgeslm.errors import DoesNotFitError, InternalError, MissingExtraError
from edgeslm.formats.quiet import quiet_output
from edgeslm.search.problem import METRICS, Metric, Option, Problem, Tensor

Limits = Mapping[Metric, float]
Picked = tuple[int, ...]
SCALE = 1e4
"""What the objective may differ by, in the solver's units: its tolerances are absolute, and losses are small."""
ROUNDING = 1e-12
"""Share of a limit that sums of floats may be off; what is really beyond it is refused in the end."""
ATTEMPTS = 50
OUT_OF_TIME = 1
"""scipy's status of an answer that the time limit, or one on iterations, cut short."""
UNHURRIED_S = 60.0
"""A search that long proves nothing more in practice; what is found until then is taken, and says so."""


class Solved(Picked):
    """A plan as the solver found it. `proven`: none is better."""

    proven = True


@dataclass(frozen=True)
class Relaxation:
    """What a limit would have to be for the others to be kept; None where it alone is not enough."""

    metric: Metric
    limit: float
    alone: float  # the least value of any plan, whatever the other limits
    nearest: float | None


def require_scipy() -> None:
    """Raises MissingExtraError where the solver is not installed."""
    if importlib.util.find_spec("scipy") is None:
        raise MissingExtraError("search", "scipy", "choosing precisions under limits")


def solve(
    problem: Problem, objective: Metric, limits: Limits, unlike: Collection[Picked] = (), differing: int = 1
) -> Solved | None:
    """The plan with the least `objective` among those within `limits`: an option's number for each tensor; None where
    there is none. Slow options are taken only where nothing else is within the limits, or where bytes are what is to
    be least. Plans differ from those in `unlike` in at least `differing` tensors.
    """
    fast, numbers = _without_slow(problem)
    if fast is not None and objective not in ("size", "ram"):
        known = [_renumbered(picked, numbers) for picked in unlike]
        found = _solve(fast, objective, limits, known, differing)
        if found is not None:
            return _solved((numbers[tensor][number] for tensor, number in enumerate(found)), proven=found.proven)
    return _solve(problem, objective, limits, [list(picked) for picked in unlike], differing)


def relaxations(problem: Problem, limits: Limits) -> tuple[Relaxation, ...]:
    """For limits that no plan keeps: how far each would have to give way, one at a time."""
    found = []
    for metric, limit in limits.items():
        others = {other: value for other, value in limits.items() if other != metric}
        picked = _solve(problem, metric, others, [], 1)
        nearest = None if picked is None else problem.value(picked, metric)
        found.append(Relaxation(metric, limit, problem.least(metric), nearest))
    return tuple(found)


def _without_slow(problem: Problem) -> tuple[Problem | None, list[list[int]]]:
    """The problem of fast options alone and their numbers; None where there are no slow ones, or only slow ones."""
    numbers = [[n for n, option in enumerate(tensor.options) if not option.slow] for tensor in problem.tensors]
    if all(len(kept) == len(tensor.options) for kept, tensor in zip(numbers, problem.tensors, strict=True)):
        return None, numbers
    if not all(numbers):
        return None, numbers
    tensors = tuple(
        Tensor(tensor.names, tuple(tensor.options[n] for n in kept))
        for kept, tensor in zip(numbers, problem.tensors, strict=True)
    )
    return replace(problem, tensors=tensors), numbers


def _renumbered(picked: Picked, numbers: Sequence[Sequence[int]]) -> list[int | None]:
    return [kept.index(n) if n in kept else None for n, kept in zip(picked, numbers, strict=True)]


def _solve(
    problem: Problem, objective: Metric, limits: Limits, unlike: Sequence[Sequence[int | None]], differing: int
) -> Solved | None:
    excluded = list(zip(unlike, [differing] * len(unlike), strict=True))
    for _ in range(ATTEMPTS):
        picked = _branch_and_bound(problem, objective, limits, excluded)
        if picked is None:
            return None
        if all(problem.value(picked, metric) <= limit for metric, limit in limits.items()):
            return picked
        excluded.append((picked, 1))  # within the solver's tolerance, but not within the limits
    raise InternalError("the solver finds only plans that are beyond their limits by less than its tolerance")


def _branch_and_bound(
    problem: Problem,
    objective: Metric,
    limits: Limits,
    unlike: Sequence[tuple[Sequence[int | None], int]],
) -> Solved | None:
    """`unlike`: plans, and in how many tensors others must differ from each."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]  # no types here
    from scipy.sparse import coo_array  # type: ignore[import-untyped]

    if not problem.tensors:
        return Solved() if all(problem.value((), metric) <= limit for metric, limit in limits.items()) else None
    possible = _possible(problem, limits)
    if not all(possible):
        return None
    kept = [
        numbers if unlike else _undominated(tensor.options, numbers, limits, objective)
        for tensor, numbers in zip(problem.tensors, possible, strict=True)
    ]
    flat = [(t, n) for t, numbers in enumerate(kept) for n in numbers]
    place = {pair: column for column, pair in enumerate(flat)}

    def row(metric: Metric) -> list[float]:
        return [problem.tensors[t].options[n][metric] for t, n in flat]

    rows: list[tuple[list[int], list[float], float, float]] = []
    for t, numbers in enumerate(kept):
        rows.append(([place[t, n] for n in numbers], [1.0] * len(numbers), 1.0, 1.0))
    for metric, limit in limits.items():
        values = np.array(row(metric))
        room = limit - problem.rest.get(metric, 0.0)
        unit = float(np.abs(values).max()) or 1.0
        rows.append((list(range(len(flat))), list(values / unit), -np.inf, room / unit))
    for known, differing in unlike:
        same = [place[t, n] for t, n in enumerate(known) if n is not None and (t, n) in place]
        rows.append((same, [1.0] * len(same), -np.inf, float(len(problem.tensors) - differing)))
    columns = [column for one in rows for column in one[0]]
    lines = [line for line, one in enumerate(rows) for _ in one[0]]
    matrix = coo_array(([v for one in rows for v in one[1]], (lines, columns)), shape=(len(rows), len(flat)))
    costs = np.array(row(objective))
    spread = float(np.ptp(costs)) or 1.0
    with quiet_output(cache_folder() / "logs" / "solver.log"):  # it prints whatever it is told
        answer = milp(
            costs * (SCALE / spread),
            integrality=np.ones(len(flat)),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(matrix.tocsr(), [one[2] for one in rows], [one[3] for one in rows]),
            options={"mip_rel_gap": 0.0, "time_limit": UNHURRIED_S},
        )
    if answer.x is None:
        if answer.status == OUT_OF_TIME:
            raise DoesNotFitError(
                f"no plan that keeps all limits was found in {UNHURRIED_S:.0f} s, and none is ruled out",
                "limits that leave a little more room are decided at once",
            )
        return None
    found = (max(numbers, key=lambda n: answer.x[place[t, n]]) for t, numbers in enumerate(kept))
    return _solved(found, proven=answer.status != OUT_OF_TIME)


def _solved(numbers: Iterable[int], *, proven: bool) -> Solved:
    made = Solved(numbers)
    made.proven = proven
    return made


def _possible(problem: Problem, limits: Limits) -> list[list[int]]:
    """Numbers of the options with which the least of all else is within each limit."""
    least = {metric: problem.least(metric) for metric in limits}

    def fits(tensor: Tensor, option: Option) -> bool:
        return all(
            least[metric] - min(one[metric] for one in tensor.options) + option[metric] <= limit * (1 + ROUNDING)
            for metric, limit in limits.items()
        )

    return [[n for n, option in enumerate(tensor.options) if fits(tensor, option)] for tensor in problem.tensors]


def _undominated(options: Sequence[Option], numbers: Sequence[int], limits: Limits, objective: Metric) -> list[int]:
    """Those that no other is at least as good as in all that counts here; the first of equals."""
    counting = [metric for metric in METRICS if metric in limits or metric == objective]

    def better(one: int, other: int) -> bool:
        pairs = [(options[one][metric], options[other][metric]) for metric in counting]
        return all(a <= b for a, b in pairs) and (any(a < b for a, b in pairs) or one < other)

    return [n for n in numbers if not any(better(m, n) for m in numbers if m != n)]
