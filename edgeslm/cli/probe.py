"""`edgeslm probe`: measure a bundle on the device it was built for."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import announce_stage, note, print_json, printable, warn
from edgeslm.cli.probe_tables import print_hosts, print_report
from edgeslm.cli.ssh_options import login_options, make_login

if TYPE_CHECKING:
    from edgeslm.probe.report import ProbeReport
    from edgeslm.probe.run import Outcome, ProbeRequest
    from edgeslm.remote.login import Login


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--via",
    "ways",
    multiple=True,
    metavar="WAY",
    default=("local",),
    show_default=True,
    help="local (this machine), qemu (an emulated arm64 core: instructions instead of times), "
    "ssh://[user@]host[:port], or adb[:SERIAL] (an Android device); several ssh:// at once with more than one --via. "
    "Of firmware: qemu (the emulated board), or serial:PORT[:BAUD].",
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="N",
    help="Timed inferences for each length; of a language model, steps at each depth.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="Threads to compute with; emulated runs have one.",
)
@click.option(
    "--length",
    "lengths",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Only this length bucket, in tokens (a language model's: this prompt and this depth); may be given more than "
    "once. Default: all.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="Write the report as a page with plots, too.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="Where the report goes. Default: beside the bundle, BUNDLE.probe-WHERE.json.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    metavar="S",
    help="Seconds that the measuring may take.",
)
@click.option(
    "--meter", metavar="M", help="A power meter at the device: /dev/ttyUSB0[@BAUD] or tcp://HOST:PORT (docs/probe.md)."
)
@click.option("--core", metavar="C", help="qemu: emulate this core instead of the target's.")
@click.option(
    "--rootfs",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="qemu: your own arm64 root file system.",
)
@click.option(
    "--calibration",
    "calibrations",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="F",
    help="qemu: reports of bundles that were measured both on the board and emulated: milliseconds are "
    "foretold from them, with their error. May be given more than once.",
)
@click.option(
    "--adb-mode",
    type=click.Choice(["auto", "app", "pushed"]),
    default="auto",
    show_default=True,
    help="adb: by the demo app, by a Python that is pushed, or by the app where it is installed and holds this model.",
)
@login_options
@click.option("--keep", is_flag=True, help="ssh, adb: leave bundle and packages on the device for the next probe.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")  # fmt: skip
def probe(
    bundle: Path,
    ways: tuple[str, ...],
    html: Path | None,
    output: Path | None,
    calibrations: tuple[Path, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Measure BUNDLE where it will live: latency, memory, energy, time per layer.

    What ends a probe early leaves a report of what was measured until then. Exit status 6 where a device failed.
    """
    from edgeslm.errors import ConfigError
    from edgeslm.probe.kept import read_report, reject_missing_folder
    from edgeslm.probe.run import probe as run_probes

    if output is not None and len(ways) > 1:
        raise ConfigError("-o names one file, but there are several devices", "leave it out: each report gets its own")
    if len(set(ways)) < len(ways):
        raise ConfigError("a device is named more than once with --via")
    for path in (output, html):
        if path is not None:
            reject_missing_folder(path)
    if html is not None:
        from edgeslm.probe.page import require_extra

        require_extra()
    flags["calibration"] = tuple(read_report(path) for path in calibrations)
    login = make_login(flags)
    requests = [_request(bundle, way, flags, login) for way in ways]
    outcomes = run_probes(requests, _announce, _say)
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    kept = [_keep(outcome, output) for outcome in outcomes if outcome.report is not None]
    if html is not None and reports:
        from edgeslm.probe.page import write_page

        write_page(reports, html)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not as_json:
        _print(outcomes)
    for path in kept:
        note(f"report: {path}")
    if html is not None and reports:
        note(f"page: {html}")
    if any(outcome.interrupted for outcome in outcomes):
        raise KeyboardInterrupt("what was measured until then is kept" if kept else "nothing was measured yet")
    if failed:
        raise _failure(failed, len(outcomes), kept)
    if as_json:
        _print_json(reports)


def _request(bundle: Path, way: str, flags: dict[str, Any], login: Login) -> ProbeRequest:
    from edgeslm.probe.run import ProbeRequest
    from edgeslm.probe.settings import ProbeSettings

    settings = ProbeSettings(
        runs=flags["runs"],
        threads=flags["threads"],
        lengths=tuple(sorted(set(flags["lengths"]))),
        time_limit_s=flags["time_limit"],
        meter=flags["meter"],
    )
    return ProbeRequest(
        bundle,
        way,
        settings,
        rootfs=flags["rootfs"],
        core=flags["core"],
        calibration=flags["calibration"],
        login=login,
        remote_dir=flags["remote_dir"],
        keep=flags["keep"],
        adb_mode=flags["adb_mode"],
    )


def _announce(title: str) -> contextlib.AbstractContextManager[None]:
    return announce_stage(title, False)


def _say(line: str) -> None:
    note(f"  {click.style('·', fg='blue')} {line}")


def _keep(outcome: Outcome, output: Path | None) -> Path:
    from edgeslm.probe.kept import write_report

    assert outcome.report is not None
    return write_report(outcome.report, outcome.request.bundle, output)


def _print(outcomes: list[Outcome]) -> None:
    if len(outcomes) > 1:
        print_hosts(outcomes)
    for outcome in outcomes:
        if outcome.report is not None:
            print_report(outcome.report)
            whose = f"{outcome.request.via}: " if len(outcomes) > 1 else ""
            for sentence in outcome.report.notes:
                warn(printable(whose + sentence))


def _print_json(reports: list[ProbeReport]) -> None:
    from edgeslm.probe.report import ProbeAnswer

    print_json(reports[0] if len(reports) == 1 else ProbeAnswer(reports=tuple(reports)))


def _failure(failed: list[Outcome], count: int, kept: list[Path]) -> Exception:
    """One error for all: the device's own where there is a single one."""
    from edgeslm.errors import DeviceError

    first = failed[0].error
    assert first is not None
    if count == 1:
        if failed[0].report is not None:
            where = f"what was measured until then is in {kept[0]}"
            first.hint = f"{first.hint}\n{where}" if first.hint else where
        return first
    lines = "\n".join(f"         {outcome.request.via}: {outcome.error.message}" for outcome in failed if outcome.error)
    return DeviceError(f"{len(failed)} of {count} devices failed\n{lines}", "each alone says more: one --via at a time")
