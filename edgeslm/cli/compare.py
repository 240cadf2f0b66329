"""`edgeslm compare`: probe reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import note, print_json, print_table, printable, warn

if TYPE_CHECKING:
    from edgeslm.probe.compare import CompareAnswer


@click.command()
@click.argument("reports", nargs=-1, metavar="REPORT REPORT...", type=click.Path(path_type=Path))
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="F",
              help="Write a page with the comparison and every report to F.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def compare(reports: tuple[Path, ...], page: Path | None, as_json: bool) -> None:
    """Set probe reports side by side, each against the first.

    A REPORT is a file that `edgeslm probe -o` wrote. What makes the comparison unfair is said on stderr.
    """
    import edgeslm.probe.compare
    from edgeslm.probe.kept import read_report

    if len(reports) < 2:
        raise click.UsageError("it takes two reports or more to compare", click.get_current_context())
    read = [read_report(path) for path in reports]
    answer = edgeslm.probe.compare.compare(read)
    if page is not None:
        from edgeslm.probe.page import write_page

        write_page(read, page)
    for warning in answer.warnings:
        warn(printable(warning))
    if as_json:
        print_json(answer)
    else:
        _print_comparison(answer, reports)
    if page is not None:
        note(f"\nwritten: {page}")


def _print_comparison(answer: CompareAnswer, paths: tuple[Path, ...]) -> None:
    from edgeslm.probe.page.comparison import ratio_text
    from edgeslm.probe.page.figures import show

    first, *others = answer.reports
    print_table(
        None,
        [
            [report.letter, printable(report.title), str(path)]
            for report, path in zip(answer.reports, paths, strict=True)
        ],
    )
    click.echo()
    header = ["figure", "unit", first.letter]
    for report in others:
        header += [report.letter, f"{report.letter}/{first.letter}"]
    rows = []
    for figure in answer.figures:
        row = [figure.label, figure.unit, show(figure.values[0])]
        for value, ratio in zip(figure.values[1:], figure.ratios[1:], strict=True):
            row += [show(value), ratio_text(ratio)]
        rows.append(row)
    print_table(header, rows, right=set(range(2, len(header))))
