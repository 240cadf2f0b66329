"""The tokenizer in C, under the sanitizers, against Hugging Face's: ids, texts, damaged tables, memory, size."""

from __future__ import annotations

import functools
import itertools
import json
import random
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from edgeslm.device.text_stream import TextStream
from edgeslm.device.tokenizer import Tokenizer as DeviceTokenizer
from edgeslm.errors import UnsupportedError
from edgeslm.tokenizer import features
from edgeslm.tokenizer.features import Features, features_of
from tests.unit.test_tokenizer_properties import FRAGMENTS, KINDS, TEXTS
from tests.unit.test_tokenizer_table import PARTLY, WHOLE
from tests.unit.tokenizer_examples import (
    ROOT,
    STORIES,
    STRINGS,
    byte_fallback,
    compiled,
    needs_shared,
    plain,
    unigram,
    word_piece,
)

SOURCES = ROOT / "firmware_templates" / "tokenizer"
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-fno-strict-aliasing", f"-I{SOURCES}"]
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
TOO_LONG, NOT_UTF8, DAMAGED, UNSUPPORTED = -1, -2, -3, -4

_NAMES = """
    BPE BYTE_FALLBACK BYTE_LEVEL WHOLE_WORDS UNKNOWN WORDPIECE MAP MAP_TEXTS FORMS STRIP SUBSTITUTE PREFIX SPLIT ADDED
    ADDED_NORMALIZED ADDED_BESIDE DECODE_NOTHING DECODE_BYTES DECODE_FALLBACK DECODE_WORDPIECES DECODE_REPLACE
    DECODE_SPACES DECODE_STRIP
"""
EVERYTHING = {f"EDGESLM_TOKENIZER_{name}": 1 for name in _NAMES.split()}

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler is here: cc (Debian: gcc)")
needs_cross_compiler = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc is here (Debian: gcc-arm-none-eabi)"
)


def _flags(macros: Mapping[str, int]) -> list[str]:
    return [f"-D{name}={value}" for name, value in macros.items()]


def _run(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Program:
    """The tokenizer in a process of its own, which has opened one table at a time."""

    def __init__(self, file: Path) -> None:
        self._log = file.with_suffix(".log").open("w+b")
        self._process = subprocess.Popen([file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)

    def open(self, table: bytes) -> int:
        return self._ask(b"T" + struct.pack("<I", len(table)) + table)

    def encode(self, text: bytes, work: int, most: int = 20_000) -> list[int] | int:
        """Ids, or the error."""
        count = self._ask(b"E" + struct.pack("<III", work, most, len(text)) + text)
        return count if count < 0 else list(struct.unpack(f"<{min(count, most)}I", self._read(4 * min(count, most))))

    def decode(self, ids: list[int], out: int, skip: bool = True) -> str | int:
        """The text, or the error."""
        size = self._ask(b"D" + struct.pack(f"<III{len(ids)}I", skip, out, len(ids), *ids))
        return size if size < 0 else self._read(size).decode(errors="surrogateescape")

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        status = self._process.wait()
        self._log.close()
        assert status == 0

    def _ask(self, request: bytes) -> int:
        assert self._process.stdin
        self._process.stdin.write(request)
        self._process.stdin.flush()
        return int.from_bytes(self._read(4), "little", signed=True)

    def _read(self, count: int) -> bytes:
        assert self._process.stdout
        content = self._process.stdout.read(count)
        if len(content) < count:
            self._log.seek(0)
            raise AssertionError(self._log.read().decode())
        return content


Programs = Callable[[Mapping[str, int]], Program]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Macros -> the program with what they say, one for all tests."""
    folder = tmp_path_factory.mktemp("tokenizer")
    running: dict[tuple[str, ...], Program] = {}

    def program(macros: Mapping[str, int]) -> Program:
        key = tuple(sorted(_flags(macros)))
        if key not in running:
            file = folder / f"tokenizer{len(running)}"
            sources = [*sorted(SOURCES.glob("*.c")), Path(__file__).with_name("tokenizer_program.c")]
            _run("cc", *WARNINGS, *SANITIZERS, *key, *sources, "-o", file)
            running[key] = Program(file)
        return running[key]

    yield program
    for one in running.values():
        one.close()


@functools.cache
def _of_kind(kind: str) -> tuple[Tokenizer, bytes, Features]:
    tokenizer = plain({**WHOLE, **PARTLY, **KINDS, **OTHERS}[kind]())
    table = compiled(tokenizer)
    return tokenizer, table, features_of(table)


def _opened(programs: Programs, kind: str, macros: Mapping[str, int] | None = None) -> Program:
    _, table, needs = _of_kind(kind)
    width = {"EDGESLM_TOKENIZER_ID_BYTES": needs.macros["EDGESLM_TOKENIZER_ID_BYTES"]}
    program = programs({**EVERYTHING, **width} if macros is None else macros)
    assert program.open(table) == 0
    return program


def _compare(program: Program, kind: str, strings: list[str]) -> None:
    tokenizer, _, needs = _of_kind(kind)
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


# ---- Ids and texts


def _wide() -> Tokenizer:
    """Ids of more than 16 bits."""
    document = json.loads(byte_fallback().to_str())
    document["model"]["vocab"]["▁Qqz"] = 70_000
    document["model"]["vocab"]["Qqz"] = 69_999
    document["model"]["vocab"] |= {"Q": 69_998, "q": 69_997, "z": 69_996, "qz": 69_995}
    document["model"]["merges"] += [["q", "z"], ["Q", "qz"], ["▁", "Qqz"]]
    return Tokenizer.from_str(json.dumps(document))


def _bare() -> Tokenizer:
    """Steps that no other kind has; no decoder; bytes without ids, so that there are unknown tokens."""
    document = json.loads(byte_fallback().to_str())
    document["model"]["fuse_unk"] = False
    del document["model"]["vocab"]["<0xC3>"]
    document["decoder"] = None
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.Replace(Regex("a+b"), "xyzzy"), normalizers.NFKD()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(False), pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Metaspace()]
    )
    return tokenizer


def _spaces() -> Tokenizer:
    """A decoder of Metaspace, as Unigram's have it; added tokens that begin alike."""
    tokenizer = byte_fallback()
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("ki", "king", "kin")])
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(" +"), "merged_with_next")
    return tokenizer


