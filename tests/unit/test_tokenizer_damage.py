"""Damaged tables give a BundleError or an answer; what a table cannot hold is refused by name; bytes are the same."""

from __future__ import annotations

import functools
import json
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

from edgeslm.device.errors import BundleError
from edgeslm.device.token_table import TokenTable
from edgeslm.errors import CheckpointError, UnsupportedError
from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.specification import BytePairs, Fuse
from edgeslm.tokenizer.table import compile_table
from tests.unit.tokenizer_examples import (
    LLAMA3,
    ROOT,
    STORIES,
    byte_fallback,
    byte_level,
    compiled,
    needs_shared,
    precompiled,
    unigram,
    word_piece,
)

KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte fallback": byte_fallback,
    "byte level": functools.partial(byte_level, LLAMA3, normalizer=normalizers.NFC()),
    "word piece": word_piece,
    "charsmap": lambda: unigram(normalizers.Sequence([precompiled(), normalizers.Replace(Regex(" {2,}"), " ")])),
}
TEXT = "  Ça va? <s> the king's <mask> e\u0301 각 12345 日本 👩\u200d👩\n\n\tdon't"


@functools.cache
def _table(kind: str) -> bytes:
    return compiled(KINDS[kind]())


def _sealed(content: bytes) -> bytes:
    """With the checksum that fits its bytes, as someone who means harm would write it."""
    return content[:16] + zlib.crc32(content[32:]).to_bytes(4, "little") + content[20:]


