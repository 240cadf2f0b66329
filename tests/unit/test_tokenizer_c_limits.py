"""The tokenizer in C where it ends: memory, texts that are none, damaged tables, what a build asks for, flash."""

from __future__ import annotations

import random
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers

from edgeslm.errors import UnsupportedError
from edgeslm.tokenizer import features
from edgeslm.tokenizer.features import features_of
from tests.unit.tokenizer_examples import STORIES, byte_fallback, compiled, needs_shared, unigram, word_piece
from tests.unit.tokenizer_in_c import (
    EVERYTHING,
    REST,
    SOURCES,
    WARNINGS,
    Programs,
    flags,
    of_kind,
    opened,
    run_tool,
    running_programs,
)

TOO_LONG, NOT_UTF8, DAMAGED, UNSUPPORTED = -1, -2, -3, -4
pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler is here: cc (Debian: gcc)")
needs_cross_compiler = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc is here (Debian: gcc-arm-none-eabi)"
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with running_programs(tmp_path_factory.mktemp("tokenizer")) as running:
        yield running


# ---- Memory, and texts that are none


@pytest.mark.parametrize("kind", ["byte fallback", "bare", "llama3", "word piece", "odd added tokens"])
def test_too_little_memory_is_an_error_and_nothing_is_written_beside_it(programs: Programs, kind: str) -> None:
    tokenizer, _, needs = of_kind(kind)
    program = opened(programs, kind)
    text = "  Ça <s> va? e\u0301 각 12345 日本 aab T0 <mask> don't"
    content = text.encode()
    ids = tokenizer.encode(text).ids
    answers = [program.encode(content, work) for work in range(needs.work.of(len(content)) + 1)]
    assert answers[0] == TOO_LONG
    assert all(answer in (TOO_LONG, ids) for answer in answers)
    assert answers[-1] == ids
    shown = tokenizer.decode(ids)
    assert all(program.decode(ids, out) in (TOO_LONG, shown) for out in range(needs.out + 1))


@pytest.mark.parametrize(
    "text", [" " * 999, "\u3000" * 333, "ﷺ" * 333, "\u0390" * 500, "a" * 999, "é" * 500, "\x01" * 999]
)
@pytest.mark.parametrize("kind", REST)
def test_the_memory_that_the_formula_gives_suffices(programs: Programs, kind: str, text: str) -> None:
    tokenizer, _, needs = of_kind(kind)
    content = text.encode()
    assert opened(programs, kind).encode(content, needs.work.of(len(content))) == tokenizer.encode(text).ids


def test_ids_beyond_the_room_are_counted_but_not_written(programs: Programs) -> None:
    tokenizer, _, needs = of_kind("byte fallback")
    program = opened(programs, "byte fallback")
    ids = tokenizer.encode("The king of men").ids
    for most in range(len(ids) + 1):
        assert program.encode(b"The king of men", needs.work.of(15), most) == ids[:most]


@given(text=st.binary(max_size=12))
def test_bytes_that_are_no_utf8_are_refused(programs: Programs, text: bytes) -> None:
    program = opened(programs, "byte fallback")
    try:
        text.decode()
    except UnicodeDecodeError:
        assert program.encode(text, 200) == NOT_UTF8
    else:
        assert program.encode(text, 200) != NOT_UTF8


@pytest.mark.parametrize(
    "text", [b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe0\x9f\xbf", b"\xf5", b"a\xe6\x97"]
)
def test_what_only_looks_like_utf8_is_refused(programs: Programs, text: bytes) -> None:
    assert opened(programs, "byte fallback").encode(text, 200) == NOT_UTF8


# ---- Damage


def _sealed(content: bytes) -> bytes:
    """With the checksum that fits its bytes, as someone who means harm would write it."""
    return content[:16] + zlib.crc32(content[32:]).to_bytes(4, "little") + content[20:]


@pytest.mark.parametrize("kind", ["byte fallback", "gpt2", "word piece"])
def test_a_changed_byte_or_a_lost_end_is_found_when_the_table_is_opened(programs: Programs, kind: str) -> None:
    program = opened(programs, kind)
    content = of_kind(kind)[1]
    chance = random.Random(kind)
    for place in [*range(24), *(chance.randrange(32, len(content)) for _ in range(60))]:
        changed = content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]
        assert program.open(changed) in (DAMAGED, UNSUPPORTED)
        assert program.open(content[:place]) == DAMAGED
    assert program.open(content + bytes(8)) == DAMAGED
    assert program.open(chance.randbytes(4096)) == DAMAGED


@pytest.mark.parametrize("kind", ["byte fallback", "odd added tokens", "first", "bare", "gpt2", "llama3", "word piece"])
def test_a_table_with_wrong_content_is_not_read_beside(programs: Programs, kind: str) -> None:
    """Any answer will do: the sanitizers look whether it came by fair means."""
    content, needs = of_kind(kind)[1:]
    program = opened(programs, kind)
    text = "  Ça va? <s> the king's <mask> T0 e\u0301 a\u0323\u0302 각 12345 日本 👩\u200d👩\n\n\tdon't aab".encode()
    chance = random.Random(kind)
    # Half of the changes hit what steers: directory, steps, programs, which lie among large sections.
    sections = [content[at : at + 16] for at in range(32, 32 + 16 * content[20], 16)]
    spans = [(int.from_bytes(one[4:8], "little"), int.from_bytes(one[8:12], "little")) for one in sections]
    answers = 0
    for turn in range(250):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 5, 50))):
            start, size = chance.choice([*spans, (32, 16 * len(spans))]) if turn % 4 else (32, len(content) - 32)
            place = start + chance.randrange(min(size, 400) if turn % 2 else size)
            changed[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        if program.open(_sealed(bytes(changed))):
            continue
        answers += 1
        program.encode(text, needs.work.of(len(text)))
        program.decode([*range(0, 2000, 45), 1 << 31, 0xFFFFFFFF], needs.out, skip=False)
    assert answers > 10


# ---- What a table asks for


def test_a_table_of_another_kind_is_refused(programs: Programs) -> None:
    program = programs(of_kind("byte fallback")[2].macros)
    for kind in ("word piece", "wide"):
        assert program.open(of_kind(kind)[1]) == UNSUPPORTED
    assert program.open(compiled(unigram(normalizers.NFC()))) == UNSUPPORTED


def _changed_decoder(*steps: object) -> Tokenizer:
    tokenizer = byte_fallback()
    tokenizer.decoder = decoders.Sequence(list(steps))
    return tokenizer


def _nested() -> Tokenizer:
    tokenizer = word_piece()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit()] * 9)
    return tokenizer


