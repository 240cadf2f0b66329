"""`edgeslm targets`: the devices, and one device's facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import print_json, print_table

if TYPE_CHECKING:
    from edgeslm.target import Firmware


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def targets(context: click.Context, as_json: bool) -> None:
    """List the devices a bundle can be built for."""
    if context.invoked_subcommand is not None:
        return
    from edgeslm.answers import TargetsAnswer
    from edgeslm.firmware.qemu import NOT_RUN_HERE, is_emulated
    from edgeslm.target import list_targets

    found = list_targets()
    unseen = [t.name for t in found if t.is_android or (t.is_firmware and not is_emulated(t))]
    if as_json:
        print_json(TargetsAnswer(targets=found, not_run_here=unseen))
        return
    print_table(
        ["name", "device", "core", "cores", "clock", "RAM", ""],
        [
            [
                t.name,
                t.title,
                t.cpu.core,
                str(t.cpu.cores),
                f"{t.cpu.clock_mhz} MHz",
                t.memory.ram_text,
                NOT_RUN_HERE if t.name in unseen else "",
            ]
            for t in found
        ],
        right={3, 4, 5},
    )


@targets.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show(name: str, as_json: bool) -> None:
    """Show one device's facts. NAME is a target's name or a target file."""
    from edgeslm.answers import TargetAnswer
    from edgeslm.bundle.android.litert import NOT_RUN_HERE
    from edgeslm.firmware.qemu import not_run_here
    from edgeslm.target import load_target

    target = load_target(name)
    unseen = not_run_here(target) if target.is_firmware else ()
    if target.is_android:
        unseen = (NOT_RUN_HERE.format(title=target.title),)
    if as_json:
        print_json(TargetAnswer(target=target, isa=sorted(target.cpu.isa), not_run_here=bool(unseen)))
        return
    rows = [
        ("name", target.name),
        ("device", target.title),
        ("packaging", target.packaging),
        ("CPU", f"{target.cpu.cores} × {target.cpu.core} ({target.cpu.arch}) at {target.cpu.clock_mhz} MHz"),
        ("ISA features", ", ".join(sorted(target.cpu.isa))),
        ("RAM", target.memory.ram_text),
        ("storage", target.memory.storage_text),
        ("memory bandwidth", f"{target.memory.bandwidth_mib_s} MiB/s"),
    ]
    if target.firmware:
        firmware = target.firmware
        rows += [
            ("flash, RAM", f"from {firmware.flash_origin:#010x}, from {firmware.ram_origin:#010x}"),
            ("board's C", f"firmware_templates/boards/{firmware.template}"),
            *_wiring(firmware),
            ("flasher", firmware.flasher),
        ]
    if target.android:
        rows += [("ABI", target.android.abi), ("Android", f"API level {target.android.min_sdk} or later")]
    print_table(None, [list(row) for row in rows])
    for sentence in unseen:
        click.echo(sentence)


def _wiring(firmware: Firmware) -> list[tuple[str, str]]:
    """What of a board leads to its chip: nothing where the board is an emulator's own."""
    if firmware.chip is None:
        return []
    source = firmware.oscillator + (f", {firmware.oscillator_khz} kHz" if firmware.oscillator_khz else "")
    return [
        ("chip", firmware.chip),
        ("UART", f"{firmware.uart}: sends on {firmware.tx}, receives on {firmware.rx}"),
        ("oscillator", source),
    ]
