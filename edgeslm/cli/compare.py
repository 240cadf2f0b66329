"""`edgeslm compare`: probe reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import note, print_json, print_table, warn

if TYPE_CHECKING:
    from edgeslm.probe.compare import CompareAnswer
    from edgeslm.probe.report import ProbeReport


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

    if len(reports) < 2:
        raise click.UsageError("it takes two reports or more to compare", click.get_current_context())
    read = [_read(path) for path in reports]
    answer = edgeslm.probe.compare.compare(read)
    if page is not None:
        from edgeslm.probe.page import write_page

        write_page(read, page)
    for warning in answer.warnings:
        warn(_printable(warning))
    if as_json:
        print_json(answer)
    else:
        _print_comparison(answer, reports)
    if page is not None:
        note(f"\nwritten: {page}")


def _read(path: Path) -> ProbeReport:
    from edgeslm.errors import ConfigError
    from edgeslm.probe.report import MAX_BYTES, parse_report

    try:
        with path.open("rb") as source:
            content = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} has more than {MAX_BYTES:,} bytes: it is no probe report")
    return parse_report(content, str(path))


def _print_comparison(answer: CompareAnswer, paths: tuple[Path, ...]) -> None:
    from edgeslm.probe.page.comparison import ratio_text
    from edgeslm.probe.page.figures import show

    first, *others = answer.reports
    print_table(
        None,
        [
            [report.letter, _printable(report.title), str(path)]
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


def _printable(text: str) -> str:
    """A stranger's report must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
