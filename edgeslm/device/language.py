"""What the generation loop asks of a runtime that holds a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LanguageEngine(Protocol):
    """One runtime with a decoder and its KV cache of `context` rows loaded. Not for use by several threads at once.

    Positions are the caller's: the cache holds what was written at each position last, so going back is calling with a
    smaller position. Rows behind the highest position in use are never read.
    """

    name: str
    context: int  # tokens the cache holds, prompt and answer together
    vocabulary: int

    def prefill(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        """Enter (n,) tokens, the first at `position`, in chunks; 1 <= n <= context - position. Returns the last
        token's logits, shape (vocabulary,), valid until the next call."""

    def step(self, token: int, position: int) -> NDArray[np.float32]:
        """Enter one token at `position`; its logits, shape (vocabulary,), valid until the next call."""

    def close(self) -> None:
        """Free the model's memory; nothing can be run afterwards."""
