"""What a table asks of the tokenizer in C: the macros of its build, and the memory that always suffices.

The C sources (firmware_templates/tokenizer) have each step behind a macro, so that firmware has what its table uses.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from edgeslm.device.token_content import NONE, TokenContent
from edgeslm.device.token_models import Vocabulary
from edgeslm.errors import UnsupportedError

_MAP, _REORDER, _COMPOSE, _CHARSMAP, _STRIP, _SUBSTITUTE, _PREFIX, _SPLIT = range(1, 9)
_STEPS: Final = {
    _MAP: "MAP",
    _REORDER: "FORMS",
    _COMPOSE: "FORMS",
    _STRIP: "STRIP",
    _SUBSTITUTE: "SUBSTITUTE",
    _PREFIX: "PREFIX",
    _SPLIT: "SPLIT",
}
_WORD_PIECES, _BYTES, _FALLBACK, _FUSE, _STRIP_PIECES, _REPLACE, _SPACES = range(1, 8)
_DECODER_STEPS: Final = {
    _WORD_PIECES: "WORDPIECES",
    _BYTES: "BYTES",
    _FALLBACK: "FALLBACK",
    _STRIP_PIECES: "STRIP",
    _REPLACE: "REPLACE",
    _SPACES: "SPACES",
}
_RUN, _FORK, _JUMP = 1, 3, 4
_SHIFT, _TEXT = 0, 1
_MOST_SPLITS: Final = 8
_MOST_WAYS: Final = 24
_MOST_DECODER_STEPS: Final = 8
"""As in firmware_templates/tokenizer/parts.h."""
_HELD: Final = 35
"""Bytes of a run that a decoder holds at most."""
_BYTE_TOKEN: Final = re.compile(rb"<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>")
_HINT = "the runner for Linux boards has all of them"


@dataclass(frozen=True)
class Amount:
    """`each` for every byte of a text, and `more`."""

    each: Fraction
    more: int = 0

    def of(self, count: int) -> int:
        return math.ceil(self.each * count) + self.more

    def plus(self, other: Amount) -> Amount:
        return Amount(self.each + other.each, self.more + other.more)

    def times(self, factor: Fraction | int) -> Amount:
        return Amount(self.each * factor, math.ceil(self.more * factor))

    def at_least(self, other: Amount) -> Amount:
        return Amount(max(self.each, other.each), max(self.more, other.more))


@dataclass(frozen=True)
class Features:
    """`macros` for the compiler (name -> value); `work` for encoding, in bytes for each byte of a text; `out`, the
    bytes that one token's text may have, with what was held before it."""

    macros: dict[str, int]
    work: Amount
    out: int

    @property
    def definitions(self) -> list[str]:
        """NAME=value, as a compiler takes them behind -D."""
        return [f"{name}={value}" for name, value in self.macros.items()]


def features_of(table: bytes) -> Features:
    """Raises UnsupportedError for what the tokenizer in C has not, BundleError for bytes that are no table."""
    return _Reader(TokenContent(table)).features()


