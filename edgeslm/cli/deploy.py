"""`edgeslm deploy`: a bundle on its devices, for good."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from edgeslm.cli.console import megabytes, note, print_json, print_table, warn
from edgeslm.cli.ssh_options import login_options, make_login

if TYPE_CHECKING:
    from edgeslm.deploy import Deployed


def _complete_feature(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgeslm.bundle.requirements import FEATURES

    return [CompletionItem(name) for name in FEATURES if name.startswith(incomplete)]


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("addresses", metavar="SSH://[USER@]HOST[:PORT]...", nargs=-1, required=True)
@click.option("--systemd", is_flag=True, help="Keep the model loaded behind a socket: a systemd user service.")
@click.option("--with", "features", multiple=True, metavar="FEATURE", shell_complete=_complete_feature,
              help="Install what a feature needs: serve (answers over HTTP), constrain (JSON schemas). May be given "
              "more than once.")  # fmt: skip
@login_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def deploy(
    bundle: Path, addresses: tuple[str, ...], systemd: bool, features: tuple[str, ...], as_json: bool, **flags: Any
) -> None:
    """Install BUNDLE on one or more devices, for good.

    It is run there once before it replaces the release that was current; that one stays for a way back. Exit status 6
    where a device failed; the others went on.
    """
    from edgeslm.bundle.inspect import inspect_bundle
    from edgeslm.deploy import REMOTE_DIR, DeployAnswer
    from edgeslm.deploy import deploy as deploy_bundle
    from edgeslm.errors import DeviceError
    from edgeslm.remote.address import Address, parse_address

    parsed = [parse_address(address) for address in addresses]
    login = make_login(flags)
    inspection = inspect_bundle(bundle)

    def announce(address: Address, line: str) -> None:
        note(f"  {address}  {line}" if len(parsed) > 1 else f"  {line}")

    try:
        outcomes = deploy_bundle(
            bundle,
            inspection,
            parsed,
            login=login,
            announce=announce,
            remote_dir=flags["remote_dir"] or REMOTE_DIR,
            systemd=systemd,
            features=features,
        )
    except KeyboardInterrupt:
        hint = "nothing was switched; what was copied whole stays on the device: the same command goes on from there"
        raise KeyboardInterrupt(hint) from None
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors and len(outcomes) == 1:
        raise errors[0]
    deployed = [outcome.deployed for outcome in outcomes]
    if as_json:
        answer = DeployAnswer(
            bundle=str(bundle), name=inspection.manifest.name, digest=inspection.digest, deployed=deployed
        )
        print_json(answer)
    else:
        _print(deployed, inspection.digest)
    if errors:
        for error in errors:
            warn(error.message + (f"\n         -> {error.hint}" if error.hint else ""))
        sys.exit(DeviceError.exit_code)


def _print(deployed: list[Deployed], digest: str) -> None:
    print_table(
        ["device", "release", "Python", "copied", ""],
        [
            [
                one.device,
                digest[:16],
                one.python or "",
                "" if one.copied_bytes is None else megabytes(one.copied_bytes),
                _state(one),
            ]
            for one in deployed
        ],
        right={3},
    )
    for one in deployed:
        if one.current is not None:
            note(f"\non {one.device}:\n  {one.current}/edgeslm-device run --text '…'")
        if one.service is not None:
            note(f"  {one.service} listens on {one.socket}: a text a line in, a JSON document a line out")
            if not one.lingers:
                note(
                    "  it ends with the user's last session; sudo loginctl enable-linger makes it start with the device"
                )


def _state(one: Deployed) -> str:
    if one.error is not None:
        return "FAILED" if one.current is None else "current, service FAILED"
    return "was current already" if one.was_current else "current"
