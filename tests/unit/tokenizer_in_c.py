"""The tokenizer in C as a program of this machine, under the sanitizers, and the tokenizers that it is tried with."""

from __future__ import annotations

import contextlib
import functools
import json
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers

from edgeslm.tokenizer.features import Features, features_of
from tests.unit.test_tokenizer_properties import KINDS
from tests.unit.test_tokenizer_table import PARTLY, WHOLE
from tests.unit.tokenizer_examples import ROOT, byte_fallback, compiled, plain

SOURCES = ROOT / "firmware_templates" / "tokenizer"
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-fno-strict-aliasing", f"-I{SOURCES}"]
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

_NAMES = """
    BPE BYTE_FALLBACK BYTE_LEVEL WHOLE_WORDS UNKNOWN WORDPIECE MAP MAP_TEXTS FORMS STRIP SUBSTITUTE PREFIX SPLIT ADDED
    ADDED_NORMALIZED ADDED_BESIDE DECODE_NOTHING DECODE_BYTES DECODE_FALLBACK DECODE_WORDPIECES DECODE_REPLACE
    DECODE_SPACES DECODE_STRIP
"""
EVERYTHING = {f"EDGESLM_TOKENIZER_{name}": 1 for name in _NAMES.split()}


def flags(macros: Mapping[str, int]) -> list[str]:
    return [f"-D{name}={value}" for name, value in macros.items()]


def run_tool(*command: str | Path) -> str:
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


@contextlib.contextmanager
def running_programs(folder: Path) -> Iterator[Programs]:
    """Macros -> the program with what they say, built once and running until the end."""
    running: dict[tuple[str, ...], Program] = {}

    def program(macros: Mapping[str, int]) -> Program:
        key = tuple(sorted(flags(macros)))
        if key not in running:
            file = folder / f"tokenizer{len(running)}"
            sources = [*sorted(SOURCES.glob("*.c")), Path(__file__).with_name("tokenizer_program.c")]
            run_tool("cc", *WARNINGS, *SANITIZERS, *key, *sources, "-o", file)
            running[key] = Program(file)
        return running[key]

    yield program
    for one in running.values():
        one.close()


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
def of_kind(kind: str) -> tuple[Tokenizer, bytes, Features]:
    tokenizer = plain({**WHOLE, **PARTLY, **KINDS, **OTHERS}[kind]())
    table = compiled(tokenizer)
    return tokenizer, table, features_of(table)


def opened(programs: Programs, kind: str, macros: Mapping[str, int] | None = None) -> Program:
    _, table, needs = of_kind(kind)
    width = {"EDGESLM_TOKENIZER_ID_BYTES": needs.macros["EDGESLM_TOKENIZER_ID_BYTES"]}
    program = programs({**EVERYTHING, **width} if macros is None else macros)
    assert program.open(table) == 0
    return program
