"""The HTML page of probe reports: one file that needs neither network nor script."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeslm.errors import MissingExtraError, StorageError
from edgeslm.probe.kept import reject_missing_folder
from edgeslm.probe.page.figures import Banner, Section, Tile
from edgeslm.probe.report import ProbeReport

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class _View:
    """What the template shows of one report."""

    letter: str
    report: ProbeReport
    banners: Sequence[Banner]
    tiles: Sequence[Tile]
    sections: Sequence[Section]


def write_page(reports: Sequence[ProbeReport], path: Path) -> None:
    """Write the page of these reports. Raises StorageError where it cannot, MissingExtraError without the extra."""
    from edgeslm.formats.archive import replacing

    reject_missing_folder(path)
    page = render_page(reports)
    try:
        with replacing(path) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from None


def require_extra() -> None:
    """Raises MissingExtraError where what draws the page is not installed."""
    for package in ("matplotlib", "jinja2"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("report", package, "the HTML page")


def render_page(reports: Sequence[ProbeReport]) -> str:
    """The page as text; several reports are compared first. The same reports give the same text."""
    require_extra()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from edgeslm.probe.page.comparison import comparison

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,  # a report may come from a stranger
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    views = [_view(number, report) for number, report in enumerate(reports)]
    compared = comparison(reports) if len(reports) > 1 else None
    return environment.get_template("page.html").render(views=views, compared=compared)


def _view(number: int, report: ProbeReport) -> _View:
    from edgeslm.probe.compare import letter
    from edgeslm.probe.page.headline import banners, tiles
    from edgeslm.probe.page.measurements import measurements
    from edgeslm.probe.page.surroundings import surroundings

    prefix = f"r{number + 1}"
    sections = [*measurements(report, prefix), *surroundings(report, prefix)]
    return _View(letter(number), report, list(banners(report)), tiles(report), sections)
