"""The normalizer, pre-tokenizer and decoder of a tokenizer.json, brought down to the specification's steps."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

from edgeslm.errors import UnsupportedError
from edgeslm.tokenizer.pattern import GPT2, literal, parse_pattern, single
from edgeslm.tokenizer.specification import (
    UNLIMITED,
    Behavior,
    CharacterMap,
    Charsmap,
    Choice,
    Compose,
    DecoderStep,
    FallbackBytes,
    Fuse,
    JoinBytes,
    JoinWordPieces,
    Prefix,
    Reorder,
    ReplaceInPieces,
    Run,
    Spaces,
    Split,
    Step,
    Strip,
    StripPieces,
    Substitute,
    TextStep,
)

_BEHAVIORS: dict[str, Behavior] = {
    "Removed": "removed",
    "Isolated": "isolated",
    "Contiguous": "contiguous",
    "MergedWithPrevious": "merged_with_previous",
    "MergedWithNext": "merged_with_next",
}
_FORMS: dict[str, tuple[TextStep, ...]] = {
    "NFD": (CharacterMap("NFD"), Reorder()),
    "NFKD": (CharacterMap("NFKD"), Reorder()),
    "NFC": (CharacterMap("NFD"), Reorder(), Compose()),
    "NFKC": (CharacterMap("NFKD"), Reorder(), Compose()),
    "Lowercase": (CharacterMap("lowercase"),),
    "StripAccents": (CharacterMap("strip_accents"),),
    "Nmt": (CharacterMap("nmt"),),
}


def read_normalizer(part: dict[str, Any] | None) -> tuple[TextStep, ...]:
    """Raises UnsupportedError."""
    if part is None:
        return ()
    kind = part["type"]
    if kind == "Sequence":
        return tuple(step for inner in part["normalizers"] for step in read_normalizer(inner))
    if kind in _FORMS:
        return _FORMS[kind]
    if kind == "BertNormalizer":
        return _bert_normalizer(part)
    if kind == "Strip":
        return (Strip(part["strip_left"], part["strip_right"]),)
    if kind == "Prepend":
        return (Prefix(part["prepend"]),)
    if kind == "Replace":
        return (Substitute(_pattern(part["pattern"], "normalizer: Replace"), part["content"]),)
    if kind == "Precompiled":
        return (_charsmap(base64.b64decode(part["precompiled_charsmap"])),)
    raise UnsupportedError(f"normalizer: {kind}")


def _bert_normalizer(part: dict[str, Any]) -> tuple[TextStep, ...]:
    steps: list[TextStep] = []
    if part["clean_text"]:
        steps.append(CharacterMap("bert_clean"))
    if part["handle_chinese_chars"]:
        steps.append(CharacterMap("bert_ideographs"))
    if part["lowercase"] if part["strip_accents"] is None else part["strip_accents"]:
        steps += [CharacterMap("NFD"), Reorder(), CharacterMap("bert_accents")]
    if part["lowercase"]:
        steps.append(CharacterMap("lowercase"))
    return tuple(steps)


def _charsmap(content: bytes) -> Charsmap:
    """SentencePiece's blob: size of the trie in bytes, the trie, the replacements."""
    size = struct.unpack_from("<I", content)[0] if len(content) >= 4 else 0
    if size % 4 or not 0 < size <= len(content) - 4:
        raise UnsupportedError("normalizer: Precompiled with a charsmap that is none")
    return Charsmap(content[4 : 4 + size], content[4 + size :])


def _pattern(part: dict[str, str], name: str) -> Choice:
    if "Regex" in part:
        return parse_pattern(part["Regex"], name)
    if not part["String"]:
        raise UnsupportedError(f"{name}: a pattern without characters")
    return literal(part["String"])


def read_pre_tokenizer(part: dict[str, Any] | None) -> tuple[tuple[Step, ...], bool]:
    """The steps, and whether words are bytes after them. Raises UnsupportedError."""
    if part is None:
        return (), False
    kind = part["type"]
    if kind == "Sequence":
        steps: list[Step] = []
        byte_level = False
        for inner in part["pretokenizers"]:
            if byte_level:
                raise UnsupportedError(f"pre_tokenizer: {inner['type']} after ByteLevel")
            more, byte_level = read_pre_tokenizer(inner)
            steps += more
        return tuple(steps), byte_level
    if kind == "ByteLevel":
        prefix = (Prefix(" ", unless_there=True),) * part["add_prefix_space"]
        split = (Split(parse_pattern(GPT2, "pre_tokenizer: ByteLevel"), "isolated"),) * part["use_regex"]
        return (*prefix, *split), True
    if kind not in _SPLITTERS:
        raise UnsupportedError(f"pre_tokenizer: {kind}")
    return _SPLITTERS[kind](part), False


def _metaspace(part: dict[str, Any]) -> tuple[Step, ...]:
    mark, scheme = part["replacement"], part["prepend_scheme"]
    steps: list[Step] = [Substitute(literal(" "), mark)]
    if scheme != "never":
        steps.append(Prefix(mark, unless_there=True, first=scheme == "first"))
    if part["split"]:
        steps.append(Split(literal(mark), "merged_with_next"))
    return tuple(steps)


def _split(part: dict[str, Any]) -> tuple[Step, ...]:
    pattern = _pattern(part["pattern"], "pre_tokenizer: Split")
    return (Split(pattern, _BEHAVIORS[part["behavior"]], part["invert"]),)


_WHITE_SPACE = Split(single("rust:white_space"), "removed")
_WORDS = Choice(tuple((Run(source, 1, UNLIMITED),) for source in ("rust:word", "rust:other")))

_SPLITTERS: dict[str, Callable[[dict[str, Any]], tuple[Step, ...]]] = {
    "Metaspace": _metaspace,
    "Split": _split,
    "BertPreTokenizer": lambda part: (_WHITE_SPACE, Split(single("rust:punctuation"), "isolated")),
    "WhitespaceSplit": lambda part: (_WHITE_SPACE,),
    "Whitespace": lambda part: (Split(_WORDS, "removed", inverted=True),),
    "CharDelimiterSplit": lambda part: (Split(literal(part["delimiter"]), "removed"),),
    "Punctuation": lambda part: (Split(single("rust:punctuation"), _BEHAVIORS[part["behavior"]]),),
    "Digits": lambda part: (Split(single("rust:numeric"), "isolated" if part["individual_digits"] else "contiguous"),),
}


def read_decoder(part: dict[str, Any] | None) -> tuple[DecoderStep, ...] | None:
    """Raises UnsupportedError."""
    if part is None:
        return None
    kind = part["type"]
    if kind == "Sequence":
        return tuple(step for inner in part["decoders"] for step in read_decoder(inner) or ())
    if kind == "WordPiece":
        return (JoinWordPieces(part["prefix"], part["cleanup"]),)
    if kind == "ByteLevel":
        return (JoinBytes(),)
    if kind == "ByteFallback":
        return (FallbackBytes(),)
    if kind == "Fuse":
        return (Fuse(),)
    if kind == "Strip":
        return (StripPieces(part["content"], part["start"], part["stop"]),)
    if kind == "Metaspace":
        return (Spaces(part["replacement"], part["prepend_scheme"] != "never"),)
    if kind == "Replace" and "String" in part["pattern"]:
        if not part["pattern"]["String"]:
            raise UnsupportedError("decoder: Replace: a pattern without characters")
        return (ReplaceInPieces(part["pattern"]["String"], part["content"]),)
    raise UnsupportedError(f"decoder: {kind}" + " with a regular expression" * (kind == "Replace"))
