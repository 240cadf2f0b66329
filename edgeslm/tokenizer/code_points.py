"""What Hugging Face's tokenizers makes of each code point, asked of the library itself.

It links several Unicode tables of different versions, and Python's unicodedata has yet another. A table that is to
give the same ids holds what the library answers, not what a standard says.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import InternalError
from edgeslm.tokenizer.specification import MapSource, SetSource

END: Final = 0x110000
"""One more than the last code point."""
HANGUL: Final = range(0xAC00, 0xAC00 + 11172)
"""Syllables, which decompose by arithmetic."""
_SEPARATOR = "\u0e01"  # THAI KO KAI: every map leaves it alone, and none gives it

Members = NDArray[np.bool_]
"""One truth for each sample."""


@functools.cache
def sample_starts() -> NDArray[np.uint32]:
    """The code points asked about; each stands for those up to the next.

    Every code point that any version of Unicode has assigned or soon may, and then one for each of the uniform
    stretches behind them: unassigned planes, private use, the last two of each plane, which are no characters.
    """
    stretches = {start + offset for start in range(0x40000, END, 0x10000) for offset in (0, 0x1000, 0xFFFE, 0xFFFF)}
    behind = sorted({*range(0xE0000, 0xE1000)} | stretches)
    return np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x40000), np.array(behind)]).astype(np.uint32)


@functools.cache
def _starts() -> list[int]:
    """The same as Python's numbers. Made where a table is asked for: most commands ask for none."""
    starts: list[int] = sample_starts().tolist()
    return starts


@functools.cache
def _all() -> str:
    return "".join(map(chr, _starts()))


def stop_of(sample: int) -> int:
    """The first code point that a sample does not stand for."""
    starts = _starts()
    place = bisect_right(starts, sample)
    return starts[place] if place < len(starts) else END


@functools.cache
def members(source: SetSource) -> Members:
    """Which samples are in a set."""
    kind, _, name = source.partition(":")
    if kind == "onig":
        return ~_is_in(_without(name))
    if name == "white_space":
        return ~_is_in("".join(_pieces("WhitespaceSplit")))
    if name == "punctuation":
        return ~_is_in("".join(_pieces("Punctuation", "removed")))
    if name == "numeric":
        # Stretches of numbers and of others take turns; U+0000 is no number.
        return _is_in("".join(_pieces("Digits", False)[1::2]))
    words = [piece for piece in _pieces("Whitespace") if len(_pieces("Whitespace", text="a" + piece[0])) == 1]
    others = [piece for piece in _pieces("Whitespace") if len(_pieces("Whitespace", text="a" + piece[0])) == 2]
    if name == "word":
        return _is_in("".join(words))
    if name == "other":
        return _is_in("".join(others))
    if name == "space":
        return ~_is_in("".join(words + others))
    raise InternalError(f"no such set of code points: {source}")


def _without(pattern: str) -> str:
    from tokenizers import Regex, normalizers

    text: str = normalizers.Replace(Regex(pattern), "").normalize_str(_all())
    return text


def _pieces(kind: str, *settings: object, text: str | None = None) -> list[str]:
    from tokenizers import pre_tokenizers

    splitter: Any = getattr(pre_tokenizers, kind)(*settings)
    return [piece for piece, _ in splitter.pre_tokenize_str(_all() if text is None else text)]


def _is_in(text: str) -> Members:
    return np.isin(sample_starts(), np.frombuffer(text.encode("utf-32-le"), np.uint32))


@functools.cache
def mapped(source: MapSource) -> dict[int, str]:
    """Sample -> what it becomes, for those that do not stay as they are."""
    asked = zip(_starts(), _all(), _apply(source, _all()), strict=True)
    return {sample: became for sample, character, became in asked if became != character}


def _apply(source: str, texts: Iterable[str]) -> list[str]:
    """What a normalizer makes of each text that holds no separator."""
    texts = list(texts)
    normalized: str = _normalizer(source).normalize_str(_SEPARATOR.join(texts))
    results = normalized.split(_SEPARATOR)
    if source == "bert_accents":  # it decomposes what it takes the accents from; the map is of those alone
        decomposed = _apply("NFD", texts)
        results = [
            result if plain == text else text
            for text, plain, result in zip(texts, decomposed, _split_at_itself(results, texts), strict=True)
        ]
    return _split_at_itself(results, texts)


def _split_at_itself(results: list[str], texts: list[str]) -> list[str]:
    """The separator as a text of its own left two empty results, or is whole already."""
    if len(results) == len(texts):
        return results
    place = texts.index(_SEPARATOR)
    if len(results) != len(texts) + 1 or results[place] or results[place + 1]:
        raise InternalError("a normalizer of tokenizers changes THAI KO KAI, or makes it of something else")
    return [*results[:place], _SEPARATOR, *results[place + 2 :]]


def _normalizer(source: str) -> Any:
    from tokenizers import normalizers

    plain = {"NFD": "NFD", "NFKD": "NFKD", "NFC": "NFC", "lowercase": "Lowercase", "strip_accents": "StripAccents"}
    if source in plain:
        return getattr(normalizers, plain[source])()
    if source == "nmt":
        return normalizers.Nmt()
    return normalizers.BertNormalizer(
        clean_text=source == "bert_clean",
        handle_chinese_chars=source == "bert_ideographs",
        strip_accents=source == "bert_accents",
        lowercase=False,
    )


@functools.cache
def compositions() -> dict[tuple[int, int], int]:
    """(first, second) -> what they compose to, Hangul left out."""
    decomposed = {cp: text for cp, text in mapped("NFD").items() if len(text) > 1 and cp not in HANGUL}
    composed = _apply("NFC", map(chr, decomposed))
    primary = [(cp, decomposed[cp]) for cp, text in zip(decomposed, composed, strict=True) if text == chr(cp)]
    heads = _apply("NFC", (text[:-1] for _, text in primary))
    pairs: dict[tuple[int, int], int] = {}
    for (composite, text), head in zip(primary, heads, strict=True):
        if len(head) != 1:
            raise InternalError(f"U+{composite:04X} composes of more than two characters")
        pairs[ord(head), ord(text[-1])] = composite
    return pairs


@functools.cache
def combining_classes() -> dict[int, int]:
    """Code point -> its canonical combining class, for those that have one and do not decompose.

    The library tells only which of two marks comes first, so each is set against one of every class that there is.
    """
    lowest, highest = chr(0x334), chr(0x345)  # of the classes 1 and 240, in every version of Unicode
    plain = [cp for cp in _starts() if cp not in mapped("NFD") and chr(cp) != _SEPARATOR]
    after = _apply("NFD", (chr(cp) + lowest for cp in plain))
    before = _apply("NFD", (highest + chr(cp) for cp in plain))
    moved = [
        cp
        for cp, left, right in zip(plain, after, before, strict=True)
        if left[0] != chr(cp) or right[0] != highest or cp in (0x334, 0x345)
    ]
    marks: dict[int, int] = {}
    for cp in moved:
        marks.setdefault(unicodedata.combining(chr(cp)), cp)
    classes = sorted(set(marks) - {0})
    pairs = list(itertools.product(moved, classes))
    first = _apply("NFD", (chr(cp) + chr(marks[number]) for cp, number in pairs))
    second = _apply("NFD", (chr(marks[number]) + chr(cp) for cp, number in pairs))
    found = {
        cp: number
        for (cp, number), left, right in zip(pairs, first, second, strict=True)
        if left[0] == chr(cp) and right[0] == chr(marks[number])
    }
    if set(found) != set(moved):
        raise InternalError("a combining mark of a class that no other mark has")
    return found
