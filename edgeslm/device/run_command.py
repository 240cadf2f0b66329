"""`python -m edgeslm_device run`: texts, arrays or prompts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .prompt_options import PROMPT_OPTIONS

if TYPE_CHECKING:
    from .model import Model


def add_run(commands: Any, own_bundle: Path) -> None:
    """The subcommand's arguments."""
    run = commands.add_parser(
        "run",
        help="run on texts, or answer a prompt",
        description="Run a bundle on texts: --text, --file, or a text per line on stdin. A language model answers "
        "--prompt, or the prompt on stdin.",
    )
    run.add_argument("bundle", nargs="?", type=Path, default=own_bundle, help="default: the bundle this lies in")
    run.add_argument("--text", action="append", metavar="T", help="a text; may be given more than once")
    run.add_argument("--file", type=Path, metavar="F", help="a file with a text per line; .npz for a plain module")
    run.add_argument("--threads", type=int, default=2, metavar="N", help="threads to compute with (default: 2)")
    run.add_argument("--json", action="store_true", help="one JSON document on stdout")
    prompts = run.add_argument_group("language models")
    prompts.add_argument("--prompt", metavar="P", help="a text to go on with; '' begins a text")
    for option in PROMPT_OPTIONS:
        if option.kind is bool:
            prompts.add_argument(option.flag, action="store_true", default=None, help=option.help)
        else:
            action = "append" if option.repeated else "store"
            prompts.add_argument(option.flag, action=action, type=option.kind, metavar=option.metavar, help=option.help)


def run_bundle(options: argparse.Namespace) -> int:
    """Answer, print; the exit status."""
    from .model import Model
    from .terminal import require_fitting_options

    given = {option: value for option in PROMPT_OPTIONS if (value := getattr(options, option.name)) is not None}
    with Model.open(options.bundle, threads=options.threads) as model:
        require_fitting_options(model, bool(options.text), bool(options.file), options.prompt is not None, given)
        if model.task == "generation":
            return _run_prompt(model, options, {option.name: value for option, value in given.items()})
        _run_texts(model, options)
    return 0


def _run_prompt(model: Model, options: argparse.Namespace, given: dict[str, Any]) -> int:
    from .terminal import run_prompt

    answer, status = run_prompt(model, options.prompt, given, silent=options.json)
    if options.json:
        _print({"bundle": str(options.bundle), "task": model.task, "results": [], "generation": answer})
    return status


def _run_texts(model: Model, options: argparse.Namespace) -> None:
    from .answer import answer_arrays, answer_texts
    from .show import show_answer, show_array

    document: dict[str, Any] = {"bundle": str(options.bundle), "task": model.task, "results": []}
    if model.task == "tensors" and options.file and not options.text:
        outputs = answer_arrays(model, options.file)
        document["outputs"] = {name: array.tolist() for name, array in outputs.items()}
        lines = [show_array(name, array) for name, array in outputs.items()]
    else:
        document["results"] = answer_texts(model, _texts(options, model.task))
        lines = [line for result in document["results"] for line in show_answer(result)]
        cut = sum(result["truncated"] for result in document["results"])
        if cut and model.tokenizer:
            limit = model.tokenizer.max_length
            sys.stderr.write(f"warning: cut to {limit} tokens: {cut} of {len(document['results'])} texts\n")
    if options.json:
        _print(document)
    else:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()


def _texts(options: argparse.Namespace, task: str) -> list[str]:
    from .answer import read_lines

    if options.text and options.file:
        raise UsageError("--text and --file exclude each other")
    if options.text:
        return list(options.text)
    if options.file:
        try:
            return read_lines(options.file.read_bytes(), str(options.file))
        except OSError as error:
            raise UsageError(f"{options.file} cannot be read: {error.strerror}") from None
    if sys.stdin is None or sys.stdin.isatty():
        wanted = "--file inputs.npz" if task == "tensors" else "--text '…', --file F, or texts on stdin"
        raise UsageError("there is nothing to run on", wanted)
    return read_lines(sys.stdin.buffer.read(), "stdin")


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()
