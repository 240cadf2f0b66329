"""The tokenizer in Java, on the JVM, against Hugging Face's: the same ids, and the same texts."""

from __future__ import annotations

import functools
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers

from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.table import compile_table
from tests.android.jvm import Classes
from tests.android.tokenizer_in_java import Program, TableError
from tests.unit.test_tokenizer_properties import CHUNKS, FRAGMENTS, KINDS, TEXTS
from tests.unit.test_tokenizer_table import PARTLY, WHOLE
from tests.unit.tokenizer_examples import STRINGS, compiled, needs_shared, plain, precompiled
from tests.unit.tokenizer_in_c import OTHERS


@pytest.fixture(scope="module")
def program(android_classes: Classes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(android_classes, tmp_path_factory.mktemp("tokenizer") / "log") as running:
        yield running


EVERY_STRING = [
    "byte-fallback BPE, stories260k",
    "byte-level BPE, as GPT-2",
    "WordPiece, MiniLM",
    "Unigram, charsmap",
]
EVERY_TENTH = [
    *OTHERS,
    "byte-level BPE, as Llama 3",
    "byte-level BPE, as Qwen 2",
    "byte-level BPE, as GPT-4o",
    "Unigram, bytes",
]
CHANGING = ["first", "odd added tokens", "llama3", "charsmap"]


@functools.cache
def _of_kind(kind: str) -> tuple[Tokenizer, bytes]:
    makers: dict[str, Callable[[], Tokenizer]] = {**WHOLE, **PARTLY, **KINDS, **OTHERS}
    tokenizer = plain(makers[kind]())
    return tokenizer, compiled(tokenizer)


def _opened(program: Program, kind: str) -> Tokenizer:
    tokenizer, table = _of_kind(kind)
    program.open(table)
    return tokenizer


def _compare(program: Program, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    expected = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    found = program.encode_all(texts)
    assert [text for text, one, ids in zip(texts, found, expected, strict=True) if one != ids] == []
    for skip, some in ((True, expected), (False, expected[::10])):
        wanted = tokenizer.decode_batch(some, skip_special_tokens=skip)
        shown = program.decode_all(some, skip)
        assert [text for one, text in zip(shown, wanted, strict=True) if one != text] == []


@functools.cache
def _strings() -> list[str]:
    strings: list[str] = json.loads(STRINGS.read_text(encoding="utf-8"))
    assert len(strings) == 10_000
    return strings


@needs_shared
@pytest.mark.parametrize("kind", EVERY_STRING)
def test_every_string_has_the_ids_and_the_text_of_hugging_face(program: Program, kind: str) -> None:
    _compare(program, _opened(program, kind), _strings())


@needs_shared
@pytest.mark.parametrize("kind", EVERY_TENTH)
def test_variants_have_the_ids_and_the_text_of_hugging_face(program: Program, kind: str) -> None:
    _compare(program, _opened(program, kind), _strings()[::10])


@pytest.mark.parametrize("kind", CHANGING)
@settings(max_examples=12)
@given(texts=st.lists(TEXTS, min_size=4, max_size=12))
def test_any_texts_have_the_ids_and_the_texts_of_hugging_face(program: Program, kind: str, texts: list[str]) -> None:
    _compare(program, _opened(program, kind), texts)


@pytest.mark.parametrize("kind", [*CHANGING, "gpt2"])
@settings(max_examples=10)
@given(lists=st.lists(st.lists(st.integers(0, 2300), max_size=12), min_size=4, max_size=12))
def test_any_ids_have_the_text_of_hugging_face(program: Program, kind: str, lists: list[list[int]]) -> None:
    tokenizer = _opened(program, kind)
    for skip in (True, False):
        assert program.decode_all(lists, skip) == tokenizer.decode_batch(lists, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", ["first", "odd added tokens", "llama3"])
def test_fragments_beside_each_other(program: Program, kind: str) -> None:
    _compare(program, _opened(program, kind), ["".join(pair) for pair in itertools.product(FRAGMENTS, repeat=2)])


NORMALIZERS: dict[str, Any] = {
    "NFC": normalizers.NFC(),
    "NFKC, Lowercase": normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
    "BertNormalizer": normalizers.BertNormalizer(),
    "Nmt, Strip": normalizers.Sequence([normalizers.Nmt(), normalizers.Strip()]),
    "charsmap": precompiled(),
}


def _bytes_alone(normalizer: Any) -> Tokenizer:
    """Its ids are the bytes of the normalized text."""
    tokens = {f"<0x{byte:02X}>": byte for byte in range(256)}
    tokenizer = Tokenizer(models.BPE(tokens, [], byte_fallback=True))
    tokenizer.normalizer = normalizer
    return tokenizer


@pytest.mark.parametrize("name", NORMALIZERS)
def test_every_code_point_is_normalized_as_hugging_face_does(program: Program, name: str) -> None:
    tokenizer = _bytes_alone(NORMALIZERS[name])
    program.open(compiled(tokenizer))
    expected = [list(NORMALIZERS[name].normalize_str(chunk).encode()) for chunk in CHUNKS]
    assert program.encode_all(CHUNKS) == expected


def test_clusters_are_cut_as_hugging_face_does(program: Program) -> None:
    tokenizer = _bytes_alone(precompiled())
    program.open(compiled(tokenizer))
    parts = ["e", "\r", "\n", "\x02", "™", "\u200d", "\u0301", "ः", "\u0600", "ᄀ", "ᅡ", "ᆨ", "각", "가", "क", "्", "🇩"]
    chance = random.Random(1)
    texts = ["क्क\u0301", "क्\u200dक\u0301", "™\u200d™\u0301", "™\u0301\u200d™\u0301", "가\u0301", "각ᆨ\u0301"]
    texts += ["".join(chance.choices(parts, k=chance.randrange(3, 8))) for _ in range(3000)]
    found = program.encode_all(texts)
    for text, ids in zip(texts, found, strict=True):
        assert ids == list(precompiled().normalize_str(text).encode()), ascii(text)


def test_merges_whose_parts_are_learnt_later(program: Program) -> None:
    """What a merge makes may have a lower rank than the merge itself, in a tokenizer that was put together."""
    chance = random.Random(1)
    for _ in range(40):
        tokens = list("abx")
        merges: list[tuple[str, str]] = []
        while len(merges) < 12:
            pair = (chance.choice(tokens), chance.choice(tokens))
            if pair not in merges and len("".join(pair)) < 7:
                merges.append(pair)
                tokens.append("".join(pair))
        chance.shuffle(merges)
        vocabulary = {token: place for place, token in enumerate(dict.fromkeys(tokens))}
        tokenizer = Tokenizer(models.BPE(vocabulary, merges))
        program.open(compile_table(read_specification(tokenizer.to_str().encode())))
        texts = ["".join(chance.choices("abx", k=chance.randrange(40))) for _ in range(60)]
        assert program.encode_all(texts) == [encoding.ids for encoding in tokenizer.encode_batch(texts)]


@pytest.mark.parametrize("score", [-2.0, -2.0000000001])
def test_paths_of_scores_that_are_equal_or_nearly_so(program: Program, score: float) -> None:
    pieces = [("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", score)]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, False))
    program.open(compiled(tokenizer))
    assert program.encode("abab") == tokenizer.encode("abab").ids


@needs_shared
def test_a_word_of_a_whole_book(program: Program) -> None:
    """stories260k cuts nothing into words: every text is one."""
    tokenizer = _opened(program, "byte-fallback BPE, stories260k")
    chance = random.Random(1)
    text = "".join(chance.choices(["the ", "king", "a", "日", "  ", "Once upon a time"], k=20_000))
    assert program.encode(text) == tokenizer.encode(text).ids


@pytest.mark.parametrize(
    ("text", "index"), [("ab\ud800", 2), ("\udc00", 0), ("é\ud83d\ude00\ude00", 3), ("\ud83dx", 0)]
)
def test_half_a_surrogate_pair_is_no_text(program: Program, text: str, index: int) -> None:
    _opened(program, "gpt2")
    with pytest.raises(TableError, match=rf"NotUnicodeException: .* at index {index}:"):
        program.encode(text)


@pytest.mark.parametrize("kind", ["gpt2", "charsmap", "first"])
def test_a_text_is_cut_as_hugging_face_does(program: Program, kind: str) -> None:
    whole, _ = _of_kind(kind)
    _opened(program, kind)
    texts = ["The king of men, and don't", "x", "", "<s>日本"]
    for most, special in itertools.product((2, 3, 5, 9, 50), (True, False)):
        tokenizer = Tokenizer.from_str(whole.to_str())
        tokenizer.enable_truncation(most)
        expected = [tokenizer.encode(text, add_special_tokens=special).ids for text in texts]
        assert program.encode_all(texts, special, most) == expected
