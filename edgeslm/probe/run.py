"""The story of a probe: open the bundle, go to the device, measure, and keep what was measured whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgeslm.bundle.inspect import Inspection, inspect_bundle
from edgeslm.errors import ConfigError, EdgeslmError, UnsupportedError
from edgeslm.formats.archive import open_archive
from edgeslm.probe.assemble import assemble
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.settings import Event, ProbeSettings

LAYERS = "model/layers.json"
MAX_LAYERS = 8 << 20
Announce = Callable[[str], AbstractContextManager[None]]
"""Called as announce(title) around what may take long: how a command line shows progress."""


@dataclass(frozen=True)
class ProbeRequest:
    """Everything a user can ask of `probe` for one device."""

    bundle: Path
    via: str = "local"  # local, qemu, ssh://[user@]host[:port]
    settings: ProbeSettings = field(default_factory=ProbeSettings)
    rootfs: Path | None = None  # qemu: the user's own arm64 root file system
    core: str | None = None  # qemu: another core than the target's
    ssh: Any = None  # ssh: edgeslm.remote's Login, or None for what ~/.ssh says
    keep: bool = False  # ssh: leave bundle and packages on the device
    remote_dir: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of one probe. With `error`, `report` is what was measured until then, or None."""

    request: ProbeRequest
    report: ProbeReport | None
    error: EdgeslmError | None = None
    interrupted: bool = False


def probe(request: ProbeRequest, announce: Announce) -> Outcome:
    """Measure. Raises EdgeslmError only for what is wrong before anything is measured."""
    inspection = inspect_bundle(request.bundle)
    measure = _transport(request, inspection, announce)
    layers = _layers(request.bundle)
    events: list[Event] = []
    started_at, started = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    error: EdgeslmError | None = None
    interrupted = False
    try:
        measure(events.append)
    except EdgeslmError as raised:
        error = raised
    except KeyboardInterrupt:
        interrupted = True
    report = assemble(
        inspection,
        request.settings,
        request.via,
        events,
        started_at=started_at,
        duration_s=time.monotonic() - started,
        layers=layers,
        problem=error.message if error else "interrupted" if interrupted else None,
    )
    return Outcome(request, report, error, interrupted)


def _transport(request: ProbeRequest, inspection: Inspection, announce: Announce) -> Callable[[Any], None]:
    """The way to the device; what cannot work is refused here, before anything is started."""
    manifest = inspection.manifest
    bundle, settings = request.bundle, request.settings
    if request.via == "local":
        from edgeslm.probe.transports import local

        return lambda on_event: local.measure(bundle, settings, announce, on_event)
    if request.via == "qemu":
        from edgeslm.probe.transports import qemu

        core = request.core or manifest.target.cpu.core
        if manifest.target.cpu.arch != "aarch64":
            raise UnsupportedError(
                f"--via qemu emulates arm64 boards; this bundle was built for {manifest.target.title}",
                "--via local measures it on this machine",
            )
        return lambda on_event: qemu.measure(bundle, core, settings, request.rootfs, announce, on_event)
    raise ConfigError(f"--via {request.via} is no way to a device", "local, qemu, or ssh://user@host:port")


def _layers(bundle: Path) -> bytes | None:
    with open_archive(bundle) as archive:
        return archive.read(LAYERS, MAX_LAYERS) if LAYERS in archive.sizes else None