def _use(content: bytes) -> None:
    table = TokenTable(content)
    table.decode([*table.encode(TEXT), *range(0, 2000, 90), -1, 1 << 40], skip_special=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_or_a_lost_end_is_found_when_the_table_is_opened(kind: str) -> None:
    content = _table(kind)
    chance = random.Random(kind)
    for _ in range(60):
        place = chance.randrange(len(content))
        changed = content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]
        if 24 <= place < 32:  # reserved
            continue
        for broken in (changed, content[:place], content + content[:place]):
            with pytest.raises(BundleError):
                TokenTable(broken)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_with_wrong_content_gives_an_answer_or_a_bundle_error(kind: str) -> None:
    content = _table(kind)
    chance = random.Random(kind)
    # Half of the changes hit what steers: directory, steps, programs, which lie among large sections.
    sections = [content[at : at + 16] for at in range(32, 32 + 16 * content[20], 16)]
    spans = [(int.from_bytes(one[4:8], "little"), int.from_bytes(one[8:12], "little")) for one in sections]
    answers = 0
    for turn in range(350):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 5))):
            start, size = chance.choice([*spans, (32, 16 * len(spans))]) if turn % 4 else (32, len(content) - 32)
            place = start + chance.randrange(min(size, 400) if turn % 2 else size)
            changed[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        try:
            _use(_sealed(bytes(changed)))
            answers += 1
        except BundleError:
            continue
    assert answers > 10


def _section(content: bytes, tag: bytes) -> tuple[int, int]:
    """(place of its directory entry, offset)."""
    entry = content.index(tag, 32)
    return entry, int.from_bytes(content[entry + 4 : entry + 8], "little")


def test_a_section_outside_the_table_is_damage() -> None:
    content = _table("word piece")
    entry, _ = _section(content, b"TOKT")
    changed = content[: entry + 8] + b"\xff\xff\xff\x7f" + content[entry + 12 :]
    with pytest.raises(BundleError, match="does not fit"):
        TokenTable(_sealed(changed))


def test_a_pattern_that_jumps_backwards_is_damage() -> None:
    content = _table("byte level")
    _, start = _section(content, b"PROG")
    assert content[start] == 3  # FORK
    with pytest.raises(BundleError, match="backwards"):
        TokenTable(_sealed(content[: start + 4] + b"\0\0\0\0" + content[start + 8 :]))


def test_a_table_of_a_newer_version_says_so() -> None:
    content = _table("word piece")
    with pytest.raises(BundleError, match="version 2"):
        TokenTable(content[:8] + b"\2\0\0\0" + content[12:])


def test_the_same_tokenizer_gives_the_same_bytes_in_every_run() -> None:
    document = byte_level(LLAMA3).to_str()
    script = (
        "import sys, hashlib; from edgeslm.tokenizer.read import read_specification as r;"
        "from edgeslm.tokenizer.table import compile_table as c;"
        "print(hashlib.sha256(c(r(sys.stdin.buffer.read()))).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            input=document.encode(),
            capture_output=True,
            check=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@needs_shared
def test_a_specification_says_what_the_file_asks_for() -> None:
    specification = read_specification(STORIES.read_bytes())
    model = specification.model
    assert isinstance(model, BytePairs)
    assert (len(model.vocabulary), model.unknown, model.fuse_unknown, model.byte_fallback) == (512, 0, True, True)
    assert (specification.before, specification.after) == ((1,), ())
    assert [token.shown for token in specification.added] == ["<unk>", "<s>", "</s>"]
    assert specification.decoder is not None
    assert Fuse() in specification.decoder
    assert len(compile_table(specification)) < 10_000


def _changed(tokenizer: Tokenizer, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(tokenizer.to_str())
    change(document)
    return json.dumps(document).encode()


def _split(pattern: str) -> dict[str, Any]:
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer = word_piece()
    tokenizer.pre_tokenizer = split
    part: dict[str, Any] = json.loads(tokenizer.to_str())["pre_tokenizer"]
    return part


REFUSED: dict[str, Callable[[dict[str, Any]], object]] = {
    r"model\.dropout: 0\.1": lambda document: document["model"].update(dropout=0.1),
    r"model\.end_of_word_suffix: '</w>'": lambda document: document["model"].update(end_of_word_suffix="</w>"),
    r"decoder: CTC": lambda document: document.update(
        decoder={"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}
    ),
    r"decoder: ByteLevel without": lambda document: document.update(
        decoder={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    ),
    r"normalizer: ByteLevel": lambda document: document.update(normalizer={"type": "ByteLevel"}),
    r"pre_tokenizer: UnicodeScripts": lambda document: document.update(pre_tokenizer={"type": "UnicodeScripts"}),
    r"pre_tokenizer: Split: the pattern .* from '\(\?<=": lambda document: document.update(
        pre_tokenizer=_split(r"(?<=a)b")
    ),
    r"pre_tokenizer: Split: .* matches where": lambda document: document.update(pre_tokenizer=_split(r"a*")),
    r"pre_tokenizer: Split: .* from '\?": lambda document: document.update(pre_tokenizer=_split(r"a+?b")),
    r"so many choices": lambda document: document.update(pre_tokenizer=_split("(?:a|b|c|d)" * 5)),
    r"three endless runs": lambda document: document.update(pre_tokenizer=_split(r"\s*\w*\p{L}+x")),
}


@pytest.mark.parametrize("part", REFUSED)
def test_what_a_table_cannot_hold_is_refused_by_its_name(part: str) -> None:
    content = _changed(byte_fallback(), REFUSED[part])
    with pytest.raises(UnsupportedError, match=part):
        compile_table(read_specification(content))


@pytest.mark.parametrize("cut", [0, 1, 500, 5000])
def test_a_damaged_file_is_a_checkpoint_error(cut: int) -> None:
    with pytest.raises(CheckpointError, match=r"my/tokenizer\.json cannot be read"):
        read_specification(byte_fallback().to_str().encode()[:cut], "my/tokenizer.json")


def test_an_unknown_token_outside_the_vocabulary_is_a_checkpoint_error() -> None:
    content = _changed(byte_fallback(), lambda document: document["model"].update(unk_token="<none>"))
    with pytest.raises(CheckpointError, match="<none>"):
        read_specification(content)