def _byte_among_added() -> Tokenizer:
    tokenizer = byte_fallback()
    tokenizer.add_tokens([AddedToken("<0x+4>")])
    return tokenizer


REFUSED: dict[str, Callable[[], Tokenizer]] = {
    "not Unigram": lambda: unigram(normalizers.NFC()),
    "splits a text 9 times": _nested,
    "kind 5 at place 1": lambda: _changed_decoder(decoders.Fuse(), decoders.Strip(" ", 1, 1)),
    "kind 5 at place 0": lambda: _changed_decoder(decoders.Strip(" ", 1, 0), decoders.Fuse()),
    "kind 6 at place 1": lambda: _changed_decoder(decoders.Fuse(), decoders.Replace("ab", "c")),
    "kind 7 at place 1": lambda: _changed_decoder(decoders.Fuse(), decoders.Metaspace()),
    "kind 3 at place 1": lambda: _changed_decoder(decoders.ByteFallback(), decoders.ByteFallback()),
    "8 steps, not 9": lambda: _changed_decoder(*[decoders.Replace("a", "b")] * 9),
    "is a byte for the model or for the decoder alone": _byte_among_added,
}


@pytest.mark.parametrize("part", REFUSED)
def test_what_firmware_cannot_do_is_refused_by_its_name(part: str) -> None:
    with pytest.raises(UnsupportedError, match=part):
        features_of(compiled(REFUSED[part]()))


def test_a_byte_fallback_table_asks_for_what_it_uses() -> None:
    needs = of_kind("byte fallback")[2]
    assert {name.removeprefix("EDGESLM_TOKENIZER_"): value for name, value in needs.macros.items()} == {
        "ID_BYTES": 2,
        **dict.fromkeys(("BPE", "BYTE_FALLBACK", "MAP", "PREFIX", "ADDED"), 1),
        **dict.fromkeys(("DECODE_REPLACE", "DECODE_FALLBACK", "DECODE_STRIP"), 1),
    }
    assert needs.definitions == [f"{name}={value}" for name, value in needs.macros.items()]
    # A space becomes the three bytes of U+2581, and then one symbol of two bytes.
    assert needs.work.of(1000) <= 3010


def test_both_sides_have_the_same_limits() -> None:
    header = (SOURCES / "parts.h").read_text(encoding="utf-8")
    limits = dict(re.findall(r"#define EDGESLM_(MOST_\w+) (\d+)u", header))
    assert {name: int(value) for name, value in limits.items()} == {
        "MOST_SPLITS": features._MOST_SPLITS,
        "MOST_DECODER_STEPS": features._MOST_DECODER_STEPS,
        "MOST_WAYS": features._MOST_WAYS,
    }


@pytest.mark.parametrize("macro", [None, *EVERYTHING])
def test_each_part_compiles_alone(macro: str | None) -> None:
    model = {} if macro is None else {macro: 1, "EDGESLM_TOKENIZER_BPE": 1}
    run_tool("cc", *WARNINGS, "-O1", "-fsyntax-only", *flags(model), *sorted(SOURCES.glob("*.c")))


# ---- For a microcontroller


def _flash(folder: Path, core: str, macros: Mapping[str, int], optimize: str = "-Os") -> tuple[int, set[str]]:
    """Bytes of flash, and the functions that must come from elsewhere."""
    options = [
        *WARNINGS,
        f"-mcpu={core}",
        "-mthumb",
        optimize,
        "-ffunction-sections",
        "-fno-tree-loop-distribute-patterns",
    ]
    run_tool(
        "arm-none-eabi-gcc",
        *options,
        *flags(macros),
        "-r",
        "-nostdlib",
        *sorted(SOURCES.glob("*.c")),
        "-o",
        folder / "all.o",
    )
    sizes = run_tool("arm-none-eabi-size", folder / "all.o").splitlines()[1].split()
    assert sizes[1:3] == ["0", "0"]  # no RAM of its own
    return int(sizes[0]), {
        line.split()[-1] for line in run_tool("arm-none-eabi-nm", "-u", folder / "all.o").splitlines()
    }


@needs_cross_compiler
@needs_shared
def test_the_flash_that_a_byte_fallback_tokenizer_takes(tmp_path: Path) -> None:
    needs = features_of(compiled(Tokenizer.from_file(str(STORIES))))
    size, foreign = _flash(tmp_path, "cortex-m4", needs.macros)
    assert size < 3_500
    assert foreign <= {"memcpy", "memset"}


@needs_cross_compiler
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m33", "cortex-m55"])
def test_all_parts_compile_for_a_core(tmp_path: Path, core: str) -> None:
    _, foreign = _flash(tmp_path, core, EVERYTHING, "-O2")
    # No C library, no floats, and 32 bits at most to be divided.
    assert foreign <= {"memcpy", "memset", *(f"__aeabi_{name}" for name in ("uidiv", "uidivmod", "idiv", "idivmod"))}
