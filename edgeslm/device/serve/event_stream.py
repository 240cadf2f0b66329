"""Server-sent events, in the form that OpenAI's API gives them: JSON documents, and [DONE] at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Send

QUIET_S = 15.0
"""Seconds without a text after which a comment is sent: proxies take a silent connection for a dead one."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
]


class EventStream:
    """`begin`, then events, then `end`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def begin(self) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})

    async def event(self, document: dict[str, Any]) -> None:
        await self._body(b"data: " + json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n")

    async def end(self) -> None:
        await self._body(b"data: [DONE]\n\n")
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def keep_alive(self, results: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The results; while they are long in coming, comments are sent, which clients pass over."""
        waiting: asyncio.Future[Any] | None = None
        try:
            while True:
                waiting = waiting or asyncio.ensure_future(anext(results, _END))
                done, _ = await asyncio.wait({waiting}, timeout=QUIET_S)
                if not done:
                    await self._body(b": still at it\n\n")
                    continue
                result, waiting = waiting.result(), None
                if result is _END:
                    return
                yield result
        finally:
            if waiting is not None:
                waiting.cancel()

    async def _body(self, content: bytes) -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": True})


_END = object()
