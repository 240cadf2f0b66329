"""What all routes share: the model, the queue before it, and the request that is read, prepared and answered."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ..errors import DeviceError
from ..model import Model
from .metrics import Metrics
from .options import ServeOptions
from .queue import Queue
from .refusal import RefusalError, refusal_of

Prepared = TypeVar("Prepared")


class Service:
    """One model, served. `name` is what clients call it; `started` is a Unix time."""

    def __init__(self, model: Model, options: ServeOptions) -> None:
        self.model = model
        self.options = options
        self.name = options.name or model.name
        self.started = int(time.time())
        self.metrics = Metrics(self.name, model.task)
        self.queue = Queue(options.queue, self.metrics)
        self.fingerprint = f"fp_{model.manifest['model']['digest'][:12]}"
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")

    async def prepare(self, work: Callable[[], Prepared]) -> Prepared:
        """Turn a request's text into tokens beside the event loop, which goes on, and beside the answer under way.

        Raises RefusalError where the model cannot take it.
        """
        with _refusing():
            return await asyncio.get_running_loop().run_in_executor(self._preparing, work)

    def require_model(self, given: Any) -> None:
        """A request that names no model, or this one, is answered. Raises RefusalError (404) for another's name."""
        if given is not None and given != self.name:
            raise RefusalError(
                404,
                f"the model {given!r:.100} is not here; this server has {self.name!r}",
                param="model",
                code="model_not_found",
            )

    def require_task(self, task: str) -> None:
        """Raises RefusalError (400) that names the routes which this model does answer."""
        if self.model.task != task:
            routes = {"generation": "/v1/chat/completions or /v1/completions", "embedding": "/v1/embeddings"}
            raise RefusalError(400, f"{self.name} does {self.model.task}: ask {routes[self.model.task]}")

    def close(self) -> None:
        self._preparing.shutdown(wait=False, cancel_futures=True)


def told(error: Exception) -> RefusalError:
    """An error of the work under way, for a client whose answer has begun; what is not the client's doing is logged."""
    if isinstance(error, DeviceError):
        error = refusal_of(error)
    if isinstance(error, RefusalError):
        if error.status >= 500 and error.code != "stopping":
            log_error(error.message)
        return error
    log_error(f"{type(error).__name__}: {error}")
    return RefusalError(500, "the server failed; its log says how", code="internal_error")


def log_error(message: str) -> None:
    """A line on stderr. Texts of clients are not logged anywhere."""
    sys.stderr.write(f"error: {message}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except DeviceError as error:
        raise refusal_of(error) from None
