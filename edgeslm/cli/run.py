"""`edgeslm run`: a bundle run here, through the device package that is inside it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import note, print_json
from edgeslm.cli.device_errors import errors_of_the_device
from edgeslm.cli.run_firmware import firmware_manifest, run_encoder, run_firmware, run_net
from edgeslm.cli.run_generation import given_options, prompt_options, run_prompt
from edgeslm.cli.run_texts import show_texts

if TYPE_CHECKING:
    from edgeslm.bundle.manifest import Manifest
    from edgeslm.device import Model


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, metavar="T", help="A text; may be given more than once.")
@click.option("--file", "file", type=click.Path(path_type=Path), metavar="F",
              help="A file with a text per line; for a plain module or a net an .npz with its inputs.")  # fmt: skip
@click.option("--via", default="local", metavar="WAY", show_default=True,
              help="local (this machine); for firmware qemu (its emulated board), or serial:PORT[:BAUD].")  # fmt: skip
@prompt_options
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, metavar="N",
              help="Threads to compute with.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def run(
    bundle: Path,
    texts: tuple[str, ...],
    file: Path | None,
    via: str,
    prompt: str | None,
    threads: int,
    as_json: bool,
    **values: Any,
) -> None:
    """Run a bundle here: embedding, class scores, fill-mask, or the answer to a prompt. Firmware runs on its board at a
    serial port, or on an emulated one (--via).

    BUNDLE is a bundle's file or the folder it was unpacked to. Without --text and --file it reads texts from stdin,
    one per line. A language model reads its prompt from stdin without --prompt; with --chat on a terminal it converses.
    """
    from edgeslm.device.model import Model
    from edgeslm.device.terminal import require_fitting_options
    from edgeslm.errors import ConfigError

    options = given_options(values)
    firmware = firmware_manifest(bundle, via)
    if firmware is not None:
        if firmware.task == "tensors":
            if prompt is not None or options:
                raise ConfigError(f"{firmware.name} takes numbers: it takes no prompt", "--file inputs.npz")
            if texts or file is None:
                raise ConfigError(
                    f"{firmware.name} takes arrays, not text",
                    f"--file inputs.npz, written by numpy.savez with {_described(firmware)}",
                )
            run_net(firmware, bundle, via, lambda model: _run_arrays(model, bundle, texts, file, as_json))
            return
        if firmware.model.language is None:
            if prompt is not None or options:
                raise ConfigError(f"{firmware.name} does {firmware.task}: it takes no prompt", "--text '…'")
            run_encoder(firmware, bundle, via, _given_texts(texts, file), as_json)
            return
        if texts or file is not None:
            raise ConfigError("firmware generates text: --text and --file are for other bundles", "--prompt '…'")
        run_firmware(firmware, bundle, via, prompt, options, as_json)
        return
    _tell_of_phones(bundle)
    with errors_of_the_device(), Model.open(bundle, threads=threads) as model:
        require_fitting_options(model, bool(texts), file is not None, prompt is not None, options)
        if model.task == "generation":
            run_prompt(model, bundle, prompt, {option.name: value for option, value in options.items()}, as_json)
        elif model.task == "tensors":
            _run_arrays(model, bundle, texts, file, as_json)
        else:
            show_texts(model, bundle, _given_texts(texts, file), as_json)


def _tell_of_phones(bundle: Path) -> None:
    """An Android bundle's model is the same file on the phone, where other code runs it."""
    from edgeslm.bundle.inspect import read_manifest
    from edgeslm.errors import BundleError
    from edgeslm.formats.archive import open_archive

    with contextlib.suppress(BundleError), open_archive(bundle) as archive:  # what is wrong with it is said below
        manifest = read_manifest(archive)
        if manifest.android is not None:
            note(f"  the model of {manifest.target.title}, run here by LiteRT for Python: its answers, not its speed")


def _described(firmware: Manifest) -> str:
    return ", ".join(f"{part.name} {part.dtype}{list(part.shape)}" for part in firmware.model.inputs)


def _run_arrays(model: Model, bundle: Path, texts: tuple[str, ...], file: Path | None, as_json: bool) -> None:
    from edgeslm.answers import RunAnswer
    from edgeslm.device.answer import answer_arrays, describe_inputs
    from edgeslm.device.show import show_array
    from edgeslm.errors import ConfigError

    if texts or file is None:
        raise ConfigError(
            f"{model.name} takes arrays, not text",
            f"--file inputs.npz, written by numpy.savez with {describe_inputs(model)}",
        )
    outputs = answer_arrays(model, file)
    if as_json:
        lists: dict[str, list[object]] = {name: array.tolist() for name, array in outputs.items()}
        print_json(RunAnswer(bundle=str(bundle), task=model.task, results=[], outputs=lists))
        return
    for name, array in outputs.items():
        click.echo(show_array(name, array))


def _given_texts(texts: tuple[str, ...], file: Path | None) -> list[str]:
    """The texts of --text, --file or stdin, whichever is given."""
    from edgeslm.device.answer import read_lines
    from edgeslm.errors import ConfigError

    if texts and file is not None:
        raise ConfigError("--text and --file exclude each other")
    if texts:
        return list(texts)
    if file is not None:
        try:
            return read_lines(file.read_bytes(), str(file))
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    stdin: Any = sys.stdin
    if stdin is None or stdin.isatty():
        raise ConfigError("there is no text to run on", "--text '…', or --file F, or pipe texts in, one per line")
    return read_lines(stdin.buffer.read(), "stdin")
