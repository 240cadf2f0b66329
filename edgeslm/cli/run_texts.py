"""The part of `edgeslm run` that is for texts: an encoder's answers, wherever it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import print_json, warn

if TYPE_CHECKING:
    from edgeslm.device import Model


def show_texts(model: Model, bundle: Path, texts: list[str], as_json: bool) -> None:
    from edgeslm.answers import RunAnswer, TextAnswer
    from edgeslm.device.answer import answer_texts
    from edgeslm.device.show import show_answer

    results = answer_texts(model, texts)
    cut = sum(result["truncated"] for result in results)
    if cut and model.tokenizer:
        warn(f"{cut} of {len(results)} texts cut to {model.tokenizer.max_length} tokens, the model's limit")
    if as_json:
        answers = [TextAnswer(**result) for result in results]
        print_json(RunAnswer(bundle=str(bundle), task=model.task, results=answers))
        return
    for result in results:
        for line in show_answer(result):
            click.echo(line)
