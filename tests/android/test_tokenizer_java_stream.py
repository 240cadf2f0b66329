"""Text token by token, in Java: piece by piece what the Linux runner gives, and together the text of all tokens."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.device.text_stream import LONG_RUN, TextStream
from edgeslm.device.tokenizer import Tokenizer
from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.table import compile_table
from edgeslm.tokenizer.vocabulary import BYTE_OF
from tests.android.jvm import Classes
from tests.android.tokenizer_in_java import Program
from tests.unit.language_bundles import tokenizer_json
from tests.unit.test_text_stream import STORIES_TOO


@pytest.fixture(scope="module")
def program(android_classes: Classes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(android_classes, tmp_path_factory.mktemp("tokenizer") / "log") as running:
        yield running


@functools.cache
def _of_kind(kind: str) -> tuple[Tokenizer, bytes]:
    document = json.loads(tokenizer_json(kind))
    document["model"]["vocab"].pop("", None)  # tables have no token without characters
    content = json.dumps(document).encode()
    return Tokenizer(content, 512, cut=False), compile_table(read_specification(content))


def _expected(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*(stream.feed(token) for token in ids), stream.finish()]


def _compare(program: Program, kind: str, lists: list[list[int]]) -> list[list[str]]:
    tokenizer, table = _of_kind(kind)
    program.open(table)
    found = program.stream_all(lists)
    assert found == [_expected(tokenizer, ids) for ids in lists]
    assert program.decode_all(lists) == tokenizer.decode_each(lists)
    return [pieces for pieces in found if isinstance(pieces, list)]


@pytest.mark.parametrize("kind", STORIES_TOO)
@settings(max_examples=20)
@given(st.data())
def test_any_tokens_give_what_the_linux_runner_gives(program: Program, kind: str, data: st.DataObject) -> None:
    few = data.draw(st.lists(st.integers(0, 530), min_size=1, max_size=5))  # some ids have no token
    some = st.one_of(st.sampled_from(few), st.integers(0, 530), st.integers(3, 258))
    lists = data.draw(st.lists(st.lists(some, max_size=LONG_RUN - 1), min_size=5, max_size=20))
    for pieces, ids in zip(_compare(program, kind, lists), lists, strict=True):
        assert "".join(pieces) == program.decode(ids)


@pytest.mark.parametrize("kind", STORIES_TOO)
@settings(max_examples=15)
@given(texts=st.lists(st.text(max_size=120), min_size=5, max_size=10))
def test_a_text_comes_back_as_it_would_whole(program: Program, kind: str, texts: list[str]) -> None:
    tokenizer, _ = _of_kind(kind)
    lists = [tokenizer.ids(text) for text in [*texts, "  two  spaces ", "日本語 👩‍👩‍👧 é \u0301", "a\ufffdb\ufffd"]]
    for pieces, ids in zip(_compare(program, kind, lists), lists, strict=True):
        assert "".join(pieces) == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", ["sentencepiece", "bytelevel"])
def test_runs_of_bytes_are_given_when_the_linux_runner_gives_them(program: Program, kind: str) -> None:
    """A run that is UTF-8 for 32 bytes is not held any longer, whatever comes then; broken characters of every kind."""
    tokenizer, _ = _of_kind(kind)
    letter_of = {byte: letter if kind == "bytelevel" else f"<0x{byte:02X}>" for letter, byte in BYTE_OF.items()}
    id_of = {byte: tokenizer.token_id(letter) or 0 for byte, letter in letter_of.items()}
    broken = [b"", b"", b"\xff", b"\xc0\x80", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xe6\x97"]
    if kind == "bytelevel":
        broken.append(b"\xed\xa0\x80")  # half a surrogate pair: of a run, Python's decoder says so one byte later
    chance = random.Random(1)
    lists: list[list[int]] = []
    for _ in range(200):
        ids: list[int] = []
        while len(ids) < 90:
            run = "".join(chance.choices("aé日👩", k=chance.randrange(20))).encode()
            run = run[: chance.choice((len(run), chance.randrange(len(run) + 1)))] + chance.choice(broken)
            ids += [*(id_of[byte] for byte in run), *chance.choices([1, 261, 5000], k=chance.randrange(3))]
        lists.append(ids)
    _compare(program, kind, lists)


@pytest.mark.parametrize("kind", STORIES_TOO)
def test_garbage_gives_what_the_linux_runner_gives(program: Program, kind: str) -> None:
    tokenizer, _ = _of_kind(kind)
    continuation = tokenizer.ids("日", special=False)[-1]
    _compare(program, kind, [[continuation] * 200, [1, 600, 2] * 100, [0, 600, continuation, 1] * 100])
