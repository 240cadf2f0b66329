"""The tokenizer in Java as a process that answers questions, so that one JVM serves all tests."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from tests.android.jvm import Classes

MAIN: Final = "org.edgeslm.tokenizer.TokenizerProgram"
_UNLIMITED: Final = 0x7FFFFFFF
Answer = TypeVar("Answer")


class TableError(Exception):
    """A TokenizerException: its class's name and its words. Whatever else Java throws ends the program."""


class Program:
    """The tokenizer of one table at a time. Where the JVM died, methods raise AssertionError with its words."""

    def __init__(self, classes: Classes, log: Path) -> None:
        self._log = log.open("w+b")
        command = classes.command(MAIN, options=["-Xmx256m"])
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)

    def open(self, table: bytes) -> None:
        self._send(b"T" + struct.pack(">I", len(table)) + table)
        self._status()

    def encode(self, text: str, special: bool = True, most: int = _UNLIMITED) -> list[int]:
        return _only(self.encode_all([text], special, most))

    def encode_all(
        self, texts: Sequence[str], special: bool = True, most: int = _UNLIMITED
    ) -> list[list[int] | TableError]:
        """The ids of each, or what was raised."""
        units = [text.encode("utf-16-be", "surrogatepass") for text in texts]
        questions = [struct.pack(">I", len(one) // 2) + one for one in units]
        return self._ask(b"E", special, questions, self._numbers, most)

    def decode(self, ids: Sequence[int], skip: bool = True) -> str:
        return _only(self.decode_all([ids], skip))

    def decode_all(self, lists: Sequence[Sequence[int]], skip: bool = True) -> list[str | TableError]:
        """The text of each, or what was raised."""
        return self._ask(b"D", skip, [*map(_packed, lists)], lambda: self._texts()[0])

    def stream_all(self, lists: Sequence[Sequence[int]]) -> list[list[str] | TableError]:
        """For each, what TextStream gives for each id, and then at the end."""
        return self._ask(b"S", False, [*map(_packed, lists)], self._texts)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *raised: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        status = self._process.wait()
        self._log.close()
        assert status == 0

    def _ask(
        self,
        request: bytes,
        flag: bool,
        questions: Sequence[bytes],
        read: Callable[[], Answer],
        most: int = 0,
    ) -> list[Answer | TableError]:
        """Some at a time: a pipe holds 64 KiB, and both sides would wait for each other."""
        answers: list[Answer | TableError] = []
        some: list[bytes] = []
        for place, question in enumerate(questions, 1):
            some.append(question)
            if place == len(questions) or len(some) == 20 or len(question) > 1_000:
                self._send(request + struct.pack(">iii", flag, most, len(some)) + b"".join(some))
                answers += [self._one(read) for _ in some]
                some.clear()
        return answers

    def _one(self, read: Callable[[], Answer]) -> Answer | TableError:
        try:
            self._status()
        except TableError as error:
            return error
        return read()

    def _status(self) -> None:
        if self._number() < 0:
            raise TableError(self._text())

    def _numbers(self) -> list[int]:
        count = self._number()
        return list(struct.unpack(f">{count}i", self._read(4 * count)))

    def _texts(self) -> list[str]:
        return [self._text() for _ in range(self._number())]

    def _text(self) -> str:
        return self._read(2 * self._number()).decode("utf-16-be", "surrogatepass")

    def _number(self) -> int:
        return int.from_bytes(self._read(4), "big", signed=True)

    def _send(self, content: bytes) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(content)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def _read(self, count: int) -> bytes:
        assert self._process.stdout
        content = self._process.stdout.read(count)
        if len(content) < count:
            self._fail()
        return content

    def _fail(self) -> None:
        self._process.wait()
        self._log.seek(0)
        raise AssertionError(self._log.read().decode(errors="replace"))


def _packed(ids: Sequence[int]) -> bytes:
    return struct.pack(f">I{len(ids)}i", len(ids), *ids)


def _only(answers: list[Answer | TableError]) -> Answer:
    if isinstance(answers[0], TableError):
        raise answers[0]
    return answers[0]
