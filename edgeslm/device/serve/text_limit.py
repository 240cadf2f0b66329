"""Texts that are too long to look at: turning a text into tokens keeps every other request waiting."""

from __future__ import annotations

from .refusal import wrong

BYTES_PER_TOKEN = 64
"""A text with more bytes for each token that the model reads is refused unseen. Prose has about 4; runs of spaces and
dashes, which tokenizers have tokens for, rarely above 32."""


def require_plausible(param: str, text: str, tokens: int) -> None:
    """Raises RefusalError (400) for a text of which `tokens` tokens would be a small part."""
    count = len(text.encode())
    if count > BYTES_PER_TOKEN * tokens:
        raise wrong(
            param,
            f"{param} has {count:,} bytes, which is more than the {tokens} tokens that are read can be",
            "context_length_exceeded",
        )
