"""A tokenizer as one binary table: text to ids and back, without any package.

The table is made by a build from the checkpoint's tokenizer.json (docs/tokenizer.md has its format) and holds all that
is needed, Unicode's tables included, so that every runtime gives the ids that Hugging Face's tokenizers gives.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from .errors import UsageError
from .token_added import AddedTokens
from .token_content import TokenContent, damaged
from .token_decode import Decoder
from .token_memory import Remembered
from .token_models import BytePairs, Unigrams, Vocabulary, WordPieces
from .token_pattern import Classes
from .token_steps import TextSteps

_MODEL = "<BBBBIIIIIIId"
_BYTE_LEVEL = 8

# What reading damaged bytes raises besides BundleError, where they are not looked at before they are used.
_BROKEN = (LookupError, ValueError, OverflowError, struct.error, RecursionError, MemoryError)


class TokenTable:
    """One tokenizer. Raises BundleError for bytes that are no table, or one of a newer version."""

    def __init__(self, content: bytes) -> None:
        try:
            self._read(TokenContent(content))
        except _BROKEN as error:
            raise damaged(str(error)) from None

    def _read(self, content: TokenContent) -> None:
        ((kind, flags, width, score_width, count, unknown, longest, prefix, space, word, _, score),) = content.records(
            "MODL", _MODEL
        )
        self._vocabulary = Vocabulary(content, count, width)
        self._model: BytePairs | WordPieces | Unigrams
        if kind == 1:
            self._model = BytePairs(content, self._vocabulary, width, flags, unknown)
        elif kind == 2:
            self._model = WordPieces(self._vocabulary, unknown, content.text(prefix).decode(), longest)
        elif kind == 3:
            self._model = Unigrams(content, self._vocabulary, score_width, flags, unknown, score)
        else:
            raise damaged(f"a model of kind {kind}")
        classes = Classes(content)
        self._added = AddedTokens(content, classes, space, word)
        self._normalizer = TextSteps(content, "NORM", classes)
        self._pre_tokenizer = TextSteps(content, "PRET", classes)
        before, *around = content.numbers("POST")
        if before > len(around):
            raise damaged("it puts more ids before a text than it has")
        self._before, self._after = around[:before], around[before:]
        self._decoder = Decoder(content, bool(flags & _BYTE_LEVEL))
        self._words = Remembered(self._word)
        self._tokens = Remembered(self._shown)

    def encode(self, text: str) -> list[int]:
        """The text's ids, with those that the tokenizer puts around every text. Never cut short.

        Raises UsageError for a text with half a surrogate pair, which is no Unicode.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"the text has half a surrogate pair at character {error.start}: that is no Unicode text"
            ) from None
        try:
            return [*self._before, *self._ids(text), *self._after]
        except _BROKEN as error:
            raise damaged(str(error)) from None

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """The text of these ids; ids without a token give nothing. Special tokens are shown only on demand."""
        try:
            skipped = self._added.special if skip_special else frozenset()
            shown = [self._tokens[number] for number in ids if number not in skipped]
            return self._decoder.text([token for token in shown if token])
        except _BROKEN as error:
            raise damaged(str(error)) from None

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = []
        for plain, start, number in self._added.split(text, normalized=False):
            if number >= 0:
                ids.append(number)
                continue
            for normal, first in self._normalizer.run(plain, start == 0):
                for piece, place, found in self._added.split(normal, normalized=True):
                    if found >= 0:
                        ids.append(found)
                        continue
                    for word, _ in self._pre_tokenizer.run(piece, first and place == 0):
                        ids += self._words[word]
        return ids

    def _word(self, word: str) -> list[int]:
        ids = self._model.ids(word)
        if any(number >= self._vocabulary.count for number in ids):
            raise damaged("an id without a token")
        return ids

    def _shown(self, number: int) -> bytes:
        """What the decoder gets for an id: nothing where there is no token."""
        if number in self._added.shown:
            return self._added.shown[number]
        return self._vocabulary.token(number) if 0 <= number < self._vocabulary.count else b""