OTHERS: dict[str, Callable[[], Tokenizer]] = {"wide": _wide, "bare": _bare, "spaces": _spaces}
SMALL = ["byte-fallback BPE, stories260k", "WordPiece, MiniLM"]
"""The firmware as it is built for a table: nothing but what that asks for."""
REST = [kind for kind in [*PARTLY, *OTHERS, "odd added tokens", "first", "gpt2"] if not kind.startswith("Unigram")]
CHANGING = [*OTHERS, "byte fallback", "odd added tokens", "first", "llama3", "word piece"]


@functools.cache
def _strings() -> list[str]:
    strings: list[str] = json.loads(STRINGS.read_text(encoding="utf-8"))
    assert len(strings) == 10_000
    return strings


@needs_shared
@pytest.mark.parametrize("kind", SMALL)
def test_every_string_has_the_ids_and_the_text_of_hugging_face(programs: Programs, kind: str) -> None:
    _compare(_opened(programs, kind, _of_kind(kind)[2].macros), kind, _strings())


@needs_shared
@pytest.mark.parametrize("kind", REST)
def test_other_tables_have_the_ids_and_the_text_of_hugging_face(programs: Programs, kind: str) -> None:
    _compare(_opened(programs, kind), kind, _strings()[::10])


@pytest.mark.parametrize("kind", CHANGING)
@settings(max_examples=25)
@given(text=TEXTS)
def test_any_text_has_the_ids_and_the_text_of_hugging_face(programs: Programs, kind: str, text: str) -> None:
    tokenizer, _, needs = _of_kind(kind)
    program = _opened(programs, kind)
    ids = tokenizer.encode(text).ids
    content = text.encode()
    assert program.encode(content, needs.work.of(len(content))) == ids
    for skip in (True, False):
        assert program.decode(ids, needs.out, skip) == tokenizer.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", CHANGING)
@settings(max_examples=25)
@given(ids=st.lists(st.integers(0, 2300), max_size=12))
def test_any_ids_have_the_text_of_hugging_face(programs: Programs, kind: str, ids: list[int]) -> None:
    tokenizer, _, needs = _of_kind(kind)
    program = _opened(programs, kind)
    for skip in (True, False):
        assert program.decode(ids, needs.out, skip) == tokenizer.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", ["first", "odd added tokens"])
