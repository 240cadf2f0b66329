"""The JSON schema that an answer is held to, as a caller gives it: a mapping, its text, or a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import UsageError

ANY_OBJECT = '{"type":"object"}'
MAX_BYTES = 1 << 20

JsonSchema = Mapping[str, Any] | str | Path | bool
"""True: any JSON object. A str is the schema's text, a Path its file."""


def read_json_schema(given: JsonSchema) -> str:
    """The schema's text. Raises UsageError where it is no JSON object, too long, or the file cannot be read."""
    if given is True:
        return ANY_OBJECT
    if isinstance(given, Path):
        return _checked(_read(given), str(given))
    if isinstance(given, str):
        return _checked(given, "the JSON schema")
    if not isinstance(given, Mapping):
        raise UsageError(f"a JSON schema must be a mapping or a JSON text, not {given!r:.60}")
    try:
        return _checked(json.dumps(dict(given), allow_nan=False), "the JSON schema")
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the JSON schema cannot be written as JSON: {error}") from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as source:
            return source.read(MAX_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "--json-schema names a file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: byte {error.start}") from None


def _checked(text: str, where: str) -> str:
    if len(text) > MAX_BYTES:
        raise UsageError(f"{where} has more than {MAX_BYTES:,} bytes")
    try:
        schema = json.loads(text)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is no JSON: {error}") from None
    if not isinstance(schema, dict):
        raise UsageError(f"{where} is no JSON object but a {type(schema).__name__}", '{"type": "object"} takes any')
    return text
