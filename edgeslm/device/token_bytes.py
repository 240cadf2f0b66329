"""What each token adds to a text, in bytes: a token may be less than a character."""

from __future__ import annotations

from .text_stream import REPLACEMENT
from .tokenizer import Tokenizer

_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN = [byte for byte in range(256) if byte not in _VISIBLE]
_LETTERS = {byte: byte for byte in _VISIBLE} | {256 + place: byte for place, byte in enumerate(_HIDDEN)}
"""How byte-level tokenizers write bytes as characters (bytes_to_unicode of GPT-2): code point -> byte."""
_SPACE = "\u0120"  # theirs for a space


def token_bytes(tokenizer: Tokenizer, count: int) -> list[bytes]:
    """For each id below `count`, what it adds to a text that has begun. Joined, that is what the text reads.

    Empty for special tokens, for ids without a token, and for a token whose text cannot be told. The first token of a
    text may lose the space it begins with.
    """
    space = tokenizer.token_id(_SPACE)
    if space is not None and tokenizer.decode([space]) == " ":
        found = [_spelled(tokenizer.token(number) or "") for number in range(count)]
    else:
        found = _in_context(tokenizer, count)
    for number in tokenizer.special_ids:
        if number < count:
            found[number] = b""
    return found


def _spelled(token: str) -> bytes:
    """A byte-level token. One that was added may be plain text: then it has characters that spell no byte."""
    letters = [_LETTERS.get(ord(letter)) for letter in token]
    return token.encode() if None in letters else bytes(letters)  # type: ignore[arg-type]  # no None is left


def _in_context(tokenizer: Tokenizer, count: int) -> list[bytes]:
    """Every token decoded behind another one, which takes what a decoder does to a text's beginning."""
    alone = tokenizer.decode_each([[number] for number in range(count)])
    first = next((number for number, text in enumerate(alone) if text.isascii() and text.isalpha()), None)
    if first is None:
        return [b""] * count
    begun = len(alone[first])
    texts = tokenizer.decode_each([[first, number] for number in range(count)])
    # A byte of a character decodes to U+FFFD; those tokens whose bytes are known come below.
    found = [b"" if REPLACEMENT in text else text[begun:].encode() for text in texts]
    for number, byte in tokenizer.byte_ids.items():
        if number < count:
            found[number] = bytes([byte])
    return found
