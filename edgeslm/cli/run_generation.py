"""The part of `edgeslm run` that is for language models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import print_json
from edgeslm.device.prompt_options import PROMPT_OPTIONS, PromptOption

if TYPE_CHECKING:
    from edgeslm.device import Model


def prompt_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --prompt and the options of Model.generate; those that are not given are None or ()."""
    for option in reversed(PROMPT_OPTIONS):
        text = option.help[0].upper() + option.help[1:] + "."
        if option.kind is bool:
            command = click.option(option.flag, is_flag=True, default=None, help=text)(command)
        else:
            command = click.option(
                option.flag, type=option.kind, multiple=option.repeated, metavar=option.metavar, help=text
            )(command)
    return click.option("--prompt", metavar="P", help="For a language model: a text to go on with; '' begins a text.")(
        command
    )


def given_options(values: dict[str, Any]) -> dict[PromptOption, Any]:
    """Of the options, those that were given."""
    return {option: values[option.name] for option in PROMPT_OPTIONS if values[option.name] not in (None, ())}


def run_prompt(model: Model, bundle: Path, prompt: str | None, options: dict[str, Any], as_json: bool) -> None:
    """Answer a prompt, or converse; ends the command with status 130 where Ctrl-C ended the answer."""
    from edgeslm.answers import GenerationAnswer, RunAnswer
    from edgeslm.device import terminal

    answer, status = terminal.run_prompt(model, prompt, options, silent=as_json)
    if as_json and answer is not None:
        print_json(RunAnswer(bundle=str(bundle), task=model.task, results=[], generation=GenerationAnswer(**answer)))
    if status:
        sys.exit(status)
