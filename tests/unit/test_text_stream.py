"""Text in pieces is the text of all tokens, for every kind of tokenizer, and never half a character."""

from __future__ import annotations

import functools
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeslm.device.text_stream import LONG_RUN, WIDEST, TextStream
from edgeslm.device.tokenizer import Tokenizer
from tests.unit.language_bundles import STORIES, tokenizer_json

KINDS = ["sentencepiece", "bytelevel", "metaspace", "wordpiece"]
STORIES_TOO = [*KINDS, pytest.param("stories", marks=pytest.mark.skipif(not STORIES.exists(), reason="no stories260k"))]


@functools.cache
def tokenizer(kind: str) -> Tokenizer:
    return Tokenizer(tokenizer_json(kind), 512, cut=False)


def pieces(kind: str, ids: list[int]) -> list[str]:
    stream = TextStream(tokenizer(kind))
    return [*(stream.feed(token) for token in ids), stream.finish()]


@pytest.mark.parametrize("kind", STORIES_TOO)
@settings(max_examples=400)
@given(st.data())
def test_any_tokens_give_the_text_of_all(kind: str, data: st.DataObject) -> None:
    few = data.draw(st.lists(st.integers(0, 530), min_size=1, max_size=5))  # some ids have no token
    some = st.one_of(st.sampled_from(few), st.integers(0, 530), st.integers(3, 258))
    ids = data.draw(st.lists(some, max_size=LONG_RUN - 1))
    assert "".join(pieces(kind, ids)) == tokenizer(kind).decode(ids)


@pytest.mark.parametrize("kind", STORIES_TOO)
@settings(max_examples=200)
@given(text=st.text(max_size=120))
@example(text="  two  spaces ")
@example(text="日本語 👩‍👩‍👧 é \u0301")
@example(text="a\ufffdb\ufffd")
def test_a_text_comes_back_as_it_would_whole(kind: str, text: str) -> None:
    ids = tokenizer(kind).ids(text)
    found = pieces(kind, ids)
    assert "".join(found) == tokenizer(kind).decode(ids)
    if "\ufffd" not in text and kind in ("sentencepiece", "bytelevel", "stories"):
        assert not any("\ufffd" in piece for piece in found)


@pytest.mark.parametrize("kind", STORIES_TOO)
def test_a_long_text_comes_token_by_token(kind: str) -> None:
    ids = tokenizer(kind).ids("the cat sat on the mat " * 50)
    found = pieces(kind, ids)
    assert "".join(found) == tokenizer(kind).decode(ids)
    assert sum(bool(piece) for piece in found) > 0.9 * len(ids) - 60
    assert max(map(len, found)) < 12


@pytest.mark.parametrize("kind", ["sentencepiece", "metaspace"])
@given(st.data())
def test_a_space_is_only_taken_from_the_first_token(kind: str, data: st.DataObject) -> None:
    """Decoders take it from whatever they are given first, so that must not be a token without any text."""
    ids = {word: tokenizer(kind)._tokenizer.token_to_id(word) for word in ("▁", "▁the", "")}
    some = st.sampled_from([token for token in ids.values() if token is not None])
    tokens = data.draw(st.lists(some, max_size=14))
    assert "".join(pieces(kind, tokens)) == tokenizer(kind).decode(tokens)


def test_characters_wait_for_their_last_byte() -> None:
    ids = tokenizer("bytelevel").ids("é€👍", special=False)
    assert [piece for piece in pieces("bytelevel", ids) if piece] == ["é", "€", "👍"]
    fallback = [3 + byte for byte in "€".encode()]
    assert pieces("sentencepiece", [*fallback, 260]) == ["", "", "", "€a", ""]
    assert pieces("sentencepiece", [*fallback[:2], 260]) == ["", "", "\ufffd\ufffda", ""]
    assert pieces("sentencepiece", fallback[:1]) == ["", "\ufffd"]


def test_a_script_without_tokens_does_not_wait_for_the_answers_end() -> None:
    text = "ကျေးဇူးတင်ပါတယ်ကျေးဇူးတင်ပါတယ်"
    ids = [3 + byte for byte in text.encode()]
    found = pieces("sentencepiece", [260, *ids, 260])
    assert "".join(found) == f"a{text}a"
    late = [number for number, piece in enumerate(found) if piece]
    assert late[1] <= LONG_RUN + 3
    assert max(after - before for before, after in itertools.pairwise(late[1:])) <= 3
    assert not any("\ufffd" in piece for piece in found)
    broken = pieces("sentencepiece", [260, *ids, 3 + 0xFF, 260])
    assert "".join(broken) == f"a{text}\ufffda"
    unfinished = pieces("sentencepiece", [260, *ids[:-1], 260])
    assert "".join(unfinished) == f"a{text[:-1]}\ufffd\ufffda"


@pytest.mark.parametrize("kind", STORIES_TOO)
def test_garbage_does_not_pile_up(kind: str) -> None:
    """What is decoded again stays little, whatever comes: bytes that are no text, special tokens, unknown ids."""
    continuation = tokenizer(kind).ids("日", special=False)[-1]
    for ids in ([continuation] * 400, [1, 600, 2] * 200, [0, 600, continuation, 1] * 200):
        stream = TextStream(tokenizer(kind))
        found = [stream.feed(token) for token in ids]
        assert len(stream._window) <= WIDEST + 1
        assert "".join([*found, stream.finish()]) == tokenizer(kind).decode(ids)
