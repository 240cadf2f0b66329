"""The story of a probe: open the bundle, go to the device, measure, and keep what was measured whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.bundle.inspect import Inspection, inspect_bundle
from edgeslm.bundle.manifest import Manifest
from edgeslm.errors import ConfigError, EdgeslmError, UnsupportedError
from edgeslm.firmware.open_board import is_way_to_a_board
from edgeslm.firmware.serial_line import SERIAL, parse_port
from edgeslm.formats.archive import open_archive
from edgeslm.probe.assemble import assemble
from edgeslm.probe.estimate import calibrate, estimate
from edgeslm.probe.firmware import firmware_report
from edgeslm.probe.report import ProbeReport
from edgeslm.probe.settings import AdbMode, Event, ProbeSettings
from edgeslm.probe.step_reads import step_reads

if TYPE_CHECKING:
    from edgeslm.remote.address import Address
    from edgeslm.remote.login import Login

LAYERS = "model/layers.json"
MAX_LAYERS = 8 << 20
SSH = "ssh://"
ADB = "adb"
Announce = Callable[[str], AbstractContextManager[None]]
"""Called as announce(title) around what may take long: how a command line shows progress."""
Say = Callable[[str], None]
"""Called with one line of progress, where several devices are at work at once."""


@dataclass(frozen=True)
class ProbeRequest:
    """Everything a user can ask of `probe` for one device."""

    bundle: Path
    via: str = "local"  # local, qemu, serial:PORT[:BAUD], ssh://[user@]host[:port], adb[:SERIAL]
    settings: ProbeSettings = field(default_factory=ProbeSettings)
    rootfs: Path | None = None  # qemu: the user's own arm64 root file system
    core: str | None = None  # qemu: another core than the target's
    calibration: tuple[ProbeReport, ...] = ()  # qemu: what milliseconds are foretold from
    login: Login | None = None  # ssh
    remote_dir: str | None = None  # ssh
    keep: bool = False  # ssh, adb: leave bundle and packages on the device
    adb_mode: AdbMode = "auto"  # adb


@dataclass(frozen=True)
class Outcome:
    """What came of one probe. With `error`, `report` is what was measured until then, or None."""

    request: ProbeRequest
    report: ProbeReport | None
    error: EdgeslmError | None = None
    interrupted: bool = False


def probe(requests: Sequence[ProbeRequest], announce: Announce, say: Say) -> list[Outcome]:
    """Measure on each device, in the order asked for: those behind SSH all at once, this machine one by one.

    Raises EdgeslmError for what is wrong with a request before anything is measured.
    """
    started = [_Measuring(request) for request in requests]
    there = [measuring for measuring in started if measuring.request.via.startswith(SSH)]
    if there:
        _measure_there(there, say)
    for measuring in started:
        if measuring not in there and not any(other.interrupted for other in started):
            _measure_here(measuring, announce)
    return [measuring.outcome() for measuring in started]


class _Measuring:
    """One probe under way."""

    def __init__(self, request: ProbeRequest) -> None:
        self.request = request
        self.inspection: Inspection = inspect_bundle(request.bundle)
        self.events: list[Event] = []
        self.error: EdgeslmError | None = None
        self.interrupted = False
        self._layers = _layers(request.bundle)
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._started = time.monotonic()
        _refuse_what_cannot_work(request, self.inspection)
        self._reads = step_reads(request.bundle, self.inspection.manifest)
        core = request.core or self.inspection.manifest.target.cpu.core
        self._calibration = calibrate(core, request.calibration) if request.calibration else None

    def outcome(self) -> Outcome:
        if self.inspection.manifest.firmware is not None:
            return Outcome(self.request, self._firmware_report(), self.error, self.interrupted)
        report = assemble(
            self.inspection,
            self.request.via,
            self.events,
            started_at=self._started_at,
            duration_s=time.monotonic() - self._started,
            layers=self._layers,
            reads=self._reads,
            problem=self._problem,
        )
        if report is not None and report.complete and self._calibration is not None:
            report = report.model_copy(update={"estimate": estimate(report, self._calibration)})
        return Outcome(self.request, report, self.error, self.interrupted)

    def _firmware_report(self) -> ProbeReport | None:
        return firmware_report(
            self.inspection,
            self.request.via,
            self.events,
            started_at=self._started_at,
            duration_s=time.monotonic() - self._started,
            problem=self._problem,
        )

    @property
    def _problem(self) -> str | None:
        return self.error.message if self.error else "interrupted" if self.interrupted else None


def _refuse_what_cannot_work(request: ProbeRequest, inspection: Inspection) -> None:
    manifest, target = inspection.manifest, inspection.manifest.target
    if target.is_firmware:
        _refuse_for_firmware(request, manifest)
    elif request.via.startswith(SERIAL):
        raise UnsupportedError(
            f"--via {request.via} is for firmware; this bundle was built for {target.title}",
            "--via adb" if target.is_android else "--via local, qemu, or ssh://user@host:port",
        )
    elif target.is_android and not _is_adb(request.via):
        raise UnsupportedError(
            f"this bundle was built for apps on {target.title}: --via {request.via} runs Linux bundles",
            "--via adb measures it on the device that adb sees, --via adb:SERIAL on one of several",
        )
    elif request.via == "qemu":
        if target.cpu.arch != "aarch64":
            raise UnsupportedError(
                f"--via qemu emulates arm64 boards; this bundle was built for {target.title}",
                "--via local measures it on this machine",
            )
    elif request.rootfs or request.core or request.calibration:
        raise ConfigError("--rootfs, --core and --calibration go with --via qemu")
    if request.calibration and manifest.task == "generation":
        raise UnsupportedError(
            f"{manifest.name} generates text: milliseconds are foretold of encoders alone", "leave out --calibration"
        )
    if request.adb_mode != "auto" and not _is_adb(request.via):
        raise ConfigError("--adb-mode goes with --via adb")
    known = request.via == "local" or is_way_to_a_board(request.via) or _is_adb(request.via)
    if not known and not request.via.startswith(SSH):
        raise ConfigError(
            f"--via {request.via} is no way to a device",
            "local, qemu, adb, adb:SERIAL, serial:/dev/ttyACM0, or ssh://user@host:port",
        )


def _is_adb(via: str) -> bool:
    return via == ADB or via.startswith(f"{ADB}:")


def _refuse_for_firmware(request: ProbeRequest, manifest: Manifest) -> None:
    if not is_way_to_a_board(request.via):
        raise UnsupportedError(
            f"this bundle is firmware for {manifest.target.title}: --via {request.via} runs Linux bundles",
            "--via qemu runs it on the emulated board, --via serial:/dev/ttyACM0 on the one at that port",
        )
    if request.via != "qemu":
        parse_port(request.via)
    if request.rootfs or request.core or request.calibration:
        raise ConfigError("--rootfs, --core and --calibration are for bundles that run Linux")
    if manifest.task == "tensors":
        if request.settings.lengths:
            raise ConfigError(f"{manifest.name} takes numbers of fixed shapes: it has no lengths", "leave out --length")
        return
    longest, language = max(request.settings.lengths, default=0), manifest.model.language
    room = language.context if language else max(manifest.model.lengths)
    if longest > room:
        raise ConfigError(
            f"{manifest.name} has no length of {longest} tokens",
            f"prompt and answer together have room for {room}" if language else f"a text has {room} tokens at most",
        )


def _measure_here(measuring: _Measuring, announce: Announce) -> None:
    request, take = measuring.request, measuring.events.append
    try:
        if request.via == "local":
            from edgeslm.probe.transports import local

            local.measure(request.bundle, request.settings, announce, take)
        elif measuring.inspection.manifest.firmware is not None:
            from edgeslm.probe.transports import board

            manifest = measuring.inspection.manifest
            board.measure(request.bundle, manifest, request.via, request.settings, announce, take)
        elif _is_adb(request.via):
            from edgeslm.probe.transports import adb

            manifest, serial = measuring.inspection.manifest, request.via.partition(":")[2] or None
            mode, keep = request.adb_mode, request.keep
            adb.measure(request.bundle, manifest, serial, mode, request.settings, announce, take, keep=keep)
        else:
            from edgeslm.probe.transports import qemu

            core = request.core or measuring.inspection.manifest.target.cpu.core
            qemu.measure(request.bundle, core, request.settings, request.rootfs, announce, take)
    except EdgeslmError as error:
        measuring.error = error
    except KeyboardInterrupt:
        measuring.interrupted = True


def _measure_there(there: Sequence[_Measuring], say: Say) -> None:
    from edgeslm.probe.transports import ssh
    from edgeslm.remote.address import parse_address
    from edgeslm.remote.ask import NOBODY
    from edgeslm.remote.login import Login
    from edgeslm.remote.together import wait_for_all

    works = []
    for measuring in there:
        request, address = measuring.request, parse_address(measuring.request.via)
        works.append(
            ssh.measure_there(
                request.bundle,
                measuring.inspection,
                address,
                request.settings,
                measuring.events.append,
                keep=request.keep,
                login=request.login or Login(NOBODY),
                announce=_naming(address, say),
                remote_dir=request.remote_dir or ssh.REMOTE_DIR,
            )
        )
    try:
        for measuring, answer in zip(there, wait_for_all(works), strict=True):
            if isinstance(answer, EdgeslmError):
                measuring.error = answer
    except KeyboardInterrupt:
        for measuring in there:
            measuring.interrupted = True


def _naming(address: Address, say: Say) -> Say:
    """`say` for one of several devices."""
    return lambda title: say(f"{address}: {title}")


def _layers(bundle: Path) -> bytes | None:
    with open_archive(bundle) as archive:
        return archive.read(LAYERS, MAX_LAYERS) if LAYERS in archive.sizes else None
