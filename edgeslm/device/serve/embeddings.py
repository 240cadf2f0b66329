"""/v1/embeddings."""

from __future__ import annotations

import base64
import functools
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ..errors import DeviceError
from ..model import Model, TruncationWarning
from .body import read_object
from .connection import unless_left
from .embedding_request import EmbeddingRequest, read_embedding
from .queue import Place
from .refusal import RefusalError, wrong
from .service import Service, told
from .text_limit import require_plausible

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 8
"""Texts that are embedded before it is looked at again whether the client is there."""


class Embeddings:
    """The route, as an ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        service.require_task("embedding")
        with service.queue.enter() as place:
            document = await read_object(Request(scope, receive), service.options.max_body)
            asked = read_embedding(document)
            service.require_model(document.get("model"))
            await unless_left(receive, self._answer(place, asked, scope, receive, send))

    async def _answer(self, place: Place, asked: EmbeddingRequest, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        tokens = await service.prepare(functools.partial(self._count, asked))
        vectors: list[NDArray[np.float32]] = []
        try:
            await place.begin(functools.partial(_embed, service.model, asked.texts))
            async for some in place.results():
                vectors.extend(np.asarray(some, np.float32))
        except DeviceError as error:
            raise told(error) from None
        service.metrics.prompt_tokens.inc(tokens)
        _check(vectors, asked)
        data = [
            {"object": "embedding", "index": number, "embedding": _coded(vector, asked.base64)}
            for number, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        response = JSONResponse({"object": "list", "data": data, "model": service.name, "usage": usage})
        await response(scope, receive, send)

    def _count(self, asked: EmbeddingRequest) -> int:
        """The tokens that will be read. Raises RefusalError for a text that is too long, unless it may be cut."""
        model, most = self._service.model, self._service.options.max_prompt
        total = 0
        for number, text in enumerate(asked.texts):
            if model.tokenizer is not None:
                require_plausible(f"input[{number}]", text, model.tokenizer.max_length)
            encoding = model.encode(text)
            count = len(encoding.ids)
            if encoding.truncated and not asked.truncate:
                raise wrong(
                    "input",
                    f'input[{number}] has more than {count} tokens, which the model reads; "truncate": true cuts it',
                    "context_length_exceeded",
                )
            if most is not None and count > most:
                message = f"input[{number}] has {count} tokens; this server takes {most}"
                raise wrong("input", message, "context_length_exceeded")
            total += count
        return total


def _embed(model: Model, texts: list[str]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(texts), AT_ONCE):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)  # the client asked for it
            vectors = model.embed(texts[start : start + AT_ONCE])
        yield vectors


def _check(vectors: list[NDArray[np.float32]], asked: EmbeddingRequest) -> None:
    if asked.dimensions is not None and vectors and len(vectors[0]) != asked.dimensions:
        raise wrong("dimensions", f"the model gives {len(vectors[0])} dimensions, and no other number")
    if not all(np.isfinite(vector).all() for vector in vectors):
        raise RefusalError(500, "the model gave no number", code="no_number")


def _coded(vector: NDArray[np.float32], as_base64: bool) -> Any:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector.tolist()
