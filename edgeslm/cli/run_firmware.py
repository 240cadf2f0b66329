"""The part of `edgeslm run` that is for firmware: the answer of a board, on a serial port or emulated."""

from __future__ import annotations

import codecs
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import print_json
from edgeslm.device.prompt_options import PromptOption

if TYPE_CHECKING:
    from edgeslm.bundle.manifest import Manifest
    from edgeslm.device.model import Model
    from edgeslm.firmware.board import Board
    from edgeslm.firmware.told import Done

OFFERED = ("max_tokens", "temperature", "seed", "chat")
"""Options of a prompt that a board knows."""
MAX_TOKENS = 256
INTERRUPTED = 130
WAYS = "--via qemu runs it on the emulated board, --via serial:/dev/ttyACM0 on the one at that port"


def firmware_manifest(bundle: Path, via: str) -> Manifest | None:
    """The manifest of a firmware bundle, digests verified; None for one that runs here.

    Raises UnsupportedError where the way does not go with the bundle, ConfigError for a way that is none.
    """
    from edgeslm.bundle.inspect import inspect_bundle
    from edgeslm.errors import BundleError, ConfigError, UnsupportedError
    from edgeslm.firmware.open_board import is_way_to_a_board

    if via != "local" and not is_way_to_a_board(via):
        raise ConfigError(f"--via {via} is no way to run a bundle", "local; for firmware qemu, or serial:/dev/ttyACM0")
    try:
        manifest = _manifest(bundle)
    except BundleError:
        if via == "local":
            return None  # the bundle's own device package says what is wrong with it
        raise
    title = manifest.target.title
    if manifest.firmware is None:
        if via != "local":
            raise UnsupportedError(f"--via {via} is for firmware; this bundle was built for {title}", "leave out --via")
        return None
    if via == "local":
        raise UnsupportedError(f"this bundle is firmware for {title}", WAYS)
    return inspect_bundle(bundle).manifest


def reject_firmware(bundle: Path) -> None:
    """Raises UnsupportedError for a firmware bundle, which no server answers from."""
    from edgeslm.errors import BundleError, UnsupportedError

    with contextlib.suppress(BundleError):  # the bundle's own device package says what is wrong with it
        manifest = _manifest(bundle)
        if manifest.firmware is not None:
            raise UnsupportedError(
                f"this bundle is firmware for {manifest.target.title}: it answers on a serial line, not over HTTP",
                f"edgeslm run: {WAYS}",
            )


def _manifest(bundle: Path) -> Manifest:
    from edgeslm.bundle.inspect import read_manifest
    from edgeslm.formats.archive import open_archive

    with open_archive(bundle) as archive:
        return read_manifest(archive)


def run_firmware(
    manifest: Manifest, bundle: Path, via: str, prompt: str | None, options: dict[PromptOption, Any], as_json: bool
) -> None:
    """Stream the board's answer; ends the command with status 130 where Ctrl-C ended it."""
    from edgeslm.cli.device_errors import errors_of_the_device
    from edgeslm.device.terminal import read_prompt
    from edgeslm.errors import ConfigError
    from edgeslm.firmware.board_chat import chat_prompt
    from edgeslm.firmware.open_board import open_board

    foreign = [option.flag for option in options if option.name not in OFFERED]
    if foreign:
        raise ConfigError(
            f"a board does not know {', '.join(foreign)}", f"it takes {', '.join(_flag(name) for name in OFFERED)}"
        )
    given = {option.name: value for option, value in options.items()}
    most, temperature = given.get("max_tokens", MAX_TOKENS), given.get("temperature", 0.0)
    if most < 1 or not 0 <= temperature < 65536 or given.get("seed", 0) < 0:
        raise ConfigError("--max-tokens is at least 1, --temperature from 0 to 65535, --seed from 0")
    asked = read_prompt() if prompt is None else prompt
    with errors_of_the_device():
        sent = chat_prompt(bundle, manifest, asked) if given.get("chat") else asked
    with open_board(bundle, manifest, via) as board:
        board.set_options(most, temperature, given.get("seed", 0))
        text, tokens, done = _stream(board, sent, silent=as_json)
    if as_json:
        from edgeslm.answers import GenerationAnswer, RunAnswer

        answer = GenerationAnswer(
            prompt=asked,
            text=text,
            tokens=tokens,
            finish_reason=done.reason,
            prompt_tokens=done.prompt_tokens,
            generated_tokens=done.tokens,
        )
        print_json(RunAnswer(bundle=str(bundle), task=manifest.task, results=[], generation=answer))
    if done.reason == "interrupted":
        sys.exit(INTERRUPTED)


