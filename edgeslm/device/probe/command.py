"""`python -m edgeslm_device probe`: events for a program, or a few lines for a person."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .options import Options
from .sections import probe
from .watch import end_with_stdin, limit_time


def add_probe(commands: Any, bundle: Path) -> None:
    """Add the subcommand; `bundle` is the one this package lies in."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "probe", help="measure on this device", description="Measure a bundle on this device: latency, memory, energy."
    )
    parser.add_argument("bundle", nargs="?", type=Path, default=bundle, help="default: the bundle this lies in")
    parser.add_argument("--runs", type=int, default=50, metavar="N", help="timed runs for each length (default: 50)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads to compute with (default: 2)")
    parser.add_argument("--length", type=int, action="append", metavar="N", help="only this length; more than once")
    parser.add_argument("--time-limit", type=float, default=600, metavar="S", help="end after S seconds (default: 600)")
    parser.add_argument("--meter", metavar="M", help="a power meter: /dev/ttyUSB0[@BAUD] or tcp://HOST:PORT")
    parser.add_argument("--events", action="store_true", help="a JSON object per line; ends when stdin is closed")
    parser.add_argument("--no-profile", action="store_true", help=argparse.SUPPRESS)  # a figure alone is wanted
    parser.add_argument("--kernels", action="store_true", help=argparse.SUPPRESS)  # of edgeslm profile-target
    parser.add_argument("--counted", action="store_true", help=argparse.SUPPRESS)  # under our emulator's plugin


def run_probe(options: argparse.Namespace) -> int:
    """Print every section as it comes."""
    for name in ("runs", "threads", "time_limit"):
        if getattr(options, name) <= 0:
            raise UsageError(f"--{name.replace('_', '-')} must be more than 0")
    if options.events:
        end_with_stdin()
    limit_time(options.time_limit)
    asked = Options(
        bundle=options.bundle,
        runs=options.runs,
        threads=options.threads,
        lengths=tuple(options.length or ()),
        meter=options.meter,
        profile=not options.no_profile,
        kernels=options.kernels,
        counted=options.counted,
    )
    if asked.kernels:
        from .kernels import probe_kernels as probed  # with numpy, which a device may not have yet
    else:
        probed = probe
    for event in probed(asked):
        line = json.dumps(event) if options.events else describe(event)
        if line:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    return 0


def describe(event: dict[str, Any]) -> str | None:
    """One line for a person, or None for what only a program needs."""
    section = event["section"]
    if section == "kernel" and event["samples_ms"]:
        return f"kernel      {event['signature']}: median {statistics.median(event['samples_ms']):.4f} ms"
    if section == "start" and event["emulated"]:
        return "emulated: its times are not shown"
    if section == "device":
        return f"device      {event['board'] or event['cpu'] or event['machine']}, {event['cores']} cores"
    if section == "load" and event["load_ms"] is not None:
        return f"load        {event['load_ms']:.1f} ms, first run {event['first_run_ms']:.1f} ms ({event['runtime']})"
    if section == "length" and event["samples_ms"]:
        samples = event["samples_ms"]
        tokens = "" if event["tokens"] is None else f"{event['tokens']} tokens: "
        return f"latency     {tokens}median {statistics.median(samples):.2f} ms, least {min(samples):.2f} ms"
    if section == "prompt" and event["samples_ms"]:
        first = statistics.median(event["samples_ms"])
        return f"prompt      {event['tokens']} tokens: first token after {first:.1f} ms"
    if section == "decode" and event["samples_ms"]:
        samples = event["samples_ms"]
        middle, speed = statistics.median(samples), 1e3 / statistics.fmean(samples)
        return f"decode      at {event['depth']} tokens: {speed:.1f} a second, median {middle:.2f} ms"
    if section == "bandwidth" and event["read_mib_s"]:
        return f"bandwidth   {event['read_mib_s']:.0f} MiB/s, read test"
    if section == "throughput" and event["texts_per_s"]:
        return f"throughput  {event['texts_per_s']:.1f} a second in batches of {event['batch']}"
    if section == "memory":
        return f"memory      {(event['peak_rss'] or 0) / 2**20:.0f} MiB at most"
    if section == "energy":
        told = f"{event['joules_per_inference']:.4f} J per inference" if event["measured"] else event["why_not"]
        return f"energy      {told}"
    if section == "after" and event["throttled"]:
        return "throttled   the device slowed itself down: cool it and probe again"
    return None
