"""The server's life: an address, until a signal; then the answer under way, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
import uvicorn.config

from ..errors import UsageError
from ..model import Model
from ..systemd import tell_systemd
from .address import Address
from .application import make_application
from .options import ServeOptions, is_loopback
from .service import Service

MOST_CONNECTIONS = 512
"""Of which each holds a file and some memory; further ones get a bare 503."""
KEEP_S = 75
"""Seconds that a connection is kept for its client's next request: longer than clients keep theirs (the openai package:
5), since one that is closed just as it is used again costs the client an error."""
FLUSH_S = 5
"""Seconds that clients have to read the rest of their answers at the end."""


def bind(host: str, port: int) -> socket.socket:
    """A socket with that address, on which nothing listens yet. Raises UsageError where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"--host {host} is no address: {error}", "127.0.0.1 is this machine, 0.0.0.0 all networks"
        ) from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _no_address(host, port, error) from None
    return bound


def run_server(
    model: Model, options: ServeOptions, listener: socket.socket, announce: Callable[[Address], None]
) -> int:
    """Serve until SIGTERM or SIGINT; the exit status, 0. A second signal does not wait for the answer under way.

    `announce` is told the address once it answers. Raises KeyboardInterrupt for the second signal, if it was SIGINT.
    """
    service = Service(model, options)
    signals: list[int] = []
    asyncio.run(_serve(service, listener, announce, signals))
    if not service.queue.stop(0):
        # The model's thread is inside the runtime, which nobody can interrupt, and may not be freed under it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    if len(signals) > 1 and signals[-1] == signal.SIGINT:
        raise KeyboardInterrupt
    return 0


async def _serve(
    service: Service, listener: socket.socket, announce: Callable[[Address], None], signals: list[int]
) -> None:
    options = service.options
    config = uvicorn.Config(
        make_application(service),
        log_config=_log_config(),
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="info" if options.access_log else "warning",
        access_log=options.access_log,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_S,
        timeout_graceful_shutdown=FLUSH_S,
    )
    server = _Server(config)
    asked, forced = asyncio.Event(), asyncio.Event()

    def on_signal(number: int) -> None:
        signals.append(number)
        (asked if len(signals) == 1 else forced).set()

    with _signals(on_signal):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        ready = asyncio.create_task(server.wait_started())
        try:
            await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                announce(_address(service, listener))
                tell_systemd("READY=1")
                await _first(serving, asyncio.create_task(asked.wait()))
                tell_systemd("STOPPING=1")
                service.queue.refuse()
                waits = (asyncio.create_task(service.queue.wait_empty()), asyncio.create_task(forced.wait()))
                await _first(serving, *waits, timeout=options.grace)
        finally:
            ready.cancel()
            service.queue.cut()
            server.should_exit = True
            await serving


async def _first(*tasks: asyncio.Task[object], timeout: float | None = None) -> None:
    """Until one of them is done; those but the first are ended then."""
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks[1:]:
        task.cancel()


class _Server(uvicorn.Server):
    """uvicorn's, which leaves signals to us: it would close its address before the answer under way is given."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    async def wait_started(self) -> None:
        await self._listening.wait()


def _log_config() -> dict[str, Any]:
    """uvicorn's own, on stderr alone."""
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    return config


@contextlib.contextmanager
def _signals(act: Callable[[int], None]) -> Iterator[None]:
    """SIGTERM and SIGINT, as events of the running loop."""
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield  # a test's server; only the main thread has signals
        return

    def received(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(act, number)

    before = {number: signal.signal(number, received) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _address(service: Service, listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    return Address(service.name, service.model.task, url, service.options.key is not None, is_loopback(host))


def _no_address(host: str, port: int, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"port {port} of {host} is in use", "--port names another; --port 0 takes a free one")
    if error.errno == errno.EACCES:
        return UsageError(f"port {port} is for root alone", "--port names another: those from 1024 are for everybody")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"{host} is no address of this machine", "127.0.0.1 is this machine, 0.0.0.0 all networks")
    return UsageError(f"{host}:{port} cannot be listened at: {error.strerror or error}")
