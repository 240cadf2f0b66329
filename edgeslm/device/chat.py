"""A chat's messages as the text that a checkpoint was trained on: its own chat template, in Jinja2."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import BundleError, MissingPackageError, UsageError

SAFE_JINJA = (3, 1, 6)
"""Earlier ones let a template out of its sandbox (CVE-2025-27516)."""


class ChatTemplate:
    """A template's source, compiled in a sandbox with what transformers offers templates.

    `special` are the special tokens a template may name, such as {"bos_token": "<s>"}; None is left undefined.
    Raises MissingPackageError without jinja2, BundleError where the source is no template.
    """

    def __init__(self, source: str, special: Mapping[str, str | None]) -> None:
        jinja2 = _jinja2()
        self._special = {name: token for name, token in special.items() if token is not None}
        try:
            self._template: Any = _environment().from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise BundleError(f"the chat template cannot be read: line {error.lineno}: {error.message}") from None

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The prompt for the next answer of the assistant, special tokens written out.

        A message has a `role` and a `content`. Raises UsageError where the template refuses the messages, BundleError
        where it fails.
        """
        given = [_checked(message) for message in messages]
        if not given:
            raise UsageError("there is no message", "a chat needs at least one: {'role': 'user', 'content': '…'}")
        try:
            text: str = self._template.render(
                messages=given, tools=None, documents=None, add_generation_prompt=True, **self._special
            )
        except _RefusedError as error:
            raise UsageError(f"the chat template refuses these messages{_line(error)}: {error}") from None
        except Exception as error:  # whatever the template's expressions meet
            raise BundleError(
                f"the chat template fails{_line(error)}: {type(error).__name__}: {error}",
                "without a chat (no --chat) the model takes the prompt as it is",
            ) from None
        return text


class _RefusedError(Exception):
    """The template called raise_exception."""


def _jinja2() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise MissingPackageError("jinja2", "a chat") from error
    version = tuple(int(part) if part.isdigit() else 0 for part in jinja2.__version__.split(".")[:3])
    if version < SAFE_JINJA:
        wanted = ".".join(map(str, SAFE_JINJA))
        raise MissingPackageError("jinja2", f"a chat (from {wanted} on; {jinja2.__version__} is here)")
    return jinja2


def _environment() -> Any:
    """Where templates of transformers feel at home."""
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class GenerationBlocks(Extension):
        """{% generation %} marks the assistant's words for training; here only its content counts."""

        tags = {"generation"}  # noqa: RUF012  # as jinja2 declares it

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlocks, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Without the escapes for HTML that Jinja2's own filter writes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> None:
    raise _RefusedError(message)


def _checked(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message in a dict of its own."""
    if not isinstance(message, Mapping) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
        raise UsageError(
            f"a message is no mapping with a role and a content: {message!r:.80}",
            "{'role': 'user', 'content': '…'}",
        )
    return dict(message)


def _line(error: BaseException) -> str:
    """Where in the template: Jinja2 makes its lines those of the traceback."""
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return "" if line is None else f" in line {line}"
