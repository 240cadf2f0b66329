"""A language model on the command line: answers as they come, and chats of several turns."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from .errors import UsageError
from .generate import Finish, Generation
from .model import Model
from .prompt_options import PromptOption

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def require_fitting_options(
    model: Model, text: bool, file: bool, prompt: bool, options: Iterable[PromptOption]
) -> None:
    """Raise UsageError where options were given that this model has no use for."""
    for_texts = ["--text"] * text + ["--file"] * file
    for_prompts = ["--prompt"] * prompt + [option.flag for option in options]
    if model.task == "generation" and for_texts:
        raise UsageError(f"{model.name} generates text: {for_texts[0]} is for other models", "--prompt '…'")
    if model.task != "generation" and for_prompts:
        instead = "--file inputs.npz" if model.task == "tensors" else "--text '…'"
        raise UsageError(f"{model.name} does {model.task}: {for_prompts[0]} is for language models", f"use {instead}")


def run_prompt(
    model: Model, prompt: str | None, options: Mapping[str, Any], silent: bool
) -> tuple[dict[str, Any] | None, int]:
    """Answer a prompt, or the one on stdin; without one, and with `chat`, converse on the terminal.

    The answer goes to stdout as it comes, unless `silent`. Returns the answer as plain JSON data (None after a chat)
    and the exit status.
    """
    sink = sys.stdout
    if isinstance(sink, io.TextIOWrapper):
        sink.reconfigure(errors="replace")  # a model writes what a Latin-1 terminal cannot show
    if options.get("chat") and prompt is None and not silent and sys.stdin is not None and sys.stdin.isatty():
        return None, converse(model, {name: value for name, value in options.items() if name != "chat"}, sink)
    asked = read_prompt() if prompt is None else prompt
    answer = model.generate(asked, **options)
    if answer.cut:
        sys.stderr.write(f"warning: the prompt's first {answer.cut} tokens were cut; {len(answer.prompt)} are left\n")
    status = write_pieces(answer, None if silent else sink)
    finish = answer.finish
    assert finish is not None
    if not answer.fits:
        sys.stderr.write(f"warning: {_cut(finish)}\n")
    return {
        "prompt": asked,
        "text": answer.text,
        "tokens": answer.tokens,
        "finish_reason": finish.reason,
        "prompt_tokens": finish.prompt_tokens,
        "generated_tokens": finish.generated_tokens,
    }, status


def write_pieces(answer: Generation, sink: TextIO | None) -> int:
    """Compute an answer and write it as it comes, and a line's end; the exit status.

    Ctrl-C ends the answer: what came stays.
    """
    steerable = sink is not None and sink.isatty()
    status = 0
    try:
        for piece in answer:
            if sink is not None and piece.text:
                # A model's words must not steer a terminal; into a file they go as they are.
                sink.write(piece.text.translate(_CONTROLS) if steerable else piece.text)
                sink.flush()
    except KeyboardInterrupt:
        answer.close()
        status = INTERRUPTED
    if sink is not None:
        sink.write("\n")
        sink.flush()
    return status


def converse(model: Model, options: Mapping[str, Any], sink: TextIO, ask: Callable[[str], str] = input) -> int:
    """A chat on a terminal; the exit status. An empty line or Ctrl-D ends it.

    Ctrl-C ends the answer under way, and where there is none, the chat. Mistakes are told, and the chat goes on.
    """
    _edit_lines()
    sys.stderr.write("an empty line or Ctrl-D ends the chat, Ctrl-C an answer\n")
    conversation = model.conversation()
    while True:
        try:
            said = ask("> ")
            if not said.strip():
                return 0
            answer = conversation.say(said, **options)
        except EOFError:
            sink.write("\n")
            return 0
        except KeyboardInterrupt:
            sink.write("\n")
            return INTERRUPTED
        except UnicodeDecodeError as error:
            sys.stderr.write(f"error: the line is not UTF-8: byte {error.start}\n")
            continue
        except UsageError as error:
            sys.stderr.write(f"error: {error.message}" + (f" -> {error.hint}\n" if error.hint else "\n"))
            continue
        write_pieces(answer, sink)
        if answer.finish is not None and not answer.fits:
            sys.stderr.write(f"warning: {_cut(answer.finish)}\n")
        if answer.finish is not None and answer.finish.reason == "context":
            sys.stderr.write("the context is full: --truncate forgets the chat's beginning\n")


def read_prompt() -> str:
    """The prompt on stdin, but for its last line's end. Raises UsageError on a terminal, and where it is no UTF-8."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("there is no prompt", "--prompt '…', or --chat, or pipe a prompt in")
    content = sys.stdin.buffer.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"stdin is not UTF-8: byte {error.start}") from None
    return text.removesuffix("\n").removesuffix("\r")


def _cut(finish: Finish) -> str:
    """Why an answer is no whole document, and what helps."""
    ended = {"length": "at --max-tokens", "context": "where the context was full", "stop": "at a stop string"}
    hint = ": --max-tokens allows more" if finish.reason == "length" else ""
    return f"the answer was cut {ended.get(finish.reason, 'by Ctrl-C')} and is no whole JSON document{hint}"


def _edit_lines() -> None:
    """Let a terminal's line be edited, where Python was built with that."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # input() uses it once it is there
