"""The file a report is kept in."""

from __future__ import annotations

import re
from pathlib import Path

from edgeslm.cache import explain_full_disk
from edgeslm.errors import ConfigError, StorageError
from edgeslm.formats.archive import replacing
from edgeslm.probe.report import MAX_BYTES, ProbeReport, parse_report


def write_report(report: ProbeReport, bundle: Path, output: Path | None) -> Path:
    """Write it whole or not at all: to `output`, or beside the bundle. Raises StorageError."""
    path = output or default_path(bundle, report)
    with explain_full_disk(path.parent), replacing(path) as partial:
        partial.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path


def default_path(bundle: Path, report: ProbeReport) -> Path:
    """BUNDLE.probe-WHERE.json: local, the emulated core, or the host."""
    if report.via == "qemu":
        where = f"qemu-{report.device.core or report.device.machine}"
    else:
        where = re.sub(r"[^A-Za-z0-9.]+", "-", report.via.removeprefix("ssh://")).strip("-")
    resolved = bundle.resolve()
    return resolved.with_name(f"{resolved.name.removesuffix('.edgeslm')}.probe-{where}.json")


def reject_missing_folder(path: Path) -> None:
    """Say before a measurement, not after it, that its report has nowhere to go. Raises StorageError."""
    if not path.parent.is_dir():
        raise StorageError(f"{path.parent} is no folder: {path.name} cannot be written there", "mkdir makes one")


def read_report(path: Path) -> ProbeReport:
    """A report's file. Raises ConfigError where it cannot be read or is none."""
    try:
        with path.open("rb") as source:
            content = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} has more than {MAX_BYTES:,} bytes: it is no probe report")
    return parse_report(content, str(path))
