"""Answers in the shapes of OpenAI's API: whole, and as the chunks of a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ..generate import Generation
    from .service import Service

_REASONS = {"stop": "stop", "length": "length", "context": "length", "interrupted": "stop"}


class Shape(ABC):
    """One answer's documents. `created` is a Unix time."""

    prefix: ClassVar[str]
    kind: ClassVar[str]
    chunk_kind: ClassVar[str]

    def __init__(self, identity: str, created: int, service: Service) -> None:
        self._head = {
            "id": identity,
            "created": created,
            "model": service.name,
            "system_fingerprint": service.fingerprint,
        }

    def whole(self, text: str, generation: Generation) -> dict[str, Any]:
        choice = {"index": 0, **self._said(text), "logprobs": None, "finish_reason": _reason(generation)}
        return {**self._head, "object": self.kind, "choices": [choice], "usage": usage(generation)}

    def beginning(self) -> Iterator[dict[str, Any]]:
        """Chunks before the first text."""
        yield from ()

    def chunk(self, text: str) -> dict[str, Any]:
        return self._chunk(self._delta(text), None)

    def ending(self, generation: Generation) -> dict[str, Any]:
        """The chunk behind the last text."""
        return self._chunk(self._delta(""), _reason(generation))

    def usage_chunk(self, generation: Generation) -> dict[str, Any]:
        return {**self._head, "object": self.chunk_kind, "choices": [], "usage": usage(generation)}

    @abstractmethod
    def _said(self, text: str) -> dict[str, Any]: ...

    @abstractmethod
    def _delta(self, text: str) -> dict[str, Any]: ...

    def _chunk(self, delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, **delta, "logprobs": None, "finish_reason": reason}
        return {**self._head, "object": self.chunk_kind, "choices": [choice]}


class ChatShape(Shape):
    prefix, kind, chunk_kind = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def beginning(self) -> Iterator[dict[str, Any]]:
        yield self._chunk({"delta": {"role": "assistant", "content": ""}}, None)

    def _said(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def _delta(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text} if text else {}}


class CompletionShape(Shape):
    prefix, kind, chunk_kind = "cmpl", "text_completion", "text_completion"

    def _said(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def _delta(self, text: str) -> dict[str, Any]:
        return {"text": text}


def usage(generation: Generation) -> dict[str, int]:
    """Tokens; the end-of-sequence token counts as one that was generated."""
    prompt, answer = len(generation.prompt), len(generation.tokens)
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def _reason(generation: Generation) -> str | None:
    return _REASONS[generation.finish.reason] if generation.finish else None
