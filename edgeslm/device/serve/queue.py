"""Requests in the order they came, and the one thread that works on them: a model gives one answer at a time."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from .metrics import Metrics
from .refusal import RefusalError, stopping

Work = Callable[[], Iterator[object]]
"""Called and iterated over in the thread; closed early when nobody wants the rest."""

LONGEST_RETRY = 600
RECENT = 8
"""The mean service time follows about so many of the last answers."""

_END = object()


class Queue:
    """`waiting` requests may wait beside the one that is worked on. All methods are the event loop's, one loop for all.

    `start` begins the thread, `stop` ends it.
    """

    def __init__(self, waiting: int, metrics: Metrics) -> None:
        self._size = waiting + 1
        self._metrics = metrics
        self._places: set[Place] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._refusing = False
        self._mean: float | None = None  # seconds
        # The thread's side, guarded by `_changed`.
        self._changed = threading.Condition()
        self._ready: deque[tuple[Place, Work]] = deque()
        self._current: Place | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive() and not self._refusing

    def enter(self) -> Place:
        """A place for a request. Raises RefusalError: 429 where all are taken, 503 where the server stops."""
        if self._refusing:
            raise stopping()
        if len(self._places) >= self._size:
            seconds = self.retry_after()
            raise RefusalError(
                429,
                f"{self._size} requests are being answered or wait already; try again in {seconds} s",
                code="queue_full",
                headers={"Retry-After": str(seconds)},
            )
        place = Place(self)
        self._places.add(place)
        self._empty.clear()
        self._metrics.places.set(len(self._places))
        return place

    def retry_after(self) -> int:
        """Seconds after which a place should be free: what answers took lately, or what this one took until now."""
        current = self._current
        taken = time.monotonic() - current.begun if current is not None else 0.0
        return min(max(math.ceil(max(self._mean or 0.0, taken)), 1), LONGEST_RETRY)

    def refuse(self) -> None:
        """Take no more requests, and send away those that wait; the one under way goes on."""
        self._refusing = True
        with self._changed:
            current = self._current
        for place in list(self._places):
            if place is not current:
                place._end_with(stopping())

    async def wait_empty(self) -> None:
        await self._empty.wait()

    def cut(self) -> None:
        """End the answer under way; whoever waits for it is told."""
        for place in list(self._places):
            place._end_with(stopping())

    def stop(self, timeout: float) -> bool:
        """End the thread; False where it is still inside the runtime after `timeout` seconds."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _put(self, place: Place, work: Work) -> None:
        with self._changed:
            self._ready.append((place, work))
            self._changed.notify()

    def _leave(self, place: Place) -> None:
        place.left = True
        with self._changed:
            self._ready = deque(entry for entry in self._ready if entry[0] is not place)
        self._places.discard(place)
        self._metrics.places.set(len(self._places))
        if not self._places:
            self._empty.set()

    def _note_service(self, seconds: float) -> None:
        self._mean = seconds if self._mean is None else self._mean + (seconds - self._mean) / RECENT
        self._metrics.served.observe(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._ended)
                if self._ended:
                    return
                place, work = self._ready.popleft()
                place.begun = time.monotonic()
                self._current = place
            self._metrics.answering.set(1)
            self._metrics.waited.observe(place.begun - place.entered)
            error = place._compute(work)
            with self._changed:
                self._current = None
            self._metrics.answering.set(0)
            self._tell(self._finish, place, time.monotonic() - place.begun, error)
            del place, work, error  # the next request may be long in coming

    def _finish(self, place: Place, seconds: float, error: BaseException | None) -> None:
        if not place.left:
            self._note_service(seconds)
        place._end_with(error)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: the server ended, and nobody waits
            self._loop.call_soon_threadsafe(function, *arguments)


class Place:
    """One request, from its arrival to the end of the work on it. Leaving the `with` block gives the place up."""

    def __init__(self, queue: Queue) -> None:
        self.entered = time.monotonic()
        self.begun = self.entered
        self.left = False  # read by the thread: nobody wants the rest
        self._queue = queue
        self._begins: asyncio.Event = asyncio.Event()
        self._results: asyncio.Queue[object] = asyncio.Queue()
        self._error: BaseException | None = None
        self._over = False

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *exception: object) -> None:
        self._queue._leave(self)

    async def begin(self, work: Work) -> None:
        """Queue for the model, and wait until it is this request's turn. Raises RefusalError where it never will be."""
        if not self._over:
            self._queue._put(self, work)
        await self._begins.wait()
        if self._over and self._results.qsize() == 1 and self._error is not None:
            raise self._error

    async def results(self) -> AsyncIterator[object]:
        """What the work yields, as it comes; raises what it raised."""
        while (result := await self._results.get()) is not _END:
            yield result
        if self._error is not None:
            raise self._error

    def _compute(self, work: Work) -> BaseException | None:
        """In the thread: all of the work, or as much as is wanted; the error it ended with."""
        queue = self._queue
        queue._tell(self._begins.set)
        try:
            results = work()
            try:
                for result in results:
                    if self.left:
                        break
                    queue._tell(self._results.put_nowait, result)
            finally:
                close = getattr(results, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            return error
        return None

    def _end_with(self, error: BaseException | None) -> None:
        """Nothing follows; the place is free for another request, whether or not this one has read its results."""
        if not self._over:
            self._over = True
            self._error = error
            self._results.put_nowait(_END)
            self._begins.set()
        self._queue._leave(self)
