"""`edgeslm serve`: a bundle behind HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import print_json
from edgeslm.cli.device_errors import errors_of_the_device
from edgeslm.device.serve.flags import SERVE_OPTIONS

if TYPE_CHECKING:
    from edgeslm.device.serve.address import Address


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the device package's `serve`; those that are not given are None or ()."""
    for option in reversed(SERVE_OPTIONS):
        text = option.help[0].upper() + option.help[1:] + "."
        if option.kind is bool:
            command = click.option(option.flag, is_flag=True, default=None, help=text)(command)
        else:
            command = click.option(
                option.flag, type=option.kind, multiple=option.repeated, metavar=option.metavar, help=text
            )(command)
    return command


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@_options
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, metavar="N",
              help="Threads to compute with.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout: the address, once it answers.")
def serve(bundle: Path, threads: int, as_json: bool, **values: Any) -> None:
    """Answer over HTTP as OpenAI's API does: chats, completions, embeddings.

    BUNDLE is a bundle's file or the folder it was unpacked to. EDGESLM_API_KEY in the environment is the key that
    clients must send; other machines are served with one only. SIGTERM and Ctrl-C let the answer under way end.
    """
    from edgeslm.cli.run_firmware import reject_firmware
    from edgeslm.device.serve.command import serve_bundle
    from edgeslm.device.serve.options import ServeOptions

    reject_firmware(bundle)
    with errors_of_the_device():
        sys.exit(serve_bundle(bundle, ServeOptions.read(values), threads, _print_json if as_json else _print))


def _print(address: Address) -> None:
    click.echo(str(address))


def _print_json(address: Address) -> None:
    from edgeslm.answers import ServeAnswer

    print_json(ServeAnswer(name=address.name, task=address.task, url=address.url, key=address.key, local=address.local))
