"""Unicode's normal forms (UAX #15), for text that a character map has decomposed: marks in order, then composed."""

from __future__ import annotations

from collections.abc import Mapping

from .token_content import TokenContent

_LEADS, _VOWELS, _TRAILS, _SYLLABLES = 0x1100, 0x1161, 0x11A7, 0xAC00
_LEAD_COUNT, _VOWEL_COUNT, _TRAIL_COUNT = 19, 21, 28


def read_compositions(content: TokenContent) -> dict[tuple[int, int], int]:
    """(first, second) -> the character they compose to; Hangul syllables come by arithmetic."""
    return {(first, second): composite for first, second, composite in content.records("COMP", "<III")}


def reorder(text: str, marks: Mapping[int, int]) -> str:
    """Runs of combining marks, each in order of combining class; equal ones stay as they were."""
    numbers = [marks.get(ord(character), 0) for character in text]
    if not any(numbers):
        return text
    characters = list(text)
    start = 0
    for place in range(len(numbers) + 1):
        if place == len(numbers) or not numbers[place]:
            if place - start > 1:
                order = sorted(range(start, place), key=numbers.__getitem__)
                characters[start:place] = [text[number] for number in order]
            start = place + 1
    return "".join(characters)


def compose(text: str, marks: Mapping[int, int], pairs: Mapping[tuple[int, int], int]) -> str:
    """Each starter made one with the characters behind it that are not blocked."""
    made: list[int] = []
    starter = -1  # place in `made`
    last = 0  # the class of the character before, 0 where that is the starter
    for code_point in map(ord, text):
        number = marks.get(code_point, 0)
        if starter >= 0 and (last == 0 or last < number):
            composite = _composite(made[starter], code_point, pairs)
            if composite is not None:
                made[starter] = composite
                continue
        if number == 0:
            starter, last = len(made), 0
        else:
            last = number
        made.append(code_point)
    return "".join(map(chr, made))


def _composite(first: int, second: int, pairs: Mapping[tuple[int, int], int]) -> int | None:
    lead, vowel = first - _LEADS, second - _VOWELS
    if 0 <= lead < _LEAD_COUNT and 0 <= vowel < _VOWEL_COUNT:
        return _SYLLABLES + (lead * _VOWEL_COUNT + vowel) * _TRAIL_COUNT
    place, trail = first - _SYLLABLES, second - _TRAILS
    if 0 <= place < _LEAD_COUNT * _VOWEL_COUNT * _TRAIL_COUNT and not place % _TRAIL_COUNT and 0 < trail < _TRAIL_COUNT:
        return first + trail
    return pairs.get((first, second))
