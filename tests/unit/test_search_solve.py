"""The solver against every plan there is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.search.problem import METRICS, Metric, Option, Problem, Tensor
from edgeslm.search.solve import Limits, Picked, relaxations, solve
from edgeslm.search.subject import mark_slow

AMOUNTS = st.one_of(st.integers(0, 40).map(float), st.floats(0, 3e7, allow_subnormal=False))
METRIC = st.sampled_from(METRICS)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    tensors = []
    for number in range(draw(st.integers(1, 5))):
        options = [
            Option(("int8", place + 1), draw(AMOUNTS), draw(AMOUNTS), draw(AMOUNTS), draw(AMOUNTS))
            for place in range(draw(st.integers(1, 4)))
        ]
        tensors.append(Tensor((f"t{number}",), mark_slow(options)))
    return Problem(tuple(tensors), {"size": draw(AMOUNTS), "loss": draw(AMOUNTS)})


@st.composite
def limited(draw: st.DrawFn) -> tuple[Problem, Metric, Limits]:
    """Limits near what plans have, so that some are kept and some are not."""
    problem = draw(problems())
    limits: dict[Metric, float] = {}
    for metric in draw(st.sets(METRIC, max_size=3)):
        like = draw(st.sampled_from(every_plan(problem)))
        limits[metric] = problem.value(like, metric) * draw(st.sampled_from([0.5, 0.9, 1.0, 1.2]))
    return problem, draw(METRIC), limits


def every_plan(problem: Problem) -> list[Picked]:
    return list(itertools.product(*(range(len(tensor.options)) for tensor in problem.tensors)))


def within(problem: Problem, limits: Limits) -> list[Picked]:
    return [
        picked
        for picked in every_plan(problem)
        if all(problem.value(picked, metric) <= limit for metric, limit in limits.items())
    ]


def uses_slow(problem: Problem, picked: Picked) -> bool:
    return any(tensor.options[n].slow for tensor, n in zip(problem.tensors, picked, strict=True))


@given(limited())
@settings(max_examples=70)
def test_no_plan_within_the_limits_is_better(case: tuple[Problem, Metric, Limits]) -> None:
    problem, objective, limits = case
    found, possible = solve(problem, objective, limits), within(problem, limits)
    if not possible:
        assert found is None
        return
    assert found in possible
    fast = [picked for picked in possible if not uses_slow(problem, picked)]
    rivals = fast if fast and objective not in ("size", "ram") else possible
    assert found in rivals
    best = min(problem.value(picked, objective) for picked in rivals)
    assert problem.value(found, objective) == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert solve(problem, objective, limits) == found


@given(limited())
@settings(max_examples=25)
def test_limits_that_nothing_keeps_say_how_far_each_must_give_way(case: tuple[Problem, Metric, Limits]) -> None:
    problem, _, limits = case
    for one in relaxations(problem, limits):
        others = {metric: value for metric, value in limits.items() if metric != one.metric}
        kept = [problem.value(picked, one.metric) for picked in within(problem, others)]
        assert (one.nearest is None) == (not kept)
        assert one.nearest is None or one.nearest == pytest.approx(min(kept), rel=1e-6, abs=1e-6)
        assert one.alone == pytest.approx(min(problem.value(picked, one.metric) for picked in every_plan(problem)))


@given(problems(), st.integers(1, 2))
@settings(max_examples=20)
def test_the_next_plan_is_another_one_and_no_better(problem: Problem, differing: int) -> None:
    seen: list[Picked] = []
    for _ in range(3):
        found = solve(problem, "size", {}, seen, differing)

        def differs(picked: Picked) -> bool:
            return all(sum(a != b for a, b in zip(picked, one, strict=True)) >= differing for one in seen)

        possible = [picked for picked in every_plan(problem) if differs(picked)]
        assert (found is None) == (not possible)
        if found is None:
            return
        assert found in possible
        least = min(problem.value(picked, "size") for picked in possible)
        assert problem.value(found, "size") == pytest.approx(least, rel=1e-6, abs=1e-6)
        seen.append(found)


def two_ways() -> Problem:
    """int4 is half as large, twice as slow on this core, and loses more."""
    eight = Option(("int8", None), 100.0, 100.0, 10.0, 0.001)
    four = Option(("int4", 32), 56.0, 56.0, 20.0, 0.01)
    return Problem(tuple(Tensor((f"layer.{n}.weight",), mark_slow([eight, four])) for n in range(4)))


def test_a_slow_kernel_is_taken_only_where_size_demands_it() -> None:
    problem = two_ways()
    assert [option.slow for option in problem.tensors[0].options] == [False, True]
    assert solve(problem, "loss", {"size": 400.0}) == (0, 0, 0, 0)
    tight = solve(problem, "loss", {"size": 350.0})
    assert tight is not None
    assert sorted(tight) == [0, 0, 1, 1]
    # Were int4 lossless, it would still be slower: four bytes must ask for it.
    lossless = replace(
        problem,
        tensors=tuple(
            replace(one, options=(one.options[0], replace(one.options[1], loss=0.0))) for one in problem.tensors
        ),
    )
    assert solve(lossless, "loss", {"size": 400.0}) == (0, 0, 0, 0)
    assert solve(lossless, "size", {}) == (1, 1, 1, 1)


def test_a_model_without_choices_has_one_plan() -> None:
    assert solve(Problem((), {"size": 5.0}), "loss", {"size": 5.0}) == ()
    assert solve(Problem((), {"size": 5.0}), "loss", {"size": 4.0}) is None
