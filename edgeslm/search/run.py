"""Limits in the place of a scheme: the request of a build with the plan that keeps them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext

from edgeslm.artifacts import Figure
from edgeslm.limits import NO_LIMITS
from edgeslm.pipeline import Announce, BuildRequest, measure
from edgeslm.quantize.plan import TensorPlan
from edgeslm.search.choose import Measure, Measurement, Outcome, choose, propose, tensor_plan
from edgeslm.search.open_subject import open_bounds

Tell = Callable[[str], None]
"""Called with a line of progress."""


def planned(request: BuildRequest, announce: Announce) -> BuildRequest:
    """For `plan`: the request with the best plan by prediction. Nothing is built; sensitivities are measured."""
    if not request.limits.asked:
        return request
    bounds = open_bounds(request, announce)
    return with_plan(request, tensor_plan(bounds, propose(bounds)))


def chosen(request: BuildRequest, announce: Announce, tell: Tell) -> tuple[BuildRequest, Outcome | None]:
    """For `build`: the request with the best plan in fact, and how it was found; None where no limits were given."""
    if not request.limits.asked:
        return request, None
    bounds = open_bounds(request, announce)
    outcome = choose(bounds, measuring(request, announce, tell))
    return with_plan(request, outcome.plan()), outcome


def figures(outcome: Outcome) -> tuple[Figure, ...]:
    """Of the winner: predicted, measured, asked for."""
    winner, asked = outcome.winner, outcome.bounds.asked()
    measured: dict[str, float] = {}
    if winner.measured is not None:
        measured = {"size": winner.measured.size, "fidelity": winner.measured.fidelity}
    cost = outcome.bounds.cost_name
    return tuple(
        Figure(name, value, measured.get(name), asked.get(name), winner.plus_minus if name == cost else None)
        for name, value in winner.predicted.items()
    )


def with_plan(request: BuildRequest, plan: TensorPlan) -> BuildRequest:
    return dataclasses.replace(request, plan=plan, backend=None, limits=NO_LIMITS)


def measuring(request: BuildRequest, announce: Announce, tell: Tell) -> Measure:
    """Builds a plan by the pipeline's own stages, and scores it."""

    def carry_out(plan: TensorPlan) -> Measurement:
        tell(f"candidate: {plan.origin}")
        made = measure(
            with_plan(request, plan), lambda stage, cached: nullcontext() if cached else announce(stage, cached)
        )
        perplexity = made.fidelity.perplexity
        kept = made.fidelity.cosine_min if perplexity is None else perplexity.kept
        return Measurement(made.compiled.bytes, kept)

    return carry_out
