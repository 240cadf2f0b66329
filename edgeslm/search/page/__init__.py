"""The HTML page of a search: one file that needs neither network nor script, in the style of probe reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.cache import explain_full_disk
from edgeslm.probe.kept import reject_missing_folder
from edgeslm.probe.page import FOLDER as PROBE_PAGE
from edgeslm.probe.page import require_extra

if TYPE_CHECKING:
    from edgeslm.search.report import SearchReport

FOLDER = Path(__file__).parent


def write_page(report: SearchReport, path: Path) -> None:
    """Raises StorageError where it cannot, MissingExtraError without the extra."""
    from edgeslm.formats.archive import replacing

    reject_missing_folder(path)
    page = render_page(report)
    with explain_full_disk(path.parent), replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def render_page(report: SearchReport) -> str:
    """The page as text; the same report gives the same text."""
    require_extra()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from edgeslm.search.page.sections import sections, tiles

    environment = Environment(
        loader=FileSystemLoader([FOLDER, PROBE_PAGE]),
        autoescape=True,  # names of tensors come with a checkpoint
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    view = {"report": report, "tiles": tiles(report), "sections": sections(report)}
    return environment.get_template("search.html").render(**view)
