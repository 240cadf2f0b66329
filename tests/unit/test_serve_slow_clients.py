"""Clients that are slow to send, to read, or to be answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytest.importorskip("starlette")

from starlette.requests import Request

from edgeslm.device.serve import application, body, event_stream
from edgeslm.device.serve.body import ClientLeftError, read_object
from edgeslm.device.serve.connection import unless_left
from edgeslm.device.serve.event_stream import EventStream
from edgeslm.device.serve.metrics import Metrics
from edgeslm.device.serve.refusal import RefusalError

SCOPE: dict[str, Any] = {
    "type": "http", "method": "POST", "path": "/v1/completions", "headers": [(b"content-type", b"application/json")]
}  # fmt: skip


async def never() -> Any:
    await asyncio.Event().wait()


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_S", 0.01)
    with pytest.raises(RefusalError) as caught:
        asyncio.run(read_object(Request(SCOPE, never), 100))
    assert caught.value.status == 408


def test_who_hangs_up_in_the_middle_of_a_body_has_left() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientLeftError):
        asyncio.run(read_object(Request(SCOPE, receive), 100))


def test_who_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "WRITE_S", 0.01)
    metrics = Metrics("m", "generation")

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def full(message: Any) -> None:
        await never()

    asyncio.run(application._Observed(answer, metrics)(SCOPE, never, full))
    assert "edgeslm_cancelled_total 1.0" in metrics.text().decode()


def test_an_answer_ends_with_its_client() -> None:
    ended: list[bool] = []

    async def answer() -> None:
        try:
            await never()
        finally:
            ended.append(True)

    async def receive() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    with pytest.raises(ClientLeftError):
        asyncio.run(unless_left(receive, answer()))
    assert ended == [True]


def test_an_answer_that_fails_raises_what_it_raised() -> None:
    async def answer() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(unless_left(never, answer()))


def test_a_quiet_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "QUIET_S", 0.01)
    sent: list[bytes] = []
    spoken = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if sent.count(b": still at it\n\n") == 2:
            spoken.set()

    async def results() -> AsyncIterator[str]:
        yield "a"
        await spoken.wait()
        yield "b"

    async def run() -> list[str]:
        return [text async for text in EventStream(send).keep_alive(results())]

    assert asyncio.run(run()) == ["a", "b"]
    assert sent.count(b": still at it\n\n") >= 2
