"""The model's part of a table: tokens by id and by their bytes, merges, scores, and how words are to be read."""

from __future__ import annotations

import struct
from typing import Final

from edgeslm.errors import UnsupportedError
from edgeslm.tokenizer.classes import Classes
from edgeslm.tokenizer.specification import BytePairs, Specification, Unigrams, WordPieces
from edgeslm.tokenizer.text_pool import TextPool

NONE: Final = 0xFFFFFFFF
"""In place of an id or an offset: there is none."""
_UNKNOWN_PENALTY = 10.0  # of SentencePiece and of tokenizers
_MOST_IDS = 1 << 24

# The printable bytes stand for themselves in a byte-level vocabulary, the others for characters from U+0100 on.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
BYTE_OF: Final = {chr(byte): byte for byte in _PRINTABLE} | {
    chr(0x100 + place): byte for place, byte in enumerate(_OTHERS)
}


def token_bytes(token: str, byte_level: bool) -> bytes:
    """A token as decoders get it: the bytes it stands for where tokens are bytes, if it is made of such characters."""
    if byte_level and all(character in BYTE_OF for character in token):
        return bytes(BYTE_OF[character] for character in token)
    return token.encode()


def vocabulary_sections(specification: Specification, classes: Classes, pool: TextPool) -> dict[str, bytes]:
    """MODL, TOKI, TOKT and TOKS; BYTE, MRGL and MRGE, or SCOR, where the model has them. Raises UnsupportedError."""
    model = specification.model
    if isinstance(model, Unigrams):
        tokens = dict(enumerate(token for token, _ in model.pieces))
        searched = {token: number for number, token in tokens.items()}
    else:
        searched = model.vocabulary
        tokens = {number: token for token, number in searched.items()}
    count = max(tokens, default=-1) + 1
    if count > _MOST_IDS:
        raise UnsupportedError(f"model.vocab: a token has id {count - 1:,}; a table holds ids below {_MOST_IDS:,}")
    texts = [token_bytes(tokens.get(number, ""), specification.byte_level) for number in range(count)]
    merges = model.merges if isinstance(model, BytePairs) else ()
    width = 2 if max(count, len(merges)) <= 0xFFFF else 4
    sections = _tokens(texts, searched, specification.byte_level, width)
    kind, flags, longest, prefix, score_width, unknown_score = 1, 0, 0, NONE, 0, 0.0
    if isinstance(model, BytePairs):
        flags = model.byte_fallback | model.fuse_unknown << 1 | model.ignore_merges << 2
        sections |= _merges(model, count, width)
    elif isinstance(model, WordPieces):
        kind, longest, prefix = 2, model.longest_word, pool.add(model.prefix.encode())
    else:
        kind, flags = 3, int(model.byte_fallback)
        scores = [score for _, score in model.pieces]
        unknown_score = min(scores) - _UNKNOWN_PENALTY
        # Single precision only where it says the same: a rounded score could prefer another of two likely sequences.
        score_width = 4 if all(struct.unpack("<f", struct.pack("<f", score))[0] == score for score in scores) else 8
        sections["SCOR"] = struct.pack(f"<{count}{'f' if score_width == 4 else 'd'}", *scores)
    if specification.byte_level:
        character_of = {byte: character for character, byte in BYTE_OF.items()}
        sections["BYTE"] = _ids(*(searched.get(character_of[byte], NONE) for byte in range(256)))
    elif flags & 1:
        sections["BYTE"] = _ids(*(searched.get(f"<0x{byte:02X}>", NONE) for byte in range(256)))
    flags |= specification.byte_level << 3
    unknown = NONE if model.unknown is None else model.unknown
    masks = (classes.masks.get("rust:space", 0), classes.masks.get("rust:word", 0))
    numbers = (count, unknown, longest, prefix, *masks, 0)
    return sections | {"MODL": struct.pack("<BBBBIIIIIIId", kind, flags, width, score_width, *numbers, unknown_score)}


def _ids(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _tokens(texts: list[bytes], searched: dict[str, int], byte_level: bool, width: int) -> dict[str, bytes]:
    offsets, at = [0], 0
    for text in texts:
        at += len(text)
        offsets.append(at)
    # A byte-level word is never a token that is no bytes, though that one's own bytes may look like the word's.
    found = [number for token, number in searched.items() if not byte_level or set(token) <= BYTE_OF.keys()]
    found.sort(key=lambda number: texts[number])
    order = struct.pack(f"<{len(found)}{_letter(width)}", *found)
    return {"TOKI": _ids(*offsets), "TOKT": b"".join(texts), "TOKS": order}


def _merges(model: BytePairs, count: int, width: int) -> dict[str, bytes]:
    """Each left id's merges lie together, in order of the right id."""
    rules = {(left, right): (rank, merged) for rank, (left, right, merged) in enumerate(model.merges)}
    starts = [0] * (count + 1)
    for left, _ in rules:
        starts[left + 1] += 1
    for number in range(count):
        starts[number + 1] += starts[number]
    layout = f"<3{_letter(width)}"
    entries = [struct.pack(layout, right, *rule) for (_, right), rule in sorted(rules.items())]
    return {"MRGL": _ids(*starts), "MRGE": b"".join(entries)}


def _letter(width: int) -> str:
    return "H" if width == 2 else "I"