class _Reader:
    def __init__(self, content: TokenContent) -> None:
        self._content = content
        ((self._kind, self._flags, self._width, _, count, _, _, self._prefix, *_),) = content.records(
            "MODL", "<BBBBIIIIIIId"
        )
        self._vocabulary = Vocabulary(content, count, self._width)
        self._tokens = count
        self._byte_ids = content.numbers("BYTE")
        self._added = content.records("ADDT", "<IIII")
        self._normal = any(flags & 8 for *_, flags in self._added)
        self._maps = content.records("MAPS", "<IHBBi")
        self._program = content.records("PROG", "<BBBBI")
        self._decoder = content.records("DECO", "<IIII")

    def features(self) -> Features:
        macros = {"ID_BYTES": self._width} | dict.fromkeys([*self._model(), *self._steps(), *self._decoding()], 1)
        return Features(
            {f"EDGESLM_TOKENIZER_{name}": value for name, value in macros.items()}, self._work(), self._out()
        )

    def _model(self) -> list[str]:
        if self._kind == 1:
            flags = {0: "BYTE_FALLBACK", 2: "WHOLE_WORDS", 3: "BYTE_LEVEL"}
            names = ["BPE", *(name for place, name in flags.items() if self._flags >> place & 1)]
            if not self._byte_ids or NONE in self._byte_ids:
                names.append("UNKNOWN")
            return names
        if self._kind == 2:
            return ["WORDPIECE"]
        raise UnsupportedError("firmware's tokenizer has BPE and WordPiece, not Unigram", _HINT)

    def _all_steps(self) -> list[tuple[int, ...]]:
        """NORM, a pseudo step of kind 0 where added tokens are looked for in normalized text, PRET."""
        layout = "<BBHIII"
        between = [(0,) * 6] if self._normal else []
        return [*self._content.records("NORM", layout), *between, *self._content.records("PRET", layout)]

    def _steps(self) -> list[str]:
        names = []
        splits = 0
        for kind, _, _, x, y, _ in self._all_steps():
            if kind == _CHARSMAP:
                raise UnsupportedError("firmware's tokenizer has no Precompiled normalizer", _HINT)
            if kind in (_SUBSTITUTE, _SPLIT) and self._ways(x, y) > _MOST_WAYS:
                raise UnsupportedError(f"a pattern leaves more than {_MOST_WAYS} ways open at one time", _HINT)
            splits += kind == _SPLIT
            names += [_STEPS[kind]] if kind else ["ADDED_NORMALIZED"]
        if splits > _MOST_SPLITS:
            raise UnsupportedError(
                f"the tokenizer splits a text {splits} times; firmware's splits it {_MOST_SPLITS} times"
            )
        if any(kind != _SHIFT for *_, kind, _ in self._maps):
            names.append("MAP_TEXTS")
        if self._added:
            names.append("ADDED")
        if any(flags & 7 for *_, flags in self._added):
            names.append("ADDED_BESIDE")
        return names

    def _ways(self, start: int, count: int) -> int:
        """The most ways that a match leaves open at one time."""
        ways = [0] * (count + 1)
        for place in range(count - 1, -1, -1):
            kind, least, most, possessive, value = self._program[start + place]
            ways[place] = ways[place + 1] if kind != _JUMP else ways[value]
            if kind == _RUN and most > least and not possessive:
                ways[place] += 1
            elif kind == _FORK:
                ways[place] = max(ways[place] + 1, ways[value])
        return ways[0]

    def _decoding(self) -> list[str]:
        if "DECO" not in self._content:
            return ["DECODE_NOTHING"]
        kinds = [kind for kind, *_ in self._decoder]
        if len(kinds) > _MOST_DECODER_STEPS:
            raise UnsupportedError(f"firmware's decoder takes {_MOST_DECODER_STEPS} steps, not {len(kinds)}", _HINT)
        fused = len(kinds)
        for place, (kind, _, x, y) in enumerate(self._decoder):
            if kind in (_FUSE, _BYTES):
                fused = min(fused, place)
            # Texts are given away one by one: after Fuse, a step may look at the front of all, or at single characters.
            if (
                (kind in (_WORD_PIECES, _FALLBACK, _SPACES) and place > fused)
                or (kind == _REPLACE and place > fused and len(self._content.text(x).decode()) > 1)
                or (kind == _STRIP_PIECES and (place < fused or y or kinds.index(kind) < place))
                or (kind == _FALLBACK and set(kinds[:place]) - {_REPLACE})
            ):
                raise UnsupportedError(f"firmware's decoder cannot take a step of kind {kind} at place {place}", _HINT)
        if _FALLBACK in kinds:
            self._check_byte_tokens(kinds.index(_FALLBACK))
        return [f"DECODE_{_DECODER_STEPS[kind]}" for kind in kinds if kind != _FUSE]

    def _check_byte_tokens(self, place: int) -> None:
        """Firmware tells tokens that are bytes by their ids; the decoder of tokenizers by their text at this step."""
        texts = {number: self._vocabulary.token(number) for number in range(self._tokens)}
        texts |= {number: self._content.text(shown) for number, _, shown, _ in self._added}
        byte_of = {number: byte for byte, number in enumerate(self._byte_ids) if number != NONE}
        for number, text in texts.items():
            for _, _, x, y in self._decoder[:place]:
                text = text.replace(self._content.text(x), self._content.text(y))
            found = _BYTE_TOKEN.fullmatch(text)
            if byte_of.get(number) != (int(found[1], 16) if found else None):
                raise UnsupportedError(f"token {number} is a byte for the model or for the decoder alone", _HINT)

    # ---- Memory

    def _work(self) -> Amount:
        """Texts that are kept while their parts are gone through, and what is written at the same time."""
        size = symbols = Amount(Fraction(1))
        kept = peak = Amount(Fraction(0))
        written = False
        for kind, _a, _b, x, y, z in self._all_steps():
            if kind in (0, _SPLIT):
                kept = kept.plus(size) if written else kept
                written = False
                continue
            if kind == _STRIP:
                continue
            before = size
            if kind == _MAP:
                grown, in_symbols = self._map_growth(x, y)
                size, symbols = size.times(grown), size.times(in_symbols)
            elif kind == _SUBSTITUTE:
                size = symbols = size.times(
                    max(Fraction(1), Fraction(len(self._content.text(z)), self._shortest(x, y)))
                )
            elif kind == _PREFIX:
                prefix = self._content.text(x)
                size = size.plus(Amount(Fraction(0), len(prefix)))
                symbols = symbols.plus(Amount(Fraction(0), self._symbols(prefix.decode())))
            elif kind == _COMPOSE:
                symbols = size
            peak = peak.at_least(kept.plus(before.at_least(size)))
            written = True
        if self._kind == 1:
            last = size.at_least(symbols.times(self._width)).plus(Amount(Fraction(0), self._width - 1))
        else:
            last = size.plus(Amount(Fraction(0), len(self._content.text(self._prefix)) if self._prefix != NONE else 0))
        return peak.at_least(kept.plus(last))

    def _symbols(self, text: str) -> int:
        """Symbols that BPE begins a text with, at most."""
        return sum(
            1
            if not self._flags & 8 and self._vocabulary.find(character.encode()) is not None
            else len(character.encode())
            for character in text
        )

    def _map_growth(self, start: int, count: int) -> tuple[Fraction, Fraction]:
        """The most bytes, and the most symbols, that one byte of a character becomes."""
        grown = symbols = Fraction(1)
        for first, number, stride, kind, value in self._maps[start : start + count]:
            bytes_before = len(chr(first).encode())
            if kind == _SHIFT:
                last = chr(first + (number - 1) * stride + value)
                grown = max(grown, Fraction(len(last.encode()), bytes_before))
                became = self._symbols(last) if number == 1 else len(last.encode())
            elif kind == _TEXT:
                text = self._content.text(value).replace(b"\xff", chr(first).encode())
                grown = max(grown, Fraction(len(text), bytes_before))
                became = len(text)
            else:
                grown = max(grown, Fraction(3))
                became = 9
            symbols = max(symbols, Fraction(became, bytes_before))
        return grown, symbols

    def _shortest(self, start: int, count: int) -> int:
        """The fewest characters that a pattern matches."""
        shortest = [0] * (count + 1)
        for place in range(count - 1, -1, -1):
            kind, least, _, _, value = self._program[start + place]
            shortest[place] = shortest[place + 1] if kind != _JUMP else shortest[value]
            if kind == _RUN:
                shortest[place] += least
            elif kind == _FORK:
                shortest[place] = min(shortest[place], shortest[value])
        return max(1, shortest[0])

    def _out(self) -> int:
        longest = max((len(self._vocabulary.token(number)) for number in range(self._tokens)), default=0)
        most = max([longest, *(len(self._content.text(shown)) for _, _, shown, _ in self._added)])
        most += "DECO" not in self._content
        for kind, _, x, y in self._decoder:
            if kind == _WORD_PIECES:
                most += 1
            elif kind == _BYTES:
                most = 3 * most + 3
            elif kind == _FALLBACK:
                most += 3 * _HELD
            elif kind == _REPLACE:
                old, new = len(self._content.text(x)), len(self._content.text(y))
                most = max(most, most * new // max(1, old) + new)
        return most
