"""A tokenizer as llguidance wants it: the bytes of every token, and how a text is written with them."""

from __future__ import annotations

from .tokenizer import Tokenizer


class ConstraintTokens:
    """What llguidance's TokenizerWrapper wraps. `texts` are those of token_bytes.

    The end of a text is an id of its own behind the model's last one, so that a model may have several ends, or none.
    """

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, texts: list[bytes]) -> None:
        self._tokenizer = tokenizer
        self.tokens = [*texts, b""]
        self.eos_token_id = len(texts)
        self.special_token_ids = [len(texts)]
        self._ids = {text: number for number, text in reversed(list(enumerate(texts))) if text}
        self._longest = max(map(len, self._ids), default=0)

    def __call__(self, text: str) -> list[int]:
        """Where a grammar leaves a single text, the tokens to write it with: those that the model was trained on.

        A tokenizer that reads the text otherwise than it stands there, with a space in front, is passed over: then they
        are the longest tokens that fit, as far as any do.
        """
        for before in ("", "\n"):
            begun = self._tokenizer.ids(before, special=False)
            found = self._tokenizer.ids(before + text, special=False)
            tokens = found[len(begun) :]
            if found[: len(begun)] == begun and self._spell(tokens) == text.encode():
                return tokens
        return self._longest_first(text.encode())

    def _spell(self, tokens: list[int]) -> bytes | None:
        texts = [self.tokens[token] if token < len(self.tokens) else b"" for token in tokens]
        return b"".join(texts) if all(texts) else None

    def _longest_first(self, text: bytes) -> list[int]:
        tokens: list[int] = []
        while text:
            found = (self._ids.get(text[:length]) for length in range(min(self._longest, len(text)), 0, -1))
            token = next((token for token in found if token is not None), None)
            if token is None:
                break
            tokens.append(token)
            text = text[len(self.tokens[token]) :]
        return tokens
