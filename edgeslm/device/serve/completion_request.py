"""What a request for a chat or a completion asks for, checked field by field."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .fields import Fields, checked_text
from .refusal import RefusalError, wrong

COMPLETION_TOKENS = 16
"""The default for completions, OpenAI's own; a chat's answer ends where the model ends it."""
MOST_STOPS = 16

_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "logit_bias": ({},),
    "tools": ([],),
    "functions": ([],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "modalities": (["text"],),
}
"""Fields of OpenAI's that would change the answer, with the values that do not."""
_READ = (
    "model", "messages", "prompt", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature",
    "top_p", "top_k", "min_p", "repetition_penalty", "seed", "stop", "truncate", "response_format",
)  # fmt: skip
_HARMLESS = ("user", "metadata", "store", "tool_choice", "parallel_tool_calls", "service_tier", "reasoning_effort")
_FOREIGN = {"repeat_penalty": "repetition_penalty", "n_predict": "max_tokens"}
"""llama.cpp's names."""
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""Chat templates know system; OpenAI renamed it to developer."""


@dataclass(frozen=True)
class CompletionRequest:
    """`prompt` is a text, or a chat's messages. `options` are Model.generate's."""

    prompt: str | list[dict[str, str]]
    options: dict[str, Any]
    stream: bool
    include_usage: bool


def read_chat(document: Mapping[str, Any], most: int | None) -> CompletionRequest:
    """A request for /v1/chat/completions. `most`: tokens that an answer may have. Raises RefusalError (400)."""
    fields = _checked(document)
    given = fields.get("messages")
    if not isinstance(given, list) or not given:
        raise wrong("messages", "messages must be a list of at least one message")
    messages = [_message(f"messages[{number}]", message) for number, message in enumerate(given)]
    named = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
    return _request(fields, messages, _max_tokens(fields, named, None, most))


def read_completion(document: Mapping[str, Any], most: int | None) -> CompletionRequest:
    """A request for /v1/completions. Raises RefusalError (400)."""
    fields = _checked(document)
    given = fields.get("prompt")
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
        given = given[0]
    if isinstance(given, list):
        raise wrong("prompt", "prompt must be one string: send a request for each, and text instead of token ids")
    prompt = "" if given is None else checked_text("prompt", given)
    return _request(fields, prompt, _max_tokens(fields, "max_tokens", COMPLETION_TOKENS, most))


def _checked(document: Mapping[str, Any]) -> Fields:
    fields = Fields(document)
    fields.refuse_unsupported(_UNSUPPORTED)
    fields.refuse_misspelt((*_READ, *_UNSUPPORTED, *_HARMLESS), _FOREIGN)
    return fields


def _max_tokens(fields: Fields, name: str, default: int | None, most: int | None) -> int | None:
    """None: as many as the context holds."""
    asked = fields.whole(name, None, 1)
    if asked is None:
        return min((limit for limit in (default, most) if limit is not None), default=None)
    if most is not None and asked > most:
        raise wrong(name, f"{name} is {asked}; this server gives at most {most} tokens")
    return asked


def _request(fields: Fields, prompt: str | list[dict[str, str]], max_tokens: int | None) -> CompletionRequest:
    stream = fields.flag("stream")
    seed = fields.whole("seed")
    options: dict[str, Any] = {
        "temperature": fields.number("temperature", 1.0, 0),
        "top_p": fields.number("top_p", 1.0, 0, 1),
        "top_k": fields.whole("top_k", 0, 0),
        "min_p": fields.number("min_p", 0.0, 0, 1),
        "repetition_penalty": fields.number("repetition_penalty", 1.0, 0),
        "seed": secrets.randbits(63) if seed is None else seed % 2**64,
        "stop": _stops(fields.get("stop")),
        "truncate": fields.flag("truncate"),
    }
    if max_tokens is not None:
        options["max_tokens"] = max_tokens
    schema = _json_schema(fields.get("response_format"))
    if schema is not None:
        options["json_schema"] = schema
    return CompletionRequest(prompt, options, stream, _include_usage(fields.get("stream_options"), stream))


def _stops(given: Any) -> list[str]:
    stops = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(stops, list) or len(stops) > MOST_STOPS:
        raise wrong("stop", f"stop must be a string or a list of at most {MOST_STOPS}")
    if "" in stops:
        raise wrong("stop", "a stop string is empty")
    return [checked_text(f"stop[{number}]", stop) for number, stop in enumerate(stops)]


def _include_usage(given: Any, stream: bool) -> bool:
    if given is None:
        return False
    if not stream:
        raise wrong("stream_options", "stream_options is for requests with stream true")
    if not isinstance(given, dict):
        raise wrong("stream_options", "stream_options must be an object")
    return Fields(given).flag("include_usage")


def _json_schema(given: Any) -> dict[str, Any] | Literal[True] | None:
    """Of a response_format: the schema, True for any JSON object, None for plain text."""
    if given is None:
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return True
    if kind != "json_schema":
        raise wrong("response_format", "response_format.type must be text, json_object or json_schema")
    described = given.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        raise wrong("response_format", "response_format.json_schema.schema must be a JSON schema, an object")
    return schema


def _message(name: str, given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise wrong(name, f"{name} must be an object with role and content")
    role = given.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise wrong(f"{name}.role", f"{name}.role is {role!r:.60}; it must be one of {', '.join(_ROLES)}")
    if given.get("tool_calls") or given.get("function_call"):
        raise _no_tools(name)
    return {"role": _ROLES[role], "content": _content(f"{name}.content", given.get("content"))}


def _content(name: str, given: Any) -> str:
    """A text, or a list of parts that are texts."""
    if not isinstance(given, list):
        return checked_text(name, given)
    texts = []
    for number, part in enumerate(given):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise wrong(f"{name}[{number}]", f"{name}[{number}] is no text part: the model reads text alone")
        texts.append(checked_text(f"{name}[{number}].text", part.get("text")))
    return "".join(texts)


def _no_tools(name: str) -> RefusalError:
    return wrong(name, f"{name} calls a tool: tools are not supported", "unsupported_parameter")
