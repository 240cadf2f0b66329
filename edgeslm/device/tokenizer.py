"""Text to token ids, and back."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import BundleError, MissingPackageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Encoding:
    """One text's tokens, special ones included. `offsets` are characters of the text."""

    ids: list[int]
    type_ids: list[int]
    offsets: list[tuple[int, int]]
    special: list[bool]
    truncated: bool

    def inputs(self) -> dict[str, NDArray[np.int32]]:
        """The tensors a text model may ask for: int32, shape (1, tokens)."""
        import numpy as np

        return {
            "input_ids": np.array([self.ids], np.int32),
            "attention_mask": np.ones((1, len(self.ids)), np.int32),
            "token_type_ids": np.array([self.type_ids], np.int32),
        }


class Tokenizer:
    """A tokenizer.json whose texts are cut to `max_length` tokens, special ones included; with `cut` False, nothing is.

    Raises MissingPackageError where tokenizers is not installed, BundleError where it cannot read the content.
    """

    def __init__(self, content: bytes, max_length: int, mask_token: str | None = None, cut: bool = True) -> None:
        try:
            import tokenizers
        except ImportError as error:
            raise MissingPackageError("tokenizers", "a model that takes text") from error
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_buffer(content)
        except Exception as error:  # tokenizers raises plain Exceptions
            raise BundleError(
                f"the bundle's tokenizer cannot be read: {error}",
                f"tokenizers {tokenizers.__version__} is here; the version in the bundle's requirements.txt reads it",
            ) from None
        # The file may carry settings of its training: padding to a fixed length, or a shorter limit.
        self._tokenizer.no_padding()
        if cut:
            self._tokenizer.enable_truncation(max_length)
        else:
            self._tokenizer.no_truncation()
        self.max_length = max_length
        self.mask_token = mask_token

    def encode(self, text: str) -> Encoding:
        encoding = self._tokenizer.encode(text)
        return Encoding(
            list(encoding.ids),
            list(encoding.type_ids),
            list(encoding.offsets),
            [bool(flag) for flag in encoding.special_tokens_mask],
            bool(encoding.overflowing),
        )

    def ids(self, text: str, special: bool = True) -> list[int]:
        """A text's tokens. With `special` the tokenizer's own rule adds its special ones, such as BOS in front."""
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=special).ids
        return found

    def decode(self, ids: list[int]) -> str:
        """The text of tokens; special ones and ids without a token are left out."""
        text: str = self._tokenizer.decode(ids)
        return text

    def decode_each(self, many: list[list[int]]) -> list[str]:
        """`decode` of each."""
        texts: list[str] = self._tokenizer.decode_batch(many)
        return texts

    def token(self, token_id: int) -> str | None:
        """A token as the vocabulary spells it; None for an id without a token."""
        token: str | None = self._tokenizer.id_to_token(token_id)
        return token

    def token_id(self, token: str) -> int | None:
        """The id of what the vocabulary spells so; None where there is no such token."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    @functools.cached_property
    def special_ids(self) -> frozenset[int]:
        """The ids of special tokens, which `decode` leaves out."""
        added = self._tokenizer.get_added_tokens_decoder()
        return frozenset(token_id for token_id, token in added.items() if token.special)

    @functools.cached_property
    def byte_ids(self) -> dict[int, int]:
        """Id to byte, of a tokenizer that writes what it has no token for as bytes ("<0x0A>"); {} for others."""
        found = {self._tokenizer.token_to_id(f"<0x{byte:02X}>"): byte for byte in range(256)}
        if None in found or self.decode([next(iter(found))]) != "\x00":
            return {}
        return found

    @property
    def vocabulary(self) -> int:
        """How many tokens there are, added ones included."""
        count: int = self._tokenizer.get_vocab_size()
        return count

    @property
    def mask_id(self) -> int | None:
        """The id of the token that fill-mask replaces, or None where there is no such token."""
        return None if self.mask_token is None else self.token_id(self.mask_token)

    def word(self, token_id: int) -> str | None:
        """What a token stands for in a text ("Ġhello" is "hello", "##s" stays); None for an id without a token."""
        token = self.token(token_id)
        return None if token is None else self.decode([token_id]).strip() or token
