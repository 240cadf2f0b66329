"""Character maps: made one of several that follow each other, and written as ranges of code points."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from edgeslm.tokenizer.code_points import HANGUL, stop_of
from edgeslm.tokenizer.text_pool import TextPool

SHIFT: Final = 0
"""The code point plus `value`, an int32."""
TEXT: Final = 1
"""The text at `value`, in which byte FF stands for the character itself."""
SYLLABLE: Final = 2
"""A Hangul syllable, decomposed by arithmetic."""
_MOST: Final = 0xFFFF

CharacterMapping = Mapping[int, str]
Range = tuple[int, int, int, int, int]


def fused(maps: Sequence[dict[int, str]]) -> dict[int, str]:
    """What a sample becomes by these maps, one after the other."""
    if len(maps) == 1:
        return dict(maps[0])
    result: dict[int, str] = {}
    for sample in sorted(set().union(*maps)):
        before = text = chr(sample)
        for one in maps:
            # Whatever a map gives is a sample itself, or stands for its whole stretch and stays.
            text = text.translate(one)
        if text != before:
            result[sample] = text
    return result


def write_map(mapping: CharacterMapping, pool: TextPool) -> bytes:
    """12 bytes a range: first code point, count, stride, kind, value. In order of the first; ranges never overlap."""
    ranges: list[Range] = []
    for sample in sorted(mapping):
        kind, value = _rule(sample, mapping[sample], pool)
        if stop_of(sample) - sample > 1:
            starts = range(sample, stop_of(sample), _MOST)
            ranges += [(first, min(_MOST, stop_of(sample) - first), 1, kind, value) for first in starts]
        elif ranges and (grown := _grown(ranges[-1], sample, kind, value)):
            ranges[-1] = grown
        else:
            ranges.append((sample, 1, 1, kind, value))
    return b"".join(struct.pack("<IHBBi", *one) for one in ranges)


def _rule(sample: int, text: str, pool: TextPool) -> tuple[int, int]:
    if sample in HANGUL and text == _decomposed(sample):
        return SYLLABLE, 0
    if len(text) == 1:
        return SHIFT, ord(text) - sample
    return TEXT, pool.add(b"\xff".join(part.encode() for part in text.split(chr(sample))))


def _grown(last: Range, sample: int, kind: int, value: int) -> Range | None:
    """The range with one more code point, where it can have it: by a stride of 1, or of 2 between capital letters."""
    first, count, stride, its_kind, its_value = last
    if (its_kind, its_value) != (kind, value) or count == _MOST:
        return None
    for step in (1, 2) if count == 1 else (stride,):
        if sample == first + count * step:
            return first, count + 1, step, kind, value
    return None


def _decomposed(syllable: int) -> str:
    place = syllable - HANGUL.start
    parts = [0x1100 + place // 588, 0x1161 + place % 588 // 28, 0x11A7 + place % 28]
    return "".join(map(chr, parts[: 3 if place % 28 else 2]))