def run_encoder(manifest: Manifest, bundle: Path, via: str, texts: list[str], as_json: bool) -> None:
    """An encoder's answers, computed by the board. The bundle's tokenizer tells where tokens are in a text."""
    from edgeslm.cli.device_errors import errors_of_the_device
    from edgeslm.cli.run_texts import show_texts
    from edgeslm.device.model import LITERAL_MASK, Model
    from edgeslm.device.runner import Runner
    from edgeslm.device.tokenizer import Tokenizer
    from edgeslm.firmware.encoder_board import BoardEncoder
    from edgeslm.firmware.open_board import open_board
    from edgeslm.formats.archive import open_archive

    part = manifest.tokenizer
    assert part is not None  # what takes text has one
    with errors_of_the_device(), open_board(bundle, manifest, via) as board:
        with open_archive(bundle) as archive:
            content = archive.read(part.file, manifest.files[part.file].bytes)
        tokenizer = Tokenizer(content, part.max_length, part.mask_token)
        mask = part.mask_token if manifest.task == "fill-mask" else None
        given = [text.replace(LITERAL_MASK, mask) if mask and mask not in text else text for text in texts]
        text_of = {tuple(tokenizer.encode(text).ids): text for text in given}
        wanted = tokenizer.mask_id if manifest.task == "fill-mask" else None
        engine = BoardEncoder(board, manifest.model, manifest.target, text_of.__getitem__, wanted)
        described = manifest.model_dump(mode="json")
        with Model(described, Runner(described["model"], engine), tokenizer) as model:
            show_texts(model, bundle, texts, as_json)


def run_net(manifest: Manifest, bundle: Path, via: str, show: Callable[[Model], None]) -> None:
    """A net's outputs, computed by the board; `show` asks for them and prints them."""
    from edgeslm.cli.device_errors import errors_of_the_device
    from edgeslm.device.model import Model
    from edgeslm.device.runner import Runner
    from edgeslm.firmware.net_board import BoardNet
    from edgeslm.firmware.open_board import open_board

    described = manifest.model_dump(mode="json")
    with errors_of_the_device(), open_board(bundle, manifest, via) as board:
        runner = Runner(described["model"], BoardNet(board, manifest.model))
        show(Model(described, runner, None))


def _stream(board: Board, prompt: str, *, silent: bool) -> tuple[str, list[int], Done]:
    """Write the answer as it comes; its text, its tokens, how it ended. Ctrl-C asks the board to end it."""
    from edgeslm.errors import InternalError
    from edgeslm.firmware.told import Done

    # A character may be spread over several tokens.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts: list[str] = []
    tokens: list[int] = []

    def show(piece: str) -> None:
        texts.append(piece)
        if not silent:
            click.echo(_steerless(piece) if sys.stdout.isatty() else piece, nl=False)

    with _interrupting(board):
        for came in board.answer(prompt):
            if isinstance(came, Done):
                show(decoder.decode(b"", final=True))
                if not silent:
                    click.echo()
                return "".join(texts), tokens, came
            if came.id is not None:
                tokens.append(came.id)
            show(decoder.decode(came.text))
    raise InternalError("a board's answer ended without saying how")


@contextlib.contextmanager
def _interrupting(board: Board) -> Iterator[None]:
    """Ctrl-C goes to the board, whose last frames still come; the second one ends the command."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        board.interrupt()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _steerless(text: str) -> str:
    """A model's words must not steer a terminal."""
    return "".join(letter if letter in "\n\t" or letter.isprintable() else "\ufffd" for letter in text)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
