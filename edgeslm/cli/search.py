"""`edgeslm search`: the trade-off of size, speed and fidelity, and a plan file for each of its points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import announce_stage, note, print_json, print_table
from edgeslm.cli.request import chosen_model, request_options, take_limits

if TYPE_CHECKING:
    from edgeslm.search.report import SearchReport


@click.command()
@request_options
@click.option("--points", type=click.IntRange(2, 40), default=8, show_default=True, metavar="N", help="Plans by size.")
@click.option(
    "--measure",
    "measures",
    type=click.IntRange(0, 40),
    default=3,
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
    """Show what a model may take on a device and what it keeps: plans that choose precisions tensor by tensor, and
    uniform schemes beside them.

    A plan file for each is written to the output folder, for build --plan. Limits keep plans out that are beyond them.
    """
    from edgeslm.pipeline import BuildRequest
    from edgeslm.search.trade_off import explore

    limits = take_limits(flags)
    request = BuildRequest(model=chosen_model(model, demo), eval=eval_, limits=limits, **flags)
    asked = _asked(request.target, model, demo, flags)
    report = explore(request, asked, points, measures, announce_stage, note, costs=costs)
    if html is not None:
        from edgeslm.search.page import write_page

        write_page(report, html)
        note(f"{html}")
    if as_json:
        print_json(report)
    else:
        _print(report)


def _asked(target: str, model: str | None, demo: str | None, flags: dict[str, Any]) -> list[str]:
    """The flags that say what is built, as they were given."""
    found = ["--target", target]
    for flag, value in (("--model", model), ("--demo", demo)):
        found += [] if value is None else [flag, value]
    for name in ("max_length", "context", "kv_cache", "calibration", "converter"):
        value = flags.get(name)
        found += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
    return found


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
            point.command,
        ]
        for point in report.points
    ]
    header = [
        "plan",
        "size",
        *costs,
        *(f"{cost}, measured" for cost in measured),
        "RAM",
        "fidelity",
        "measured",
        "front",
    ]
    right = set(range(1, len(header) - 1))
    header.append("built by")
    print_table(header, rows, right=right)
