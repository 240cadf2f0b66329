"""`edgeslm sweep`: models × targets × limits, here or on a Ray cluster."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import note, print_json, print_table

if TYPE_CHECKING:
    from edgeslm.sweep.job import JobResult


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    default="sweep",
    show_default=True,
    metavar="DIR",
    help="Where bundles and results go; what is there already is not built again.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N", help="Builds at once, here."
)
@click.option("--ray", "address", metavar="ADDRESS", help="HOST:PORT of a Ray cluster's head: jobs run there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def sweep(file: Path, out: Path, jobs: int, address: str | None, as_json: bool) -> None:
    """Build many models for many targets, many ways.

    FILE has every model built for every target in every way, a way being flags of build:

    \b
    models = ["demo", "./my-encoder"]
    targets = ["rpi4", "rpi5"]
    [[build]]
    max_size = "14MB"
    min_fidelity = 0.97
    [[build]]
    scheme = "int8"

    Can be repeated: results stay, and an interrupted sweep goes on. The exit status is that of the first job that
    failed.
    """
    from edgeslm.sweep.cluster import run_on_cluster
    from edgeslm.sweep.file import read_sweep
    from edgeslm.sweep.local import run_here
    from edgeslm.sweep.run import sweep as carry_out

    found = read_sweep(file)
    run = (
        functools.partial(run_here, out=out, workers=jobs)
        if address is None
        else functools.partial(run_on_cluster, out=out, address=address)
    )
    note(f"{len(found)} jobs; results go to {out}")
    report = carry_out(found, out, run, lambda result: note(f"  {_state(result):<6} {result.job.title}"))
    if as_json:
        print_json(report)
    else:
        rows = [
            [*_row(result), "kept" if result.job.key in report.kept else _state(result)] for result in report.results
        ]
        print_table(["job", "size", "fidelity", "bundle", ""], rows, right={1, 2})
        for result in report.results:
            if result.error is not None:
                note(f"{result.job.title}: {result.error.message}")
    failed = [result.error for result in report.results if result.error is not None]
    if failed:
        sys.exit(failed[0].exit_code)


def _state(result: JobResult) -> str:
    return "done" if result.error is None else "failed"


def _row(result: JobResult) -> list[str]:
    from edgeslm.limits import amount

    size = "" if result.model_bytes is None else amount("size", result.model_bytes)
    fidelity = "" if result.fidelity is None else amount("fidelity", result.fidelity)
    where = "" if result.bundle is None else f"{result.job.key[:16]}/{result.bundle}"
    return [result.job.title, size, fidelity, where]
