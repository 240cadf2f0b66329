"""Patterns and steps written as records of fixed size: docs/tokenizer.md gives their fields."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from edgeslm.errors import UnsupportedError
from edgeslm.tokenizer.character_maps import fused, write_map
from edgeslm.tokenizer.classes import Classes
from edgeslm.tokenizer.code_points import mapped, members, sample_starts
from edgeslm.tokenizer.specification import (
    CharacterMap,
    Charsmap,
    Choice,
    Compose,
    NotNext,
    Prefix,
    Reorder,
    Run,
    Split,
    Step,
    Strip,
    Substitute,
)
from edgeslm.tokenizer.text_pool import TextPool

MATCH, RUN, NOT_NEXT, FORK, JUMP = range(5)
MAP, REORDER, COMPOSE, CHARSMAP, STRIP, SUBSTITUTE, PREFIX, SPLIT = range(1, 9)
_BEHAVIORS: Final = ("removed", "isolated", "contiguous", "merged_with_previous", "merged_with_next")
_MOST_ENDLESS = 2
_MOST_WAYS = 400

Instruction = tuple[int, int, int, int, int]
"""Operation, least, most, possessive, value."""


def sources_of(steps: Sequence[Step]) -> Iterator[str]:
    """The sets that steps ask about."""
    for step in steps:
        if isinstance(step, Strip):
            yield "rust:white_space"
        elif isinstance(step, Split) or (isinstance(step, Substitute) and _single(step.pattern) is None):
            yield from _sources(step.pattern)


def _sources(node: Run | NotNext | Choice) -> Iterator[str]:
    if isinstance(node, Choice):
        for inner in itertools.chain.from_iterable(node.sequences):
            yield from _sources(inner)
    else:
        yield node.source


class StepWriter:
    """Writes steps; `maps` and `programs` gather what their records point into."""

    def __init__(self, classes: Classes, pool: TextPool) -> None:
        self._classes = classes
        self._pool = pool
        self.maps = bytearray()
        self.programs = bytearray()

    def write(self, steps: Sequence[Step]) -> bytes:
        """16 bytes a step; character maps that follow each other become one."""
        records = bytearray()
        mappings: list[dict[int, str]] = []
        for step in steps:
            mapping = _mapping(step)
            if mapping is not None:
                mappings.append(mapping)
                continue
            records += self._map(mappings) + self._record(step)
            mappings = []
        return bytes(records + self._map(mappings))

    def _map(self, mappings: Sequence[dict[int, str]]) -> bytes:
        if not mappings:
            return b""
        start = len(self.maps) // 12
        self.maps += write_map(fused(mappings), self._pool)
        return _packed(MAP, x=start, y=len(self.maps) // 12 - start)

    def _record(self, step: Step) -> bytes:
        if isinstance(step, Reorder):
            return _packed(REORDER)
        if isinstance(step, Compose):
            return _packed(COMPOSE)
        if isinstance(step, Charsmap):
            return _packed(CHARSMAP)
        if isinstance(step, Strip):
            return _packed(STRIP, step.left, step.right, self._classes.masks["rust:white_space"])
        if isinstance(step, Prefix):
            return _packed(PREFIX, step.unless_there, step.first, self._pool.add(step.text.encode()))
        if isinstance(step, Substitute):
            return _packed(SUBSTITUTE, 0, 0, *self._program(step.pattern), self._pool.add(step.content.encode()))
        assert isinstance(step, Split)
        return _packed(SPLIT, _BEHAVIORS.index(step.behavior), step.inverted, *self._program(step.pattern))

    def _program(self, pattern: Choice) -> tuple[int, int]:
        """Where the pattern's program begins, and how many instructions it has."""
        if _endless(pattern) > _MOST_ENDLESS:
            raise UnsupportedError("a pattern with three endless runs in a row would take too long on a device")
        if _ways(pattern, 0) > _MOST_WAYS:
            raise UnsupportedError("a pattern with so many choices in a row would take too long on a device")
        start = len(self.programs) // 8
        instructions = [*self._choice(pattern, 0), (MATCH, 0, 0, 0, 0)]
        self.programs += b"".join(struct.pack("<BBBBI", *one) for one in instructions)
        return start, len(instructions)

    def _choice(self, choice: Choice, start: int) -> list[Instruction]:
        """Each sequence but the last begins with a fork to the next one, and ends with a jump behind the choice."""
        written: list[list[Instruction]] = []
        for number, sequence in enumerate(choice.sequences):
            last = number == len(choice.sequences) - 1
            body = self._sequence(sequence, start + sum(map(len, written)) + (not last))
            written.append(body if last else [(FORK, 0, 0, 0, 0), *body, (JUMP, 0, 0, 0, 0)])
        end = start + sum(map(len, written))
        result: list[Instruction] = []
        for part in written[:-1]:
            following = start + len(result) + len(part)
            result += [(FORK, 0, 0, 0, following), *part[1:-1], (JUMP, 0, 0, 0, end)]
        return result + written[-1]

    def _sequence(self, sequence: Sequence[Run | NotNext | Choice], start: int) -> list[Instruction]:
        instructions: list[Instruction] = []
        for node in sequence:
            if isinstance(node, Choice):
                instructions += self._choice(node, start + len(instructions))
            elif isinstance(node, NotNext):
                instructions.append((NOT_NEXT, 0, 0, 0, self._classes.masks[node.source]))
            else:
                mask = self._classes.masks[node.source]
                instructions.append((RUN, node.least, node.most, int(node.possessive), mask))
        return instructions


def _endless(node: Run | NotNext | Choice) -> int:
    """The most endless runs that a way through the pattern has and may give characters back."""
    if isinstance(node, Choice):
        return max(sum(map(_endless, sequence)) for sequence in node.sequences)
    return int(isinstance(node, Run) and node.most > 3 and not node.possessive)


def _ways(node: Run | NotNext | Choice, following: int) -> int:
    """The runs of all ways through this and what follows, each way written out."""
    if not isinstance(node, Choice):
        return following + 1
    total = 0
    for sequence in node.sequences:
        runs = following
        for inner in reversed(sequence):
            runs = _ways(inner, runs)
        total += runs
    return total


def _packed(kind: int, a: int = 0, b: int = 0, x: int = 0, y: int = 0, z: int = 0) -> bytes:
    return struct.pack("<BBHIII", kind, a, b, x, y, z)


def _single(pattern: Choice) -> str | None:
    """The set that a pattern of one character is."""
    if len(pattern.sequences) == 1 and len(pattern.sequences[0]) == 1:
        (node,) = pattern.sequences[0]
        if isinstance(node, Run) and node.least == node.most == 1:
            return node.source
    return None


def _mapping(step: Step) -> dict[int, str] | None:
    """The map that a step is, where it looks at one character alone."""
    if isinstance(step, CharacterMap):
        return mapped(step.source)
    if isinstance(step, Substitute) and (source := _single(step.pattern)) is not None:
        return dict.fromkeys(sample_starts()[members(source)].tolist(), step.content)
    return None
