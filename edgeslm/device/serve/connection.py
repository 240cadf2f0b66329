"""A client that may leave at any time: its answer ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive

from .body import ClientLeftError


async def unless_left(receive: Receive, answer: Coroutine[Any, Any, None]) -> None:
    """Await the answer; cancel it and raise ClientLeftError as soon as the client hangs up.

    `receive` is an ASGI request's whose body was read.
    """
    answering = asyncio.ensure_future(answer)
    watching = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientLeftError
        answering.result()
    finally:
        for task in (answering, watching):
            task.cancel()
        await asyncio.gather(answering, watching, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
