"""Sets of code points by how they join into grapheme clusters (UAX #29), asked of tokenizers through a trick.

SentencePiece's charsmaps are applied to clusters of less than six bytes as a whole and to the characters of longer
ones. With a charsmap that makes an X of whatever it is given, the number of X tells where clusters end.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from edgeslm.errors import InternalError
from edgeslm.tokenizer.code_points import HANGUL, Members, sample_starts

NAMES: Final = (
    "cr",
    "lf",
    "control",  # CR and LF among them
    "prepend",
    "joining",  # to whatever is before them: Extend, ZWJ, SpacingMark
    "zwj",
    "extend",
    "pictograph",
    "lead",
    "vowel",
    "trail",
    "syllable_lv",
    "syllable_lvt",
    "consonant",  # of a conjunct
    "linker",
    "conjunct_extend",  # what may stand between a consonant and a linker
)
"""In the order of section GRAP."""

_SEPARATOR = "\1"  # a control, which joins to nothing; the charsmap leaves it alone
# Nothing in these joins to anything: private use, ideographs; and Hangul syllables, which are known by arithmetic.
_PLAIN = (range(0x3400, 0xA000), HANGUL, range(0xE000, 0xF900), range(0x20000, 0x40000))


@functools.cache
def sets() -> list[tuple[str, Members]]:
    """(name, members) of every set, in the order of NAMES."""
    starts = sample_starts()
    asked = [cp for cp in starts.tolist() if cp != 1 and not any(cp in span for span in _PLAIN)]

    def chosen(text: Callable[[str], str], letters: int) -> set[int]:
        return {
            cp for cp, count in zip(asked, _count([text(chr(cp)) for cp in asked]), strict=True) if count == letters
        }

    control = chosen(lambda c: f"{c}\u0301\u0301", 2) | {0x01}
    joining = chosen(lambda c: f"a{c}", 1)
    prepend = chosen(lambda c: f"{c}a", 1) - control
    before_vowel = chosen(lambda c: f"{c}\u1161\u0301", 3) - joining - prepend
    before_trail = chosen(lambda c: f"{c}\u11a8\u0301", 3) - joining - prepend
    after_lead = chosen(lambda c: f"\u1100{c}\u0301", 3) - joining - prepend
    found = {
        "cr": {0x0D},
        "lf": {0x0A},
        "control": control,
        "prepend": prepend,
        "joining": joining,
        "zwj": {0x200D},
        "extend": chosen(lambda c: f"\u00a9{c}\u200d\u00a9\u0301", 5) & joining,
        "pictograph": chosen(lambda c: f"{c}\u200d\u00a9\u0301", 4) - joining - prepend,
        "lead": (before_vowel - before_trail) & after_lead,
        "vowel": before_vowel & before_trail,
        "trail": before_trail - before_vowel,
        "syllable_lv": set(HANGUL[::28]),
        "syllable_lvt": set(HANGUL) - set(HANGUL[::28]),
        "consonant": chosen(lambda c: f"{c}\u094d\u0915\u0301", 4) - joining - prepend,
        "linker": chosen(lambda c: f"\u0915{c}\u0915\u0301", 4) & joining,
        "conjunct_extend": chosen(lambda c: f"\u0915{c}\u094d\u0915\u0301", 5) & joining,
    }
    if 0xA9 not in found["pictograph"] or 0x1100 not in found["lead"] or 0x301 not in found["extend"]:
        raise InternalError("tokenizers no longer cuts clusters as this table supposes")
    # Four-byte code points may be taken for another part of a syllable: clusters they are in have six bytes or more,
    # and those are never looked up as a whole.
    return [(name, np.isin(starts, np.array(sorted(found[name]), np.uint32))) for name in NAMES]


def _count(texts: list[str]) -> list[int]:
    normalized: str = _normalizer().normalize_str(_SEPARATOR.join(texts))
    counts = [len(letters) for letters in normalized.split(_SEPARATOR)]
    if len(counts) != len(texts):
        raise InternalError("a charsmap that leaves a control alone lost some")
    return counts


@functools.cache
def _normalizer() -> Any:
    """Darts-clone's double array: every first byte but the separator's is a key of its own, and its value is 0."""
    from tokenizers import normalizers

    units = [0] * 0x300
    units[0] = 0x100 << 10
    for byte in range(1, 256):
        if chr(byte) != _SEPARATOR:
            units[0x100 | byte] = 0x300 << 10 | 1 << 8 | byte
            units[0x200 | byte] = 1 << 31
    return normalizers.Precompiled(struct.pack("<I768I", 4 * len(units), *units) + b"X\0")
