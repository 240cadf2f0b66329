"""The tokenizer in C against Hugging Face's: the same ids, and the same texts token by token."""

from __future__ import annotations

import functools
import itertools
import json
import random
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from edgeslm.device.text_stream import TextStream
from edgeslm.device.tokenizer import Tokenizer as DeviceTokenizer
from tests.unit.test_tokenizer_properties import FRAGMENTS, TEXTS
from tests.unit.tokenizer_examples import STRINGS, compiled, needs_shared
from tests.unit.tokenizer_in_c import (
    CHANGING,
    EVERYTHING,
    REST,
    SMALL,
    Program,
    Programs,
    of_kind,
    opened,
    running_programs,
)

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler is here: cc (Debian: gcc)")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with running_programs(tmp_path_factory.mktemp("tokenizer")) as running:
        yield running


def _compare(program: Program, kind: str, strings: list[str]) -> None:
    tokenizer, _, needs = of_kind(kind)
    expected = [encoding.ids for encoding in tokenizer.encode_batch(strings)]
    wrong = []
    for text, ids in zip(strings, expected, strict=True):
        content = text.encode()
        if program.encode(content, needs.work.of(len(content))) != ids:
            wrong.append(text)
    assert wrong == []
    for skip, some in ((True, expected), (False, expected[::10])):
        texts = tokenizer.decode_batch(some, skip_special_tokens=skip)
        assert [
            text for text, ids in zip(texts, some, strict=True) if program.decode(ids, needs.out, skip) != text
        ] == []


@functools.cache
def _strings() -> list[str]:
    strings: list[str] = json.loads(STRINGS.read_text(encoding="utf-8"))
    assert len(strings) == 10_000
    return strings


@needs_shared
@pytest.mark.parametrize("kind", SMALL)
def test_every_string_has_the_ids_and_the_text_of_hugging_face(programs: Programs, kind: str) -> None:
    _compare(opened(programs, kind, of_kind(kind)[2].macros), kind, _strings())


@needs_shared
@pytest.mark.parametrize("kind", REST)
def test_other_tables_have_the_ids_and_the_text_of_hugging_face(programs: Programs, kind: str) -> None:
    _compare(opened(programs, kind), kind, _strings()[::10])


@pytest.mark.parametrize("kind", CHANGING)
@settings(max_examples=25)
@given(text=TEXTS)
def test_any_text_has_the_ids_and_the_text_of_hugging_face(programs: Programs, kind: str, text: str) -> None:
    tokenizer, _, needs = of_kind(kind)
    program = opened(programs, kind)
    ids = tokenizer.encode(text).ids
    content = text.encode()
    assert program.encode(content, needs.work.of(len(content))) == ids
    for skip in (True, False):
        assert program.decode(ids, needs.out, skip) == tokenizer.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", CHANGING)
@settings(max_examples=25)
@given(ids=st.lists(st.integers(0, 2300), max_size=12))
def test_any_ids_have_the_text_of_hugging_face(programs: Programs, kind: str, ids: list[int]) -> None:
    tokenizer, _, needs = of_kind(kind)
    program = opened(programs, kind)
    for skip in (True, False):
        assert program.decode(ids, needs.out, skip) == tokenizer.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", ["first", "odd added tokens"])
def test_fragments_beside_each_other(programs: Programs, kind: str) -> None:
    tokenizer, _, needs = of_kind(kind)
    program = opened(programs, kind)
    texts = ["".join(pair) for pair in itertools.product(FRAGMENTS, repeat=2)]
    for text, encoding in zip(texts, tokenizer.encode_batch(texts), strict=True):
        content = text.encode()
        assert program.encode(content, needs.work.of(len(content))) == encoding.ids, ascii(text)


def test_merges_whose_parts_are_learnt_later(programs: Programs) -> None:
    """What a merge makes may have a lower rank than the merge itself, in a tokenizer that was put together."""
    program = programs({**EVERYTHING, "EDGESLM_TOKENIZER_ID_BYTES": 2})
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
        tokenizer = Tokenizer(models.BPE({token: place for place, token in enumerate(dict.fromkeys(tokens))}, merges))
        assert program.open(compiled(tokenizer)) == 0
        texts = ["".join(chance.choices("abx", k=chance.randrange(30))) for _ in range(50)]
        for text, encoding in zip(texts, tokenizer.encode_batch(texts), strict=True):
            assert program.encode(text.encode(), 100) == encoding.ids


def test_runs_of_bytes_are_given_when_the_linux_runner_gives_them(programs: Programs) -> None:
    """A run that is UTF-8 for 32 bytes is not held any longer, whatever comes then."""
    kind = "byte fallback"
    tokenizer, _, needs = of_kind(kind)
    program = opened(programs, kind)
    chance = random.Random(1)
    for _ in range(300):
        ids: list[int] = []
        while len(ids) < 90:
            run = "".join(chance.choices("aé日👩", k=chance.randrange(20))).encode()
            run = run[: chance.choice((len(run), chance.randrange(len(run) + 1)))] + chance.choice((b"", b"", b"\xff"))
            ids += [*(3 + byte for byte in run), *chance.choices([1, 300, 5000], k=chance.randrange(3))]
        stream = TextStream(DeviceTokenizer(tokenizer.to_str().encode(), 1))
        assert program.decode(ids, needs.out) == "".join(map(stream.feed, ids)) + stream.finish()
