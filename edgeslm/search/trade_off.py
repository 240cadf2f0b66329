"""The story of `edgeslm search`: the front by prediction, a few points of it built, and a plan file for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edgeslm.artifacts import QuantPlan
from edgeslm.cache import explain_full_disk
from edgeslm.formats.archive import replacing
from edgeslm.pipeline import Announce, BuildRequest
from edgeslm.quantize.plan_file import plan_text
from edgeslm.quantize.schemes import MIXED
from edgeslm.search.bounds import Bounds
from edgeslm.search.front import Point, find_front, measured
from edgeslm.search.open_subject import open_bounds
from edgeslm.search.report import SearchReport, search_report
from edgeslm.search.run import Tell, measuring


def explore(
    request: BuildRequest,
    asked: Sequence[str],
    own: Sequence[str],
    count: int,
    measures: int,
    announce: Announce,
    tell: Tell,
    *,
    costs: bool = False,
) -> SearchReport:
    """`asked`: the flags that say what is built, for the commands of points, `own` the search's others, for its own
    command; plans go to the request's output folder. `costs`: those of points that are built are measured even where no
    limit is on them."""
    bounds = open_bounds(request, announce)
    points = find_front(bounds, count)
    meter = measuring(bounds, request, announce, tell, costs=costs or bounds.weighs_cost)
    points = measured(bounds, points, measures, meter)
    files = {point.name: _write(bounds, point, request.out) for point in points if point.scheme is None}
    return search_report(bounds, points, asked, own, files)


def _write(bounds: Bounds, point: Point, folder: Path) -> Path:
    subject = bounds.subject
    name = re.sub(r"[^A-Za-z0-9._]+", "-", subject.checkpoint.name).strip(".-") or "model"
    path = folder / f"{name}-{subject.target.name}-{point.name}.plan.toml"
    choices = dict(point.candidate.choices)
    plan = QuantPlan(subject.target.name, subject.backend, MIXED, choices, (), (), (), 0, 0)
    with explain_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(plan_text(subject.checkpoint, plan, bounds.fidelity), encoding="utf-8")
    return path
