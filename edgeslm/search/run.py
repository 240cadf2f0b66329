"""Limits in the place of a scheme: the request of a build with the plan that keeps them."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from edgeslm.artifacts import CompiledModel, Fidelity, Figure
from edgeslm.cache import StageCache, cache_folder
from edgeslm.limits import NO_LIMITS
from edgeslm.pipeline import Announce, BuildRequest, build, measure
from edgeslm.quantize.plan import TensorPlan
from edgeslm.search.bounds import Bounds
from edgeslm.search.choose import Measure, Measurement, Outcome, choose, propose, tensor_plan
from edgeslm.search.cost_meter import Cost, CostMeter
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
    outcome = choose(bounds, measuring(bounds, request, announce, tell, costs=bounds.weighs_cost))
    return with_plan(request, outcome.plan()), outcome


def figures(outcome: Outcome) -> tuple[Figure, ...]:
    """Of the winner: predicted, measured, asked for."""
    winner, asked = outcome.winner, outcome.bounds.asked()
    doubts = {outcome.bounds.cost_name: (winner.plus_minus, winner.held_out), "ram": (winner.ram_plus_minus, None)}
    return tuple(
        Figure(name, value, winner.known.get(name), asked.get(name), *doubts.get(name, (None, None)))
        for name, value in winner.predicted.items()
    )


def with_plan(request: BuildRequest, plan: TensorPlan) -> BuildRequest:
    return dataclasses.replace(request, plan=plan, backend=None, limits=NO_LIMITS)


def measuring(bounds: Bounds, request: BuildRequest, announce: Announce, tell: Tell, *, costs: bool) -> Measure:
    """Builds a plan by the pipeline's own stages, and scores it. `costs`: what a run takes is measured, too, where that
    can be done on this machine."""

    def quietly(stage: str, cached: bool) -> AbstractContextManager[None]:
        return nullcontext() if cached else announce(stage, cached)

    meter = CostMeter(bounds.subject, StageCache(cache_folder(), quietly), quietly)

    def carry_out(plan: TensorPlan) -> Measurement:
        tell(f"candidate: {plan.origin}")
        asked = with_plan(request, plan)
        if not costs or meter.why_not is not None:
            made = measure(asked, quietly)
            return _measurement(made.compiled, made.fidelity, bounds, None)
        with tempfile.TemporaryDirectory(prefix="edgeslm-candidate-") as folder:
            built = build(dataclasses.replace(asked, out=Path(folder), allow_below_gate=True), quietly)
            cost = meter.measure(built.bundle.path, built.compiled.digest)
        if cost is None:
            tell(f"{bounds.cost_name} of candidates are predicted alone: {meter.why_not}")
        return _measurement(built.compiled, built.fidelity, bounds, cost)

    return carry_out


def _measurement(compiled: CompiledModel, fidelity: Fidelity, bounds: Bounds, cost: Cost | None) -> Measurement:
    perplexity = fidelity.perplexity
    kept = fidelity.cosine_min if perplexity is None else perplexity.kept
    if cost is None:
        return Measurement(compiled.bytes, kept, passed=fidelity.passed)
    return Measurement(compiled.bytes, kept, ram=cost.ram, passed=fidelity.passed, **{bounds.cost_name: cost.value})
