"""Classes of characters, and the patterns over them that cut a text into words.

A text is first written as one letter for each character's class. A pattern is then a regular expression over at most
32 letters, whatever the script, and what Python knows of Unicode plays no part.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence

from .token_content import TokenContent, damaged
from .token_memory import Remembered

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
"""Of the classes 0 to 31."""
_MATCH, _RUN, _NOT_NEXT, _FORK, _JUMP = range(5)
_UNLIMITED = 255
_MOST_ENDLESS = 2
_LONGEST = 20_000

Span = tuple[int, int]


class Classes:
    def __init__(self, content: TokenContent) -> None:
        self._starts = content.numbers("CLAS")
        self._letters = Remembered(self._letter)

    def letters(self, text: str) -> str:
        """One letter for each character."""
        return text.translate(self._letters)

    def _letter(self, code_point: int) -> str:
        place = bisect_right(self._starts, code_point << 8 | 0xFF) - 1
        if place < 0 or self._starts[place] & 0xFF >= len(LETTERS):
            raise damaged("a character without a class")
        return LETTERS[self._starts[place] & 0xFF]


def letters_of(mask: int) -> str:
    """The set of a mask, as a part of a regular expression."""
    chosen = "".join(letter for place, letter in enumerate(LETTERS) if mask >> place & 1)
    return f"[{chosen}]" if chosen else "(?!)"


def read_program(content: TokenContent, start: int, count: int) -> re.Pattern[str]:
    """The regular expression of a program, over letters. It never matches where there is nothing."""
    section = content.records("PROG", "<BBBBI")
    program = section[start : start + count]
    if not program or len(program) != count:
        raise damaged("a pattern lies outside it")
    # Jumps only go forward, so from the end on, what follows an instruction is known when its turn comes.
    sources: list[str] = [""] * (count + 1)
    shortest = [0] * (count + 1)
    endless = [0] * (count + 1)
    for place in range(count - 1, -1, -1):
        kind, least, most, possessive, value = program[place]
        if kind == _MATCH:
            continue
        following = place + 1
        if kind in (_FORK, _JUMP) and not place < value < count:
            raise damaged("a pattern jumps backwards, or out of itself")
        if kind == _JUMP:
            following = value
        if following == count:
            raise damaged("a pattern has no end")
        sources[place], shortest[place], endless[place] = sources[following], shortest[following], endless[following]
        if kind == _RUN:
            times = f"{{{least},{'' if most == _UNLIMITED else most}}}"
            sources[place] = f"{letters_of(value)}{times}{'+' if possessive else ''}{sources[following]}"
            shortest[place] += least
            endless[place] += most > 3 and not possessive
        elif kind == _NOT_NEXT:
            sources[place] = f"(?!{letters_of(value)}){sources[following]}"
        elif kind == _FORK:
            sources[place] = f"(?:{sources[following]}|{sources[value]})"
            shortest[place] = min(shortest[following], shortest[value])
            endless[place] = max(endless[following], endless[value])
        elif kind != _JUMP:
            raise damaged(f"a pattern has an instruction {kind}")
        if len(sources[place]) > _LONGEST:
            raise damaged("a pattern without bounds")
    if not shortest[0] or endless[0] > _MOST_ENDLESS:
        raise damaged("a pattern that matches nothing, or takes too long")
    try:
        return re.compile(sources[0])
    except (re.error, RecursionError, OverflowError):
        raise damaged("a pattern that is none") from None


def cut(pattern: re.Pattern[str], letters: str, behavior: int, inverted: bool) -> list[Span]:
    """The pieces of a text, by its letters: what to do with matches is `behavior` (docs/tokenizer.md)."""
    spans: list[tuple[int, int, bool]] = []
    at = 0
    for found in pattern.finditer(letters):
        start, end = found.span()
        if start > at:
            spans.append((at, start, inverted))
        spans.append((start, end, not inverted))
        at = end
    if at < len(letters):
        spans.append((at, len(letters), inverted))
    if behavior == 0:
        return [(start, end) for start, end, matched in spans if not matched]
    if behavior == 1:
        return [(start, end) for start, end, _ in spans]
    if behavior == 2:
        return _joined(spans, lambda before, matched: before == matched)
    if behavior == 3:
        return _joined(spans, lambda before, matched: matched and not before)
    if behavior == 4:
        mirrored = [(-end, -start, matched) for start, end, matched in reversed(spans)]
        return [
            (-end, -start) for start, end in reversed(_joined(mirrored, lambda before, matched: matched and not before))
        ]
    raise damaged(f"a split of kind {behavior}")


def _joined(spans: Sequence[tuple[int, int, bool]], joins: Callable[[bool, bool], bool]) -> list[Span]:
    """The spans, each made one with the last where `joins` says so of whether either is a match."""
    result: list[Span] = []
    before = False
    for start, end, matched in spans:
        if result and joins(before, matched):
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
        before = matched
    return result
