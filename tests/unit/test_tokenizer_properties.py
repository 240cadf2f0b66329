"""The table against Hugging Face on texts and ids that hypothesis thinks of, and on every code point there is."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from edgeslm.device.errors import UsageError
from edgeslm.device.token_content import TokenContent
from edgeslm.device.token_pattern import Classes
from edgeslm.device.token_steps import TextSteps
from edgeslm.device.token_table import TokenTable
from tests.unit.tokenizer_examples import (
    GPT4,
    LLAMA3,
    O200K,
    byte_fallback,
    byte_level,
    compiled,
    precompiled,
    table_of,
    unigram,
    word_piece,
)


def _odd_added() -> Tokenizer:
    """Added tokens of every flag, found before and after a normalizer that changes them."""
    tokenizer = byte_fallback()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Lowercase()])
    flags: list[dict[str, bool]] = [
        {name: True, "normalized": normal}
        for name, normal in itertools.product(("single_word", "lstrip", "rstrip"), (False, True))
    ]
    tokenizer.add_tokens([AddedToken(f"T{place}", **flag) for place, flag in enumerate(flags)])
    tokenizer.add_special_tokens([AddedToken("<END>", normalized=True), AddedToken("<END><S>", normalized=False)])
    tokenizer.add_tokens([AddedToken("<EN", normalized=False, lstrip=True, rstrip=True)])
    return tokenizer


def _first() -> Tokenizer:
    """A mark before the text where nothing of its beginning was lost or made one."""
    tokenizer = byte_fallback()
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.Replace("ab", "c"),
            normalizers.Replace(Regex(" {2,}"), "  "),
            normalizers.NFC(),
        ]
    )
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte fallback": byte_fallback,
    "odd added tokens": _odd_added,
    "first": _first,
    "gpt2": functools.partial(byte_level, None),
    "llama3": functools.partial(byte_level, LLAMA3, ignore_merges=True, normalizer=normalizers.NFC()),
    "gpt4": functools.partial(byte_level, GPT4),
    "o200k": functools.partial(byte_level, O200K),
    "word piece": word_piece,
    "unigram": functools.partial(unigram, normalizers.NFKC(), bytes_too=True),
    "charsmap": lambda: unigram(normalizers.Sequence([precompiled(), normalizers.Replace(Regex(" {2,}"), " ")])),
}
FRAGMENTS = [
    *("<s>", "</s>", "<unk>", "<mask>", "<think>", "<END>", "<END><S>", "<END", "T0", "T3", "t1", "T2T4", "<0x41>"),
    *(
        "'s",
        "'S",
        "'ſ",
        "'ll",
        "'LL",
        "'x",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\u00a0",
        "\u3000",
        "▁",
        "##",
        "1234567",
        "½",
    ),
    *("e\u0301", "a\u0323\u0302", "a\u0302\u0323", "\u1100\u1161\u11a8", "각", "क्ष", "가\u0301", "İ", "ß", "ﬁ", "Å"),
    *(
        "©\u200d©\u0301",
        "क्\u200dष\u0301",
        "\u0600a",
        "👩\u200d👩",
        "🇩🇪",
        "한국",
        "日本",
        "Ǆ",
        "\x00",
        "\x7f",
        "\ufeff",
        "\ufffd",
    ),
    *("The", "king", "of", "don't", "HELLO", "x" * 30, "ab", "\x01", " Qqz"),
]
TEXTS = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=5)), max_size=10).map("".join)


@functools.cache
def _pair(kind: str) -> tuple[Tokenizer, TokenTable]:
    tokenizer = KINDS[kind]()
    return tokenizer, table_of(tokenizer)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(text=TEXTS)
def test_any_text_has_the_ids_and_the_text_of_hugging_face(kind: str, text: str) -> None:
    tokenizer, table = _pair(kind)
    ids = tokenizer.encode(text).ids
    assert table.encode(text) == ids
    for skip in (True, False):
        assert table.decode(ids, skip) == tokenizer.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", KINDS)
def test_every_id_has_the_text_of_hugging_face(kind: str) -> None:
    tokenizer, table = _pair(kind)
    for number, skip in itertools.product(range(tokenizer.get_vocab_size() + 2), (True, False)):
        pair = [number, number]
        assert table.decode(pair, skip) == tokenizer.decode(pair, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", ["first", "odd added tokens", "llama3"])
def test_fragments_at_the_beginning_of_a_text(kind: str) -> None:
    tokenizer, table = _pair(kind)
    for first, second in itertools.product(FRAGMENTS, repeat=2):
        assert table.encode(first + second) == tokenizer.encode(first + second).ids


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(ids=st.lists(st.integers(0, 2300), max_size=12))
def test_any_ids_have_the_text_of_hugging_face(kind: str, ids: list[int]) -> None:
    tokenizer, table = _pair(kind)
    for skip in (True, False):
        assert table.decode(ids, skip) == tokenizer.decode(ids, skip_special_tokens=skip)


# 64 neighbours at a time: what joins, composes or changes places with what stands beside it is among them.
CHUNKS = [
    "".join(chr(cp) for cp in range(start, start + 64))
    for start in itertools.chain(range(0, 0x3400, 64), range(0xA000, 0xD800, 64), range(0xE000, 0x20000, 64), [0xE0000])
]

NORMALIZERS: dict[str, Any] = {
    "NFD": normalizers.NFD(),
    "NFC": normalizers.NFC(),
    "NFKC": normalizers.NFKC(),
    "accents": normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]),
    "bert": normalizers.BertNormalizer(),
    "nmt": normalizers.Sequence([normalizers.Nmt(), normalizers.Strip(), normalizers.Replace("ab", "c")]),
    "charsmap": precompiled(),
}


def _bare() -> Tokenizer:
    return Tokenizer(models.Unigram([("<unk>", 0.0)], 0, False))


def _steps(tokenizer: Tokenizer, tag: str) -> TextSteps:
    content = TokenContent(compiled(tokenizer))
    return TextSteps(content, tag, Classes(content))


@pytest.mark.parametrize("name", NORMALIZERS)
def test_every_code_point_is_normalized_as_hugging_face_does(name: str) -> None:
    tokenizer = _bare()
    tokenizer.normalizer = NORMALIZERS[name]
    steps = _steps(tokenizer, "NORM")
    for chunk in CHUNKS:
        assert "".join(text for text, _ in steps.run(chunk, True)) == NORMALIZERS[name].normalize_str(chunk)


def test_clusters_are_cut_as_hugging_face_does() -> None:
    """Whole or in characters: the charsmap has keys that other characters of a cluster get lost behind."""
    tokenizer = _bare()
    tokenizer.normalizer = precompiled()
    steps = _steps(tokenizer, "NORM")
    parts = ["e", "\r", "\n", "\x02", "™", "\u200d", "\u0301", "ः", "\u0600", "ᄀ", "ᅡ", "ᆨ", "각", "가", "क", "्", "🇩"]
    chance = random.Random(1)
    longer = ["क्क\u0301", "क्\u200dक\u0301", "™\u200d™\u0301", "™\u0301\u200d™\u0301", "가\u0301", "각ᆨ\u0301"]
    longer += ["".join(chance.choices(parts, k=chance.randrange(4, 8))) for _ in range(4000)]
    for text in [*map("".join, itertools.product(parts, repeat=3)), *longer]:
        expected = tokenizer.normalizer.normalize_str(text)
        assert "".join(piece for piece, _ in steps.run(text, True)) == expected, ascii(text)


def test_scores_that_single_precision_cannot_tell_apart() -> None:
    pieces = [("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -2.0000000001)]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, False))
    assert table_of(tokenizer).encode("ab") == tokenizer.encode("ab").ids == [1, 2]


PRE_TOKENIZERS: dict[str, Any] = {
    "llama3": pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
    "o200k": pre_tokenizers.Split(Regex(O200K), "merged_with_previous", invert=True),
    "whitespace": pre_tokenizers.Whitespace(),
    "bert": pre_tokenizers.BertPreTokenizer(),
    "digits": pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.Punctuation("merged_with_next")]),
    "contiguous": pre_tokenizers.Sequence([pre_tokenizers.Digits(False), pre_tokenizers.Punctuation("contiguous")]),
}


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_every_code_point_is_cut_as_hugging_face_does(name: str) -> None:
    tokenizer = _bare()
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[name]
    steps = _steps(tokenizer, "PRET")
    for chunk in CHUNKS:
        text = chunk + chunk[::-7] + chunk[::3]
        assert [text for text, _ in steps.run(text, True)] == [
            piece for piece, _ in PRE_TOKENIZERS[name].pre_tokenize_str(text)
        ]


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(UsageError, match="character 2"):
        _pair("gpt2")[1].encode("ab\ud800")
