"""An answer held to a JSON schema: before each choice, tokens that cannot go on with such a document are ruled out.

llguidance (https://github.com/guidance-ai/llguidance) follows the grammar: it derives from the schema which bytes may
come next, and which tokens consist of them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .constraint_tokens import ConstraintTokens
from .errors import DeviceError, MissingPackageError, UsageError
from .sampling import Choose
from .token_bytes import token_bytes
from .tokenizer import Tokenizer

PACKAGE = "llguidance"
REQUIREMENTS = "requirements-constrain.txt"
SPACES = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
"""A space or none behind each comma and colon: as Python's json writes, and compact JSON. More would let a model that
hesitates write spaces without end, and every token costs a step."""
_BEGINNING = {"lark_grammar": "start: / ?/ @json_schema"}
"""The first word of a text often is a token with a space in front."""
_SHOWN = 60
_PENALTIES = np.where(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"), 0, -np.inf)
_PENALTIES = _PENALTIES.astype(np.float32)
"""What a byte of llguidance's mask adds to the logits of its eight tokens: shape (256, 8)."""


class Constraints:
    """Makes the constraints for answers of one model, whose logits have the shape (vocabulary,).

    Raises MissingPackageError without llguidance.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, end_ids: Collection[int]) -> None:
        self._guidance = _guidance()
        self._tokenizer = tokenizer
        self._texts = token_bytes(tokenizer, vocabulary)
        self._end_ids = frozenset(number for number in end_ids if number < vocabulary)
        for number in self._end_ids:
            self._texts[number] = b""  # whatever they spell, they end the answer
        wrapper = self._guidance.TokenizerWrapper(ConstraintTokens(tokenizer, self._texts))
        self._tokens = self._guidance.LLTokenizer(wrapper)

    def json(self, schema: str) -> Constraint:
        """For one answer: a document of a JSON schema, given as its text.

        Raises UsageError where llguidance cannot follow the schema.
        """
        matcher = self._guidance.LLMatcher
        try:
            grammar = json.loads(matcher.grammar_from_json_schema(schema, defaults=SPACES))
        except ValueError as error:
            raise _not_followed(str(error)) from None
        grammar["grammars"].insert(0, _BEGINNING)
        limits = self._guidance.LLParserLimits(verbose_errors=False)
        made = matcher(self._tokens, json.dumps(grammar), log_level=0, limits=limits)
        if made.is_error():
            raise _not_followed(made.get_error())
        return Constraint(made, self._tokenizer, self._texts, self._end_ids)


class Constraint:
    """One answer's: `guide` what chooses its tokens."""

    def __init__(self, matcher: Any, tokenizer: Tokenizer, texts: list[bytes], end_ids: frozenset[int]) -> None:
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._texts = texts
        self._end_ids = end_ids
        self._ends = np.array(sorted(end_ids), np.intp)
        self._said: list[int] = []
        words = len(texts) // 32 + 1  # llguidance's mask has an id more, and comes in words of 32 bits
        self._scores = np.empty((4 * words, 8), np.float32)

    @property
    def satisfied(self) -> bool:
        """Whether the answer until now is a whole document of the schema; more may follow, as digits to a number."""
        return bool(self._matcher.is_accepting())

    @property
    def complete(self) -> bool:
        """Whether it is whole and nothing can follow."""
        return bool(self._matcher.is_stopped() and self._matcher.is_accepting())

    def guide(self, choose: Choose) -> Choose:
        """`choose`, from allowed tokens alone. Raises DeviceError where no token can go on with the document."""

        def guided(logits: NDArray[np.float32]) -> int:
            try:
                token = choose(self.masked(logits))
            except DeviceError as error:
                raise self._explained(error, logits) from None
            if token not in self._end_ids:
                if not self._matcher.consume_token(token):
                    raise self._stuck(self._matcher.get_error())
                self._said.append(token)
            return token

        return guided

    def masked(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits with -inf (or no number) for what is not allowed now: valid until the next call."""
        vocabulary = len(self._texts)
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        # Looking eight bits up at once costs a tenth of setting what is not allowed.
        _PENALTIES.take(bits, axis=0, out=self._scores, mode="clip")
        masked: NDArray[np.float32] = self._scores.reshape(-1)[:vocabulary]
        if not self._said:
            self._rule_out_beginnings(masked)
        if self._matcher.is_accepting():
            masked[self._ends] = 0
        with np.errstate(invalid="ignore"):  # an infinite logit that is not allowed becomes no number
            masked += logits
        return masked

    def _rule_out_beginnings(self, masked: NDArray[np.float32]) -> None:
        """Tokens that read otherwise where a text begins: WordPiece's "##a" keeps its mark there."""
        found = np.flatnonzero(masked == 0)
        for token, text in zip(found, self._tokenizer.decode_each([[int(token)] for token in found]), strict=True):
            if text.encode().removeprefix(b" ") != self._texts[token].removeprefix(b" "):
                masked[token] = -np.inf

    def _explained(self, error: DeviceError, logits: NDArray[np.float32]) -> DeviceError:
        """What left no token to choose: the model, which gave no number, or the schema."""
        if not np.isfinite(logits).any():
            return error
        reason = self._matcher.get_error()
        if not reason and any(self._matcher.compute_bitmask()):
            reason = "the model rules out every token that may follow"
        return self._stuck(reason or "NoExtension")

    def _stuck(self, why: str) -> DeviceError:
        said = b"".join(self._texts[token] for token in self._said).decode(errors="replace")
        shown = said if len(said) <= _SHOWN else "…" + said[-_SHOWN:]
        return DeviceError(
            f"the answer can no longer become a document of its JSON schema, after {shown!r}: {_first_line(why)}",
            "does the schema ask for what no document has, or for characters that the model has no tokens for?",
        )


def _guidance() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise MissingPackageError(PACKAGE, "a JSON schema", REQUIREMENTS) from error
    return llguidance


def _not_followed(reason: str) -> UsageError:
    return UsageError(
        f"the JSON schema cannot be followed: {_first_line(reason)}", "docs/generation.md says which keywords can be"
    )


def _first_line(reason: str) -> str:
    """What llguidance says; its further lines are of its own state."""
    return reason.partition("\n")[0][:300]
