"""/v1/chat/completions and /v1/completions."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ..errors import DeviceError, PromptTooLongError
from ..generate import Generation
from .body import ClientLeftError, read_object
from .completion_request import CompletionRequest, read_chat, read_completion
from .completion_shape import ChatShape, CompletionShape, Shape
from .connection import unless_left
from .event_stream import EventStream
from .queue import Place
from .refusal import wrong
from .service import Service, told
from .text_limit import require_plausible

Read = Callable[[Mapping[str, Any], int | None], CompletionRequest]


class Completions:
    """One of the two routes, as an ASGI application: the answer ends when the client leaves."""

    def __init__(self, service: Service, *, chat: bool) -> None:
        self._service = service
        self._chat = chat
        self._read: Read = read_chat if chat else read_completion
        self._shape: type[Shape] = ChatShape if chat else CompletionShape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        service.require_task("generation")
        with service.queue.enter() as place:
            document = await read_object(Request(scope, receive), service.options.max_body)
            asked = self._read(document, service.options.max_tokens)
            service.require_model(document.get("model"))
            if self._chat and service.model.manifest["generation"]["chat_template"] is None:
                raise wrong("messages", f"{service.name} has no chat template: ask /v1/completions with a prompt")
            await unless_left(receive, self._answer(place, asked, scope, receive, send))

    async def _answer(self, place: Place, asked: CompletionRequest, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        generation = await service.prepare(lambda: self._generation(asked))
        shape = self._shape(f"{self._shape.prefix}-{uuid.uuid4().hex}", int(time.time()), service)
        try:
            await place.begin(lambda: _texts(generation))
            if asked.stream:
                await self._stream(place, asked, generation, shape, EventStream(send))
            else:
                text = "".join([text async for text in self._texts(place)])
                response = JSONResponse(shape.whole(text, generation))
                await response(scope, receive, send)
        except DeviceError as error:
            raise told(error) from None
        finally:
            service.metrics.prompt_tokens.inc(len(generation.prompt) if generation.tokens else 0)
            service.metrics.generated_tokens.inc(len(generation.tokens))

    async def _stream(
        self, place: Place, asked: CompletionRequest, generation: Generation, shape: Shape, stream: EventStream
    ) -> None:
        await stream.begin()
        usage = {"usage": None} if asked.include_usage else {}
        try:
            for chunk in shape.beginning():
                await stream.event(chunk | usage)
            async for text in stream.keep_alive(self._texts(place)):
                await stream.event(shape.chunk(text) | usage)
        except ClientLeftError:
            raise
        except Exception as error:
            # The status was sent long ago: what went wrong is an event, and the stream ends as others do.
            await stream.event(told(error).body())
        else:
            await stream.event(shape.ending(generation) | usage)
            if asked.include_usage:
                await stream.event(shape.usage_chunk(generation))
        await stream.end()

    async def _texts(self, place: Place) -> AsyncIterator[str]:
        first = True
        async for text in place.results():
            if first:
                self._service.metrics.first_text.observe(time.monotonic() - place.entered)
                first = False
            yield str(text)

    def _generation(self, asked: CompletionRequest) -> Generation:
        """The answer, ready to be computed: what is wrong with the prompt shows here."""
        service = self._service
        context: int = service.model.manifest["generation"]["context"]
        if isinstance(asked.prompt, str):
            require_plausible("prompt", asked.prompt, context)
        else:
            require_plausible("messages", "".join(message["content"] for message in asked.prompt), context)
        options = {"max_tokens": context, **asked.options, "reuse_cache": service.options.reuse_cache}
        generation = service.model.generate(asked.prompt, **options)
        most = service.options.max_prompt
        if most is not None and len(generation.prompt) > most:
            raise PromptTooLongError(f"the prompt has {len(generation.prompt)} tokens; this server takes {most}")
        return generation


def _texts(generation: Generation) -> Iterator[str]:
    """The answer's pieces that have a text; closing this ends the answer."""
    try:
        for piece in generation:
            if piece.text:
                yield piece.text
    finally:
        generation.close()
