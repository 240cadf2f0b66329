"""What a search found, as data: what `edgeslm search --json` prints and its page shows."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgeslm.fidelity.language_score import KEPT
from edgeslm.quantize.choices import notation
from edgeslm.quantize.schemes import SCHEMES, mixed_scheme
from edgeslm.search.bounds import Bounds
from edgeslm.search.front import Point


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeasuredPoint(_Strict):
    """Of the plan as it was built: bytes of the model's files, and what it keeps on the scoring texts; instructions of
    an emulated core, or ms and bytes of memory on this machine, where they were measured."""

    size: float
    fidelity: float
    ram: float | None = None
    latency: float | None = None
    instructions: float | None = None
    passed: bool  # the gates of its scheme, or of the limit on fidelity


class SearchPoint(_Strict):
    """`predicted`: size, ram, fidelity, and latency (ms) or instructions where the target has a profile."""

    name: str
    scheme: str | None  # of a uniform one
    proven: bool  # by prediction none is better: the solver came to its end
    best: bool  # no other is as good in size, cost and fidelity, and better in one of them
    command: str  # that builds it
    predicted: dict[str, float]
    plus_minus: float | None  # of latency or instructions
    held_out: int | None  # kernel shapes that its laws were held against
    measured: MeasuredPoint | None
    tensors: dict[str, str]  # parameter -> what it is stored as; those alone that leave a choice


class SearchReport(_Strict):
    """`edgeslm search --json`"""

    model: str
    target: str
    target_title: str
    backend: str
    cost: str | None  # latency or instructions; None without a profile
    limits: dict[str, float]
    command: str
    points: tuple[SearchPoint, ...]


def search_report(
    bounds: Bounds, points: Sequence[Point], asked: Sequence[str], own: Sequence[str], files: Mapping[str, Path]
) -> SearchReport:
    """`asked`: the flags of the search that say what is built (target, model, texts), `own` its others; `files`: a
    plan's by its point's name."""
    subject = bounds.subject
    problem = subject.problem()
    choosing = {name for tensor in problem.tensors if len(tensor.options) > 1 for name in tensor.names}
    return SearchReport(
        model=subject.checkpoint.name,
        target=subject.target.name,
        target_title=subject.target.title,
        backend=subject.backend,
        cost=bounds.cost_name if subject.has_costs else None,
        limits={str(name): value for name, value in bounds.asked().items()},
        command=_command("search", *asked, *own),
        points=tuple(
            SearchPoint(
                name=point.name,
                scheme=point.scheme,
                proven=point.candidate.proven,
                best=point.best,
                command=_build_command(point, asked, files, bounds),
                predicted={str(name): value for name, value in point.candidate.predicted.items()},
                plus_minus=point.candidate.plus_minus,
                held_out=point.candidate.held_out,
                measured=None if point.candidate.measured is None else MeasuredPoint(**vars(point.candidate.measured)),
                tensors={
                    name: notation((choice.precision, choice.group))
                    for name, choice in point.candidate.choices.items()
                    if name in choosing
                },
            )
            for point in points
        ),
    )


def _build_command(point: Point, asked: Sequence[str], files: Mapping[str, Path], bounds: Bounds) -> str:
    """What builds exactly this point. One that keeps too little for its gates says that it is wanted all the same."""
    backend, least = bounds.subject.backend, bounds.fidelity
    if point.scheme is not None:
        ways = ["--scheme", point.scheme, *([] if backend == "cortexm" else ["--backend", backend])]
        ways += [] if least is None else ["--min-fidelity", f"{least:g}"]
    else:
        ways = ["--plan", str(files[point.name])]
    return _command("build", *asked, *ways, *([] if _passes(point, bounds) else ["--allow-below-gate"]))


def _passes(point: Point, bounds: Bounds) -> bool:
    """The gates, as it was measured; else as is foretold."""
    candidate = point.candidate
    if candidate.measured is not None:
        return candidate.measured.passed
    scheme = mixed_scheme(candidate.choices) if point.scheme is None else SCHEMES[point.scheme]
    gate = KEPT[scheme.linear] if bounds.language else scheme.cosine_gate
    return candidate.predicted["fidelity"] >= (gate if bounds.fidelity is None else bounds.fidelity)


def _command(*words: str) -> str:
    return shlex.join(["edgeslm", *words])
