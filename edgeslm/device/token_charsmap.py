"""SentencePiece's normalizer: whole grapheme clusters, or their characters, looked up in a double-array trie.

What it does is what Hugging Face's does, to the letter: a cluster of less than six bytes becomes the replacement of the
shortest key that it begins with, and what follows that key in it is lost.
"""

from __future__ import annotations

import re

from .token_content import TokenContent, damaged
from .token_memory import Remembered
from .token_pattern import Classes, letters_of

_NAMES = (
    "cr",
    "lf",
    "control",
    "prepend",
    "joining",
    "zwj",
    "extend",
    "pictograph",
    "lead",
    "vowel",
    "trail",
    "lv",
    "lvt",
    "consonant",
    "linker",
    "conjunct",
)
_LONGEST_CLUSTER = 5  # bytes

# UAX #29, without the pairs of regional indicators: with eight bytes those are never looked up as one.
_CLUSTER = (
    "{cr}{lf}|{control}|{prepend}*(?:"
    "{lead}*(?:{lvt}|{lv}{vowel}*|{vowel}+){trail}*|{lead}+|{trail}+"
    "|{pictograph}(?:{extend}*{zwj}{pictograph})*"
    "|{consonant}(?:{conjunct}*?{linker}{conjunct}*{consonant})*"
    "|(?!{control}).){joining}*"
)


class Charsmap:
    def __init__(self, content: TokenContent, classes: Classes) -> None:
        self._units = content.numbers("TRIE")
        self._replacements = content.bytes_of("REPL").tobytes()
        self._classes = classes
        masks = content.numbers("GRAP")
        if len(masks) != len(_NAMES):
            raise damaged("it has other kinds of clusters")
        self._cluster = re.compile(_CLUSTER.format(**dict(zip(_NAMES, map(letters_of, masks), strict=True))))
        self._characters = Remembered(self._character)
        self._clusters = Remembered(self._whole)

    def replace(self, text: str) -> str:
        spans = [found.span() for found in self._cluster.finditer(self._classes.letters(text))]
        return "".join([self._clusters[text[start:end]] for start, end in spans])

    def _whole(self, cluster: str) -> str:
        key = cluster.encode()
        found = self._looked_up(key) if len(key) <= _LONGEST_CLUSTER else None
        return "".join([self._characters[one] for one in cluster]) if found is None else found

    def _character(self, character: str) -> str:
        found = self._looked_up(character.encode())
        return character if found is None else found

    def _looked_up(self, key: bytes) -> str | None:
        """Darts-clone: a unit has a label, whether a value ends here, and where its children are from here."""
        place = self._offset(self._units[0])
        for byte in key:
            place ^= byte
            unit = self._units[place]
            if not byte or unit & 0x800000FF != byte:
                return None
            place ^= self._offset(unit)
            if unit >> 8 & 1:
                start = self._units[place] & 0x7FFFFFFF
                end = self._replacements.find(b"\0", start)
                return self._replacements[start : end if end >= 0 else None].decode()
        return None

    @staticmethod
    def _offset(unit: int) -> int:
        return unit >> 10 << ((unit & 0x200) >> 6)
