"""The parity report beside a bundle: what `build --json` prints, kept with timings, which are no part of the bundle."""

from __future__ import annotations

from pathlib import Path

from edgeslm.answers import build_answer
from edgeslm.artifacts import BuildReport
from edgeslm.cache import explain_full_disk
from edgeslm.formats.archive import replacing


def report_path(bundle: Path) -> Path:
    return bundle.with_suffix(".report.json")


def write_report(report: BuildReport) -> Path:
    """Write it whole or not at all. Raises StorageError."""
    path = report_path(report.bundle.path)
    with explain_full_disk(path.parent), replacing(path) as partial:
        partial.write_text(build_answer(report).model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path
