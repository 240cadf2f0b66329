"""Added tokens: found in the text before the model sees it, whatever the model would make of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .token_content import TokenContent, damaged
from .token_pattern import Classes, letters_of

_SINGLE_WORD, _LEFT, _RIGHT, _NORMALIZED, _SPECIAL = (1 << place for place in range(5))


class AddedTokens:
    """The added tokens of a table. `space` and `word` are the masks of what counts as either beside a token."""

    def __init__(self, content: TokenContent, classes: Classes, space: int, word: int) -> None:
        records = content.records("ADDT", "<IIII")
        order = content.numbers("ADDS")
        if sorted(order) != list(range(len(records))):
            raise damaged("its added tokens are not in order")
        self.shown = {number: content.text(shown) for number, _, shown, _ in records}
        self.special = {number for number, _, _, flags in records if flags & _SPECIAL}
        self._classes = classes
        self._space = letters_of(space).strip("[]")
        self._word = set(letters_of(word).strip("[]"))
        self._plain = self._finder(content, records, order, normalized=False)
        self._normalized = self._finder(content, records, order, normalized=True)

    def split(self, text: str, normalized: bool) -> Iterator[tuple[str, int, int]]:
        """(text, start, -1) of what is no added token, ("", start, id) of what is one, from left to right."""
        pattern, tokens = self._normalized if normalized else self._plain
        at = 0
        letters: str | None = None
        for found in pattern.finditer(text) if tokens else ():
            number, flags = tokens[found[0]]
            start, end = found.span()
            if flags & (_SINGLE_WORD | _LEFT | _RIGHT):
                letters = self._classes.letters(text) if letters is None else letters
                if flags & _SINGLE_WORD and (
                    letters[max(0, start - 1) : start] in self._word or letters[end : end + 1] in self._word
                ):
                    continue
                if flags & _LEFT:
                    start = max(at, len(letters[:start].rstrip(self._space)))
                if flags & _RIGHT:
                    end = len(letters) - len(letters[end:].lstrip(self._space))
            if at < start:
                yield text[at:start], at, -1
            yield "", start, number
            at = end
        if at < len(text):
            yield text[at:], at, -1

    @staticmethod
    def _finder(
        content: TokenContent, records: list[tuple[int, ...]], order: Sequence[int], normalized: bool
    ) -> tuple[re.Pattern[str], dict[str, tuple[int, int]]]:
        """Backwards in order of their bytes, a longer token comes before those it begins with."""
        chosen = [records[place] for place in reversed(order) if bool(records[place][3] & _NORMALIZED) == normalized]
        tokens = {content.text(pattern).decode(): (number, flags) for number, pattern, _, flags in chosen}
        if "" in tokens:
            raise damaged("an added token without characters")
        return re.compile("|".join(map(re.escape, tokens))), tokens
