"""Run coroutines to their end from plain code: several devices at once, and Ctrl-C ends them all in good order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from edgeslm.errors import EdgeslmError

T = TypeVar("T")


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result. On Ctrl-C it is cancelled, tidies up, and KeyboardInterrupt follows."""
    pressed: list[int] = []

    async def cancellable() -> T:
        with _cancel_on_interrupt(pressed):
            return await work

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        if pressed:
            raise KeyboardInterrupt from None
        raise


def wait_for_all(works: Sequence[Coroutine[Any, Any, T]]) -> list[T | EdgeslmError]:
    """The result of each, or the error it ended with; one that fails does not stop the others.

    Anything but an EdgeslmError is raised when all are done.
    """

    async def gathered() -> list[T | EdgeslmError]:
        answers: list[T | EdgeslmError] = []
        for result in await asyncio.gather(*works, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, EdgeslmError):
                raise result
            answers.append(result)
        return answers

    return wait_for(gathered())


@contextlib.contextmanager
def _cancel_on_interrupt(pressed: list[int]) -> Iterator[None]:
    """Ctrl-C cancels the current task; a second one is no longer caught. Only the main thread hears of signals."""
    task = asyncio.current_task()
    if task is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt() -> None:
        pressed.append(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
        task.cancel()

    loop.add_signal_handler(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
