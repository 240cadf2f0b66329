"""A request's body: one JSON object of bounded size."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from .refusal import RefusalError, wrong

BODY_S = 30.0
"""Seconds that a client has to send it."""


class ClientLeftError(Exception):
    """The client hung up, or does not read."""


async def read_object(request: Request, most: int) -> dict[str, Any]:
    """The JSON object. Raises RefusalError for another type, more than `most` bytes, or a client that is too slow."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A web page can send other types anywhere without asking; a browser asks before it sends this one.
        raise RefusalError(415, f"the Content-Type must be application/json, not {kind[:60] or 'missing'}")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    try:
        content = await asyncio.wait_for(_read(request, most), BODY_S)
    except TimeoutError:
        raise RefusalError(408, f"the body did not arrive within {BODY_S:.0f} s") from None
    except ClientDisconnect:
        raise ClientLeftError from None
    try:
        document = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise wrong(None, f"the body is no JSON: {error}"[:200]) from None
    if not isinstance(document, dict):
        raise wrong(None, "the body must be a JSON object")
    return document


async def _read(request: Request, most: int) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise _too_large(most)
    return bytes(content)


def _too_large(most: int) -> RefusalError:
    return RefusalError(413, f"the body has more than {most:,} bytes", code="body_too_large")


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")
