"""Damaged tables in Java give a TokenizerException or an answer: anything else would end the program that is asked."""

from __future__ import annotations

import functools
import random
import zlib
from collections.abc import Callable, Iterator

import pytest
from tokenizers import Regex, Tokenizer, normalizers

from tests.android.jvm import Classes
from tests.android.tokenizer_in_java import Program, TableError
from tests.unit.test_tokenizer_damage import TEXT
from tests.unit.tokenizer_examples import LLAMA3, byte_fallback, byte_level, compiled, precompiled, unigram, word_piece

KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte fallback": byte_fallback,
    "byte level": functools.partial(byte_level, LLAMA3, normalizer=normalizers.NFC()),
    "word piece": word_piece,
    "charsmap": lambda: unigram(normalizers.Sequence([precompiled(), normalizers.Replace(Regex(" {2,}"), " ")])),
}
IDS = [*range(0, 2000, 90), 2**24, -1, 2**31 - 1, -(2**31)]


@pytest.fixture(scope="module")
def program(android_classes: Classes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(android_classes, tmp_path_factory.mktemp("tokenizer") / "log") as running:
        yield running


@functools.cache
def _table(kind: str) -> bytes:
    return compiled(KINDS[kind]())


def _sealed(content: bytes) -> bytes:
    """With the checksum that fits its bytes, as someone who means harm would write it."""
    return content[:16] + zlib.crc32(content[32:]).to_bytes(4, "little") + content[20:]


def _sections(content: bytes) -> dict[str, tuple[int, int]]:
    """Tag -> (offset, length)."""
    entries = [content[at : at + 16] for at in range(32, 32 + 16 * content[20], 16)]
    return {
        one[:4].decode(): (int.from_bytes(one[4:8], "little"), int.from_bytes(one[8:12], "little")) for one in entries
    }


def _use(program: Program, content: bytes) -> bool:
    """Whether everything that was asked had an answer."""
    try:
        program.open(content)
        ids = program.encode(TEXT)
        program.decode([*ids, *IDS], skip=False)
    except TableError:
        return False
    return isinstance(program.stream_all([[*ids, *IDS]])[0], list)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_or_a_lost_end_is_found_when_the_table_is_opened(program: Program, kind: str) -> None:
    content = _table(kind)
    chance = random.Random(kind)
    places = [*range(24), *(chance.randrange(32, len(content)) for _ in range(25))]
    for place in places:
        changed = content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]
        for broken in (changed, content[:place]):
            with pytest.raises(TableError, match="TokenizerException"):
                program.open(broken)
    with pytest.raises(TableError, match="cut short"):
        program.open(content + b"\0")


@pytest.mark.parametrize("kind", KINDS)
def test_every_section_with_wrong_content_gives_an_answer_or_an_exception(program: Program, kind: str) -> None:
    content = _table(kind)
    assert _use(program, content)
    chance = random.Random(kind)
    sections = {"directory": (32, 16 * content[20]), **_sections(content)}
    outcomes = set()
    for start, size in sections.values():
        for turn in range(24):
            changed = bytearray(content)
            for _ in range(chance.choice((1, 1, 2, 5))):
                place = start + chance.randrange(min(size, 64) if turn % 2 else size)
                changed[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            outcomes.add(_use(program, _sealed(bytes(changed))))
    assert outcomes == {True, False}


@pytest.mark.parametrize("kind", KINDS)
def test_a_section_that_is_cut_or_lost_gives_an_answer_or_an_exception(program: Program, kind: str) -> None:
    content = _table(kind)
    for number in range(content[20]):
        entry = 32 + 16 * number
        size = int.from_bytes(content[entry + 8 : entry + 12], "little")
        for less in {0, 1, 4, size // 2 & ~7, max(0, size - 8), size + 1, 0x7FFFFFFF, 0xFFFFFFFF}:
            _use(program, _sealed(content[: entry + 8] + less.to_bytes(4, "little") + content[entry + 12 :]))
        _use(program, _sealed(content[:entry] + b"GONE" + content[entry + 4 :]))


def test_what_is_wrong_is_said(program: Program) -> None:
    content = _table("byte level")
    sections = _sections(content)
    entry = content.index(b"TOKT", 32)
    program_at = sections["PROG"][0]
    assert content[program_at] == 3  # FORK
    wrong = {
        "version 2; this library reads version 1": content[:8] + b"\2\0\0\0" + content[12:],
        "does not begin as one": b"x" + content[1:],
        "section TOKT does not fit": _sealed(content[: entry + 8] + b"\xff\xff\xff\x7f" + content[entry + 12 :]),
        "jumps backwards": _sealed(content[: program_at + 4] + b"\0\0\0\0" + content[program_at + 8 :]),
    }
    for words, changed in wrong.items():
        with pytest.raises(TableError, match=words):
            program.open(changed)


def _program(*instructions: tuple[int, int, int, int, int]) -> bytes:
    return b"".join(bytes(one[:4]) + one[4].to_bytes(4, "little") for one in instructions)


def test_a_pattern_that_would_take_years_is_given_up(program: Program) -> None:
    """Runs over the same characters, one behind the other, before what never comes."""
    content = _table("byte level")
    start, size = _sections(content)["PROG"]
    runs = [(1, 1, 255, 0, 0xFFFFFFFF)] * (size // 8 - 2)
    endless = _program(*runs, (1, 1, 1, 0, 0), (0, 0, 0, 0, 0))
    program.open(_sealed(content[:start] + endless + content[start + len(endless) :]))
    with pytest.raises(TableError, match="takes too long"):
        program.encode("a" * 100)
