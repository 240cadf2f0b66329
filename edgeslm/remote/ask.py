"""Ask: what a connection may have to ask a person."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgeslm.remote.address import Address

T = TypeVar("T")


@dataclass(frozen=True)
class Ask:
    """Called in a thread of their own, since a person takes time. False and None: there is no answer."""

    confirm_host_key: Callable[[Address, str, str], bool]  # address, type of the key, its fingerprint
    password: Callable[[Address], str | None]
    passphrase: Callable[[Path], str | None]


NOBODY = Ask(lambda address, kind, fingerprint: False, lambda address: None, lambda path: None)
"""There is nobody to ask."""


async def put(question: Callable[[], T]) -> T:
    """The answer, while other devices go on.

    A daemon thread waits for it: after Ctrl-C nobody answers any more, and asyncio's own threads would be waited for.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)  # type: ignore[arg-type]  # None is an answer, too

    def wait() -> None:
        try:
            value = question()
        except BaseException as error:
            loop.call_soon_threadsafe(settle, None, error)
        else:
            loop.call_soon_threadsafe(settle, value, None)

    threading.Thread(target=wait, name="ask", daemon=True).start()
    return await answer
