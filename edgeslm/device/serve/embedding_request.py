"""What a request for embeddings asks for, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fields import Fields, checked_text
from .refusal import wrong

MOST_INPUTS = 2048
"""OpenAI's own limit."""

_KNOWN = ("model", "input", "encoding_format", "dimensions", "truncate", "user")


@dataclass(frozen=True)
class EmbeddingRequest:
    """`base64`: vectors as the bytes of little-endian float32, which is what the openai package asks for."""

    texts: list[str]
    base64: bool
    truncate: bool
    dimensions: int | None


def read_embedding(document: Mapping[str, Any]) -> EmbeddingRequest:
    """A request for /v1/embeddings. Raises RefusalError (400)."""
    fields = Fields(document)
    fields.refuse_misspelt(_KNOWN, {})
    encoding = fields.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise wrong("encoding_format", f"encoding_format is {encoding!r:.60}; it must be float or base64")
    return EmbeddingRequest(
        _texts(fields.get("input")), encoding == "base64", fields.flag("truncate"), fields.whole("dimensions", None, 1)
    )


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise wrong("input", "input must be a string or a list of at least one")
    if len(texts) > MOST_INPUTS:
        raise wrong("input", f"input has {len(texts)} texts; at most {MOST_INPUTS} go into one request")
    if any(isinstance(text, (int, list)) for text in texts):
        raise wrong("input", "input must be text: token ids of another tokenizer mean nothing to this model")
    for number, text in enumerate(texts):
        if not checked_text(f"input[{number}]", text):
            raise wrong("input", f"input[{number}] is empty")
    return texts
