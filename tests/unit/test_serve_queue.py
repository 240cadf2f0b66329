"""The queue before a model: order, room, who leaves, and the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")

from edgeslm.device.serve.metrics import Metrics
from edgeslm.device.serve.queue import Place, Queue, Work
from edgeslm.device.serve.refusal import RefusalError

WAIT_S = 20.0


def with_queue(waiting: int, test: Callable[[Queue], Coroutine[Any, Any, None]]) -> None:
    """Run a test in an event loop of its own, over a queue that is stopped afterwards."""

    async def run() -> None:
        queue = Queue(waiting, Metrics("m", "generation"))
        queue.start()
        try:
            await asyncio.wait_for(test(queue), WAIT_S)
        finally:
            assert await asyncio.to_thread(queue.stop, WAIT_S)

    asyncio.run(run())


class Gated:
    """Work that yields 0, 1, 2, … up to `count`, each once it is let through."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.begun = threading.Event()
        self.closed = threading.Event()
        self.gate = threading.Semaphore(0)

    def __call__(self) -> Iterator[int]:
        self.begun.set()
        try:
            for number in range(self.count):
                assert self.gate.acquire(timeout=WAIT_S)
                yield number
        finally:
            self.closed.set()

    def let(self, count: int) -> None:
        self.gate.release(count)


async def answered(place: Place, work: Work) -> list[object]:
    with place:
        await place.begin(work)
        return [result async for result in place.results()]


async def refusal(task: asyncio.Task[list[object]]) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        await task
    return caught.value


def test_requests_are_answered_one_at_a_time_in_their_order() -> None:
    order: list[int] = []

    def work(number: int) -> Iterator[int]:
        order.append(number)
        yield number
        order.append(number)
        yield number

    async def test(queue: Queue) -> None:
        tasks = [answered(queue.enter(), lambda number=number: work(number)) for number in range(20)]  # type: ignore[misc]
        assert await asyncio.gather(*tasks) == [[number, number] for number in range(20)]

    with_queue(20, test)
    assert order == [number for number in range(20) for _ in range(2)]


def test_one_too_many_is_told_when_to_come_back() -> None:
    async def test(queue: Queue) -> None:
        gated = Gated()
        first = asyncio.create_task(answered(queue.enter(), gated))
        second = asyncio.create_task(answered(queue.enter(), lambda: iter([7])))
        with pytest.raises(RefusalError) as caught:
            queue.enter()
        assert caught.value.status == 429
        assert caught.value.headers["Retry-After"] == "1"
        gated.let(1)
        assert await first == [0]
        assert await second == [7]
        assert await answered(queue.enter(), lambda: iter([8])) == [8]

    with_queue(1, test)


def test_the_time_to_come_back_is_what_answers_take() -> None:
    async def test(queue: Queue) -> None:
        assert queue.retry_after() == 1
        queue._note_service(8.0)
        assert queue.retry_after() == 8
        queue._note_service(16.0)
        assert queue.retry_after() == 9
        for _ in range(100):
            queue._note_service(5000.0)
        assert queue.retry_after() == 600

    with_queue(0, test)


def test_who_leaves_while_waiting_is_never_worked_for() -> None:
    async def test(queue: Queue) -> None:
        gated, never = Gated(), Gated()
        first = asyncio.create_task(answered(queue.enter(), gated))
        assert await asyncio.to_thread(gated.begun.wait, WAIT_S)
        for _ in range(50):  # more than there are places: those who left do not hold theirs
            leaver = asyncio.create_task(answered(queue.enter(), never))
            await asyncio.sleep(0)
            leaver.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaver
        assert len(queue._ready) == 0
        gated.let(1)
        assert await first == [0]
        assert not never.begun.is_set()

    with_queue(1, test)


def test_who_leaves_in_the_middle_ends_the_work_at_the_next_result() -> None:
    async def test(queue: Queue) -> None:
        gated = Gated(1000)
        with queue.enter() as place:
            await place.begin(gated)
            gated.let(1)
            assert await anext(aiter(place.results())) == 0
        gated.let(1)  # one more result, and not the 998 behind it
        assert await asyncio.to_thread(gated.closed.wait, WAIT_S)
        assert queue._mean is None  # half an answer says nothing of how long answers take
        assert await answered(queue.enter(), lambda: iter([1])) == [1]
        assert queue._mean is not None

    with_queue(0, test)


def test_an_error_is_its_own_requests_alone() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    async def test(queue: Queue) -> None:
        with queue.enter() as place:
            await place.begin(broken)
            results = aiter(place.results())
            assert await anext(results) == 1
            with pytest.raises(ValueError, match="no"):
                await anext(results)
        assert await answered(queue.enter(), lambda: iter([1])) == [1]
        assert queue.alive

    with_queue(0, test)


def test_a_client_that_does_not_read_holds_no_place() -> None:
    async def test(queue: Queue) -> None:
        with queue.enter() as slow:
            await slow.begin(lambda: iter(range(100)))
            await queue.wait_empty()
            assert await answered(queue.enter(), lambda: iter([1])) == [1]
            assert [result async for result in slow.results()] == list(range(100))

    with_queue(0, test)


def test_a_stop_lets_the_work_under_way_end_and_sends_the_others_away() -> None:
    async def test(queue: Queue) -> None:
        gated = Gated(3)
        first = asyncio.create_task(answered(queue.enter(), gated))
        second = asyncio.create_task(answered(queue.enter(), Gated()))
        reading = queue.enter()  # its body is not there yet
        assert await asyncio.to_thread(gated.begun.wait, WAIT_S)
        queue.refuse()
        assert not queue.alive
        assert (await refusal(second)).status == 503
        assert (await refusal(asyncio.create_task(answered(reading, Gated())))).status == 503
        with pytest.raises(RefusalError) as caught:
            queue.enter()
        assert caught.value.status == 503
        assert not queue._empty.is_set()
        gated.let(3)
        await queue.wait_empty()
        assert await first == [0, 1, 2]

    with_queue(3, test)


def test_a_cut_ends_the_work_under_way() -> None:
    async def test(queue: Queue) -> None:
        gated = Gated(1000)
        task = asyncio.create_task(answered(queue.enter(), gated))
        assert await asyncio.to_thread(gated.begun.wait, WAIT_S)
        await asyncio.sleep(0)
        queue.cut()
        gated.let(1)
        assert (await refusal(task)).status == 503
        assert await asyncio.to_thread(gated.closed.wait, WAIT_S)

    with_queue(0, test)
