"""The steps that text goes through before the model sees it: the normalizer's and the pre-tokenizer's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from .token_charsmap import Charsmap
from .token_content import TokenContent, damaged
from .token_forms import compose, read_compositions, reorder
from .token_memory import Remembered
from .token_pattern import Classes, cut, letters_of, read_program

_MAP, _REORDER, _COMPOSE, _CHARSMAP, _STRIP, _SUBSTITUTE, _PREFIX, _SPLIT = range(1, 9)
_SHIFT, _TEXT, _SYLLABLE = range(3)
_SELF = b"\xff"

Piece = tuple[str, bool]
"""A text, and whether its first character is the first of the whole text."""
Step = Callable[[str, bool], list[Piece]]


class TextSteps:
    """Steps of one table. Piece by piece in, piece by piece out; empty ones are left out."""

    def __init__(self, content: TokenContent, tag: str, classes: Classes) -> None:
        self._content = content
        self._classes = classes
        self._steps = [self._read(*record) for record in content.records(tag, "<BBHIII")]

    def run(self, text: str, first: bool) -> list[Piece]:
        pieces = [(text, first)]
        most = 64 * len(text) + 65_536  # the longest that one character becomes in Unicode is 18
        for step in self._steps:
            pieces = [made for text, first in pieces for made in step(text, first) if made[0]]
            if sum(len(text) for text, _ in pieces) > most:
                raise damaged("it makes texts longer without end")
        return pieces

    def _read(self, kind: int, a: int, b: int, x: int, y: int, z: int) -> Step:
        if kind == _MAP:
            mapping = Remembered(_CharacterMap(self._content, x, y).became)
            # A first character that goes takes the beginning of the text with it.
            return lambda text, first: [(text.translate(mapping), first and mapping[ord(text[0])] != "")]
        if kind == _REORDER:
            marks = read_marks(self._content)
            return lambda text, first: [(reorder(text, marks), first)]
        if kind == _COMPOSE:
            marks, pairs = read_marks(self._content), read_compositions(self._content)
            return lambda text, first: [(compose(text, marks, pairs), first)]
        if kind == _CHARSMAP:
            charsmap = Charsmap(self._content, self._classes)
            return lambda text, first: [(charsmap.replace(text), first)]
        if kind == _STRIP:
            return self._strip(bool(a), bool(b), x)
        if kind == _SUBSTITUTE:
            return self._substitute(x, y, z)
        if kind == _PREFIX:
            return self._prefix(bool(a), bool(b), x)
        if kind == _SPLIT:
            return self._split(a, bool(b), x, y)
        raise damaged(f"a step of kind {kind}")

    def _strip(self, left: bool, right: bool, mask: int) -> Step:
        spaces = letters_of(mask).strip("[]")

        def strip(text: str, first: bool) -> list[Piece]:
            letters = self._classes.letters(text)
            start = len(letters) - len(letters.lstrip(spaces)) if left else 0
            end = len(letters.rstrip(spaces)) if right else len(letters)
            return [(text[start:end], first and start == 0)]

        return strip

    def _substitute(self, start: int, count: int, offset: int) -> Step:
        pattern = read_program(self._content, start, count)
        new = self._content.text(offset).decode()

        def substitute(text: str, first: bool) -> list[Piece]:
            made, at = [], 0
            for found in pattern.finditer(self._classes.letters(text)):
                made += [text[at : found.start()], new]
                at = found.end()
                if found.start() == 0:
                    # What stands for several characters counts as the last of them.
                    first = first and found.end() == 1 and new != ""
            return [("".join([*made, text[at:]]), first)]

        return substitute

    def _prefix(self, unless_there: bool, only_first: bool, offset: int) -> Step:
        prefix = self._content.text(offset).decode()

        def put_before(text: str, first: bool) -> list[Piece]:
            if (only_first and not first) or (unless_there and text.startswith(prefix)):
                return [(text, first)]
            return [(prefix + text, first)]

        return put_before

    def _split(self, behavior: int, inverted: bool, start: int, count: int) -> Step:
        pattern = read_program(self._content, start, count)

        def split(text: str, first: bool) -> list[Piece]:
            spans = cut(pattern, self._classes.letters(text), behavior, inverted)
            return [(text[start:end], first and start == 0) for start, end in spans]

        return split


class _CharacterMap:
    """Ranges of code points, in order, and what becomes of each of theirs."""

    def __init__(self, content: TokenContent, start: int, count: int) -> None:
        self._content = content
        self._ranges = content.records("MAPS", "<IHBBi")[start : start + count]
        if len(self._ranges) != count:
            raise damaged("a map of characters lies outside it")
        self._firsts = [first for first, *_ in self._ranges]

    def became(self, code_point: int) -> str:
        place = bisect_right(self._firsts, code_point) - 1
        if place < 0:
            return chr(code_point)
        first, count, stride, kind, value = self._ranges[place]
        beyond = code_point - first
        if not stride or beyond >= count * stride or beyond % stride:
            return chr(code_point)
        if kind == _SHIFT:
            return chr(code_point + value)
        if kind == _TEXT:
            return self._content.text(value).replace(_SELF, chr(code_point).encode()).decode()
        if kind == _SYLLABLE:
            parts = (0x1100 + beyond // 588, 0x1161 + beyond % 588 // 28, 0x11A7 + beyond % 28)
            return "".join(map(chr, parts[: 3 if beyond % 28 else 2]))
        raise damaged(f"a map of characters of kind {kind}")


def read_marks(content: TokenContent) -> dict[int, int]:
    """Code point -> canonical combining class, for those above 0."""
    marks: dict[int, int] = {}
    for first, count, number in content.records("MARK", "<IHH"):
        if len(marks) > 0xFFFF:
            raise damaged("it has more combining marks than there are")
        marks.update(dict.fromkeys(range(first, first + count), number))
    return marks
