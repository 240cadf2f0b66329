"""`edgeslm profile-target`: what a model's kernels cost on your board, written down for later builds."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from edgeslm.cli.console import announce_stage, note, print_json, print_table, printable, warn
from edgeslm.cli.ssh_options import login_options, make_login

if TYPE_CHECKING:
    from edgeslm.cost.profile import TargetProfile
    from edgeslm.target import Target


@click.command("profile-target")
@click.option("--target", "target_name", required=True, metavar="NAME", help="A target's name or its TOML file.")
@click.option(
    "--via",
    default="local",
    show_default=True,
    metavar="WAY",
    help="local (this machine), ssh://[user@]host[:port], adb[:SERIAL], serial:PORT[:BAUD] (a microcontroller that "
    "runs what --firmware wrote), or qemu (an emulated core: instructions instead of times).",
)
@click.option(
    "--firmware",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="Of a microcontroller: write the firmware that measures its kernels to F, for edgeslm flash, and end.",
)
@click.option(
    "--backend",
    "backends",
    type=click.Choice(["tflite", "openvino"]),
    multiple=True,
    default=("tflite",),
    show_default=True,
    help="Whose kernels; may be given twice. OpenVINO's are timed on x86-64 alone.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="Where the profile goes. Default: TARGET.profile.toml.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=3),
    default=100,
    show_default=True,
    metavar="N",
    help="How often every kernel is run; instructions are counted twice.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Threads to compute with; emulated runs have one.",
)
@click.option("--vendor-wheels", is_flag=True, help="Bring the runtime along, for a device without network.")
@click.option(
    "--rootfs",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="qemu: your own arm64 root file system.",
)
@login_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")  # fmt: skip
def profile_target(
    target_name: str,
    via: str,
    firmware: Path | None,
    backends: tuple[Literal["tflite", "openvino"], ...],
    output: Path | None,
    rounds: int,
    threads: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Measure single kernels on a device, and write a profile of it.

    Give the file to later commands with --target-profile: what they say of cost then comes from this device. Of a
    microcontroller, --firmware writes what its board has to run first.
    """
    from edgeslm.probe.kept import reject_missing_folder
    from edgeslm.probe.kernel_run import KernelRequest
    from edgeslm.probe.target_profile import answer, default_path, write_profile
    from edgeslm.probe.target_profile import profile_target as measure
    from edgeslm.target import load_target

    target = load_target(target_name)
    if firmware is not None:
        _write_firmware(target, firmware, via, as_json=as_json)
        return
    path = output or default_path(target)
    reject_missing_folder(path)
    request = KernelRequest(
        target,
        via,
        rounds=rounds,
        threads=threads,
        rootfs=flags["rootfs"],
        vendor_wheels=flags["vendor_wheels"],
        login=make_login(flags),
        remote_dir=flags["remote_dir"],
    )
    profile, measured = measure(request, _announce, tuple(dict.fromkeys(backends)))
    write_profile(profile, path)
    if any(points.throttled for points in measured):
        warn("the device slowed itself down while it was measured: cool it and measure again")
    if as_json:
        print_json(answer(profile, target, path))
    else:
        _print(profile)
    note(f"profile: {path}   (--target-profile {path})")


def _write_firmware(target: Target, path: Path, via: str, *, as_json: bool) -> None:
    """The firmware that measures kernels, and what to do with it."""
    from edgeslm.errors import ConfigError
    from edgeslm.probe.board_kernels import write_kernel_firmware
    from edgeslm.probe.kept import reject_missing_folder
    from edgeslm.probe.target_profile import firmware_answer

    if via != "local":
        raise ConfigError(f"--firmware writes a file, and measures nothing: --via {via} is for later")
    reject_missing_folder(path)
    with _announce("build the firmware"):
        written = write_kernel_firmware(target, path)
    if as_json:
        print_json(firmware_answer(written, target))
    note(f"firmware: {path}   (edgeslm flash {path}; then profile-target --target {target.name} --via serial:PORT)")


def _announce(title: str) -> contextlib.AbstractContextManager[None]:
    return announce_stage(title, False)


def _print(profile: TargetProfile) -> None:
    """A row for each way a matrix is stored: what a layer of 384 by 384 costs, and how far the law was off."""
    from edgeslm.cost.kernels import KernelCall

    shapes = [KernelCall("gemv", 1, 384, 384), KernelCall("gemm", 64, 384, 384)]
    known_kinds = {law.kind for law in profile.kernel}
    shapes = [shape for shape in shapes if shape.kind in known_kinds]  # a microcontroller takes row by row
    stored = dict.fromkeys((law.backend, law.precision, law.group) for law in profile.kernel if law.kind == "gemv")
    rows = []
    for backend, precision, group in stored:
        laws = [profile.find(backend, shape.kind, precision, group) for shape in shapes]
        known = [law for law in laws if law is not None]
        costs = [f"{law.law.cost(shape):,.4g}" for law, shape in zip(known, shapes, strict=False)]
        spread = max(law.spread for law in known)
        held_out = sum(law.held_out for law in known)
        stored_as = f"{backend} {precision}{f'-g{group}' if group else ''}"
        rows.append([stored_as, *costs, f"± {spread:.1%} ({held_out} shapes)"])
    columns = [f"{'a row' if shape.rows == 1 else f'{shape.rows} rows'}, {profile.unit}" for shape in shapes]
    print_table(["384 × 384", *columns, "held out"], rows, right=set(range(1, len(columns) + 1)))
    for one in profile.slow:
        stored_as = f"{one.precision}{f'-g{one.group}' if one.group else ''}"
        warn(printable(f"{stored_as} with {one.backend} is slower than {one.than} here: {one.why}"))