def test_fragments_beside_each_other(programs: Programs, kind: str) -> None:
    tokenizer, _, needs = _of_kind(kind)
    program = _opened(programs, kind)
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
    tokenizer, _, needs = _of_kind(kind)
    program = _opened(programs, kind)
    chance = random.Random(1)
    for _ in range(300):
        ids: list[int] = []
        while len(ids) < 90:
            run = "".join(chance.choices("aé日👩", k=chance.randrange(20))).encode()
            run = run[: chance.choice((len(run), chance.randrange(len(run) + 1)))] + chance.choice((b"", b"", b"\xff"))
            ids += [*(3 + byte for byte in run), *chance.choices([1, 300, 5000], k=chance.randrange(3))]
        stream = TextStream(DeviceTokenizer(tokenizer.to_str().encode(), 1))
        assert program.decode(ids, needs.out) == "".join(map(stream.feed, ids)) + stream.finish()


# ---- Memory, and texts that are none


@pytest.mark.parametrize("kind", ["byte fallback", "bare", "llama3", "word piece", "odd added tokens"])
def test_too_little_memory_is_an_error_and_nothing_is_written_beside_it(programs: Programs, kind: str) -> None:
    tokenizer, _, needs = _of_kind(kind)
    program = _opened(programs, kind)
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
    tokenizer, _, needs = _of_kind(kind)
    content = text.encode()
    assert _opened(programs, kind).encode(content, needs.work.of(len(content))) == tokenizer.encode(text).ids


def test_ids_beyond_the_room_are_counted_but_not_written(programs: Programs) -> None:
    tokenizer, _, needs = _of_kind("byte fallback")
    program = _opened(programs, "byte fallback")
    ids = tokenizer.encode("The king of men").ids
    for most in range(len(ids) + 1):
        assert program.encode(b"The king of men", needs.work.of(15), most) == ids[:most]


@given(text=st.binary(max_size=12))
def test_bytes_that_are_no_utf8_are_refused(programs: Programs, text: bytes) -> None:
    program = _opened(programs, "byte fallback")
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
    assert _opened(programs, "byte fallback").encode(text, 200) == NOT_UTF8


# ---- Damage


def _sealed(content: bytes) -> bytes:
    """With the checksum that fits its bytes, as someone who means harm would write it."""
    return content[:16] + zlib.crc32(content[32:]).to_bytes(4, "little") + content[20:]


@pytest.mark.parametrize("kind", ["byte fallback", "gpt2", "word piece"])
def test_a_changed_byte_or_a_lost_end_is_found_when_the_table_is_opened(programs: Programs, kind: str) -> None:
    program = _opened(programs, kind)
    content = _of_kind(kind)[1]
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
    content, needs = _of_kind(kind)[1:]
    program = _opened(programs, kind)
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
    program = programs(_of_kind("byte fallback")[2].macros)
    for kind in ("word piece", "wide"):
        assert program.open(_of_kind(kind)[1]) == UNSUPPORTED
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
    needs = _of_kind("byte fallback")[2]
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
    _run("cc", *WARNINGS, "-O1", "-fsyntax-only", *_flags(model), *sorted(SOURCES.glob("*.c")))


# ---- For a microcontroller


def _flash(folder: Path, core: str, macros: Mapping[str, int], optimize: str = "-Os") -> tuple[int, set[str]]:
    """Bytes of flash, and the functions that must come from elsewhere."""
    flags = [
        *WARNINGS,
        f"-mcpu={core}",
        "-mthumb",
        optimize,
        "-ffunction-sections",
        "-fno-tree-loop-distribute-patterns",
    ]
    _run(
        "arm-none-eabi-gcc",
        *flags,
        *_flags(macros),
        "-r",
        "-nostdlib",
        *sorted(SOURCES.glob("*.c")),
        "-o",
        folder / "all.o",
    )
    sizes = _run("arm-none-eabi-size", folder / "all.o").splitlines()[1].split()
    assert sizes[1:3] == ["0", "0"]  # no RAM of its own
    return int(sizes[0]), {line.split()[-1] for line in _run("arm-none-eabi-nm", "-u", folder / "all.o").splitlines()}


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
