"""The regular expressions of tokenizer.json, as far as a table can hold them: choices of runs of character sets.

Which code points a set has is not decided here: its source is kept as it stands, for Oniguruma to answer
(`code_points.py`). What is more than that (anchors, look-behind, repeated groups, lazy runs) is refused by name.
"""

from __future__ import annotations

import re

from edgeslm.errors import UnsupportedError
from edgeslm.tokenizer.specification import UNLIMITED, Choice, NotNext, Run

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What the pre-tokenizer ByteLevel splits by."""

_SET = re.compile(r"\\[pP]\{\^?[A-Za-z_ ]+\}|\\[sSdDwWrnt]|\\[^A-Za-z0-9]|[^\\\[\](){}|?*+^$.]", re.DOTALL)
_TIMES = re.compile(r"([?*+]|\{(\d+)(,?)(\d*)\})")
_MOST_SEQUENCES = 64

Node = Run | NotNext | Choice


def parse_pattern(source: str, part: str) -> Choice:
    """The tree of a regular expression in Oniguruma's syntax. `part` names its place in tokenizer.json.

    Raises UnsupportedError, which names both.
    """
    reader = _Reader(source, part)
    choice = reader.choice(folded=False)
    if reader.at < len(source):
        raise reader.refusal()
    if _least(choice) == 0:
        raise UnsupportedError(f"{part}: the pattern {source!r} matches where there is nothing")
    return choice


def literal(text: str) -> Choice:
    """The pattern of a plain text."""
    return Choice((tuple(Run(f"onig:{re.escape(character)}") for character in text),))


def single(source: str) -> Choice:
    """The pattern of one character of a set."""
    return Choice(((Run(source),),))


def _least(node: Node) -> int:
    if isinstance(node, Choice):
        return min(sum(map(_least, sequence)) for sequence in node.sequences)
    return node.least if isinstance(node, Run) else 0


class _Reader:
    def __init__(self, source: str, part: str) -> None:
        self._source = source
        self._part = part
        self.at = 0

    def refusal(self) -> UnsupportedError:
        here = self._source[self.at : self.at + 12]
        return UnsupportedError(
            f"{self._part}: the pattern {self._source!r} cannot be put into a table, from {here!r} on",
            "runs of character sets, choices between them and (?!set) are supported",
        )

    def choice(self, folded: bool) -> Choice:
        sequences = [self._sequence(folded)]
        while self._take("|"):
            sequences.append(self._sequence(folded))
        if len(sequences) > _MOST_SEQUENCES:
            raise self.refusal()
        return Choice(tuple(sequences))

    def _sequence(self, folded: bool) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while self.at < len(self._source) and self._source[self.at] not in "|)":
            nodes.append(self._node(folded))
        return tuple(nodes)

    def _node(self, folded: bool) -> Node:
        if self._take("(?!"):
            source = self._set(folded)
            self._expect(")")
            return NotNext(source)
        for opening, folds in (("(?i:", True), ("(?:", folded)):
            if self._take(opening):
                choice = self.choice(folds)
                self._expect(")")
                if self._take("?"):
                    if self._source[self.at : self.at + 1] in ("?", "+"):
                        raise self.refusal()
                    return Choice((*choice.sequences, ()))
                return choice
        return self._run(self._set(folded))

    def _run(self, source: str) -> Run:
        found = _TIMES.match(self._source, self.at)
        if not found:
            return Run(source)
        least, most = {"?": (0, 1), "*": (0, UNLIMITED), "+": (1, UNLIMITED)}.get(found[1], (-1, -1))
        if least < 0:
            least = int(found[2])
            most = (int(found[4]) if found[4] else UNLIMITED) if found[3] else least
        if not least <= most <= UNLIMITED or least >= UNLIMITED or (found[4] and most == UNLIMITED):
            raise self.refusal()
        self.at = found.end()
        # After {…} a + repeats the repetition, in Oniguruma's syntax; a ? makes any of them lazy.
        possessive = found[1] in "?*+" and self._take("+")
        if self._source[self.at : self.at + 1] in ("?", "*", "+", "{"):
            raise self.refusal()
        return Run(source, least, most, possessive)

    def _set(self, folded: bool) -> str:
        start = self.at
        if self._source.startswith("[", self.at):
            self.at = self._bracket_end()
        else:
            found = _SET.match(self._source, self.at)
            if not found:
                raise self.refusal()
            self.at = found.end()
        source = self._source[start : self.at]
        if not folded:
            return f"onig:{source}"
        if self.at - start == 1 and _folds_with_neighbours(source, self._source[self.at : self.at + 1]):
            self.at = start
            raise self.refusal()
        return f"onig:(?i:{source})"

    def _bracket_end(self) -> int:
        """Behind the bracket that closes the one here; sets within sets count, escaped brackets do not."""
        depth, at = 0, self.at
        while at < len(self._source):
            character = self._source[at]
            if character == "\\":
                at += 1
            elif character == "[":
                depth += 1
            elif character == "]":
                depth -= 1
                if depth == 0:
                    return at + 1
            at += 1
        raise self.refusal()

    def _take(self, text: str) -> bool:
        there = self._source.startswith(text, self.at)
        self.at += len(text) * there
        return there

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self.refusal()


# Two letters that one character folds to, as the sharp s does: without regard to case they match it as a pair.
_PAIRS = frozenset({"ss", "ff", "fi", "fl", "st"})


def _folds_with_neighbours(letter: str, following: str) -> bool:
    return (letter + following).lower() in _PAIRS
