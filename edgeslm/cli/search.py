"""`edgeslm search`: the trade-off of size, speed and fidelity, and a plan file for each of its points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import announce_stage, note, print_json, print_table
from edgeslm.cli.request import chosen_model, search_options, take_limits

if TYPE_CHECKING:
    from edgeslm.pipeline import BuildRequest
    from edgeslm.search.report import SearchReport

POINTS, MEASURED = 8, 3


@click.command()
@search_options
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    metavar="DIR",
    help="Where plan files go. Default: the current folder.",
)
@click.option(
    "--points", type=click.IntRange(2, 40), default=POINTS, show_default=True, metavar="N", help="Plans by size."
)
@click.option(
    "--measure",
    "measures",
    type=click.IntRange(0, 40),
    default=MEASURED,
    show_default=True,
    metavar="N",
    help="How many of them are built and scored, with int8 and int4 beside them.",
)
@click.option(
    "--costs",
    is_flag=True,
    help="Measure what a run of them takes, too, on an emulated core or this machine; done anyway under a limit on it.",
)
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="F", help="Write it as a page with plots, too."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def search(
    points: int,
    measures: int,
    costs: bool,
    html: Path | None,
    as_json: bool,
    eval_: Path | None,
    model: str | None,
    demo: str | None,
    **flags: Any,
) -> None:
    """Show the trade-off of size, cost and fidelity.

    Plans that choose precisions tensor by tensor, and uniform schemes beside them: what each takes on the device, and
    what it keeps. A plan file for each is written to the output folder, for build --plan. Limits keep plans out that
    are beyond them.
    """
    from edgeslm.pipeline import BuildRequest
    from edgeslm.search.trade_off import explore

    limits = take_limits(flags)
    request = BuildRequest(model=chosen_model(model, demo), eval=eval_, limits=limits, **flags)
    asked = _asked(request, model, demo)
    own = [*_limits(request), *_unless_default(points, measures, costs=costs)]
    own += [] if html is None else ["--html", str(html)]
    own += [] if str(request.out) == "." else ["-o", str(request.out)]
    report = explore(request, asked, own, points, measures, announce_stage, note, costs=costs)
    if html is not None:
        from edgeslm.search.page import write_page

        write_page(report, html)
        note(f"{html}")
    if as_json:
        print_json(report)
    else:
        _print(report)


def _asked(request: BuildRequest, model: str | None, demo: str | None) -> list[str]:
    """The flags that say what is built and what it is held to, as they were given."""
    given = {
        "--target": request.target,
        "--model": model,
        "--demo": demo,
        "--converter": request.converter,
        "--max-length": request.max_length,
        "--context": request.context,
        "--kv-cache": request.kv_cache,
        "--calibration": request.calibration,
        "--eval": request.eval,
    }
    return [word for flag, value in given.items() if value is not None for word in (flag, str(value))]


def _limits(request: BuildRequest) -> list[str]:
    """The search's flags that its plans' files hold already."""
    found = [] if request.backend is None else ["--backend", request.backend]
    found += [word for flag in request.limits.flags for word in flag.split(" ", 1)]
    return found + ([] if request.min_fidelity is None else ["--min-fidelity", f"{request.min_fidelity:g}"])


def _unless_default(points: int, measures: int, *, costs: bool) -> list[str]:
    found = [] if points == POINTS else ["--points", str(points)]
    found += [] if measures == MEASURED else ["--measure", str(measures)]
    return found + (["--costs"] if costs else [])


def _print(report: SearchReport) -> None:
    from edgeslm.search.page.sections import measured_costs, shown, shown_measured

    costs = [report.cost] if report.cost else []
    measured = measured_costs(report)
    rows = [
        [
            point.name,
            shown(report, point, "size"),
            *(shown(report, point, cost) for cost in costs),
            *(shown_measured(point, cost) for cost in measured),
            shown(report, point, "ram"),
            shown(report, point, "fidelity"),
            shown_measured(point, "fidelity"),
            "*" if point.best else "",
        ]
        for point in report.points
    ]
    names = [*costs, *("measured" for _ in measured)]
    header = ["plan", "size", *names, "RAM", "fidelity", "measured", "front"]
    print_table(header, rows, right=set(range(1, len(header) - 1)))
    click.echo()
    print_table(["plan", "built by"], [[point.name, point.command] for point in report.points])
