"""All routes, and what happens around each: counting, refusing, and errors in the shape of OpenAI's API."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .body import ClientLeftError
from .completions import Completions
from .embeddings import Embeddings
from .guard import Guard
from .metrics import Metrics
from .refusal import CLIENT_LEFT, RefusalError
from .service import Service, told
from .status import Status

ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/health", "/metrics")
WRITE_S = 120.0
"""Seconds after which a client that reads nothing is given up."""
END_S = 3.0
"""Seconds for the model's thread to end: it does after a step, but a long prompt may take longer."""


def make_application(service: Service) -> Starlette:
    """The ASGI application; its lifespan is that of the queue's thread."""
    status = Status(service)
    routes = [
        Route("/v1/chat/completions", Completions(service, chat=True), methods=["POST"]),
        Route("/v1/completions", Completions(service, chat=False), methods=["POST"]),
        Route("/v1/embeddings", Embeddings(service), methods=["POST"]),
        Route("/v1/models", status.models),
        Route("/v1/models/{name:path}", status.model),
        Route("/health", status.health),
        Route("/metrics", status.metrics),
    ]
    middleware = [Middleware(_Observed, metrics=service.metrics)]
    if service.options.cors_origin:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(service.options.cors_origin),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
            )
        )
    middleware.append(Middleware(Guard, options=service.options))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.queue.start()
        try:
            yield
        finally:
            service.queue.cut()
            await asyncio.to_thread(service.queue.stop, END_S)
            service.close()

    return Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={RefusalError: _refused, HTTPException: _no_route, Exception: _failed},
    )


class _Observed:
    """Middleware that counts requests by status, gives each a number, and forgets those whose client left."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = CLIENT_LEFT
        number = f"req-{uuid.uuid4().hex}".encode()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", number)]
            try:
                await asyncio.wait_for(send(message), WRITE_S)
            except (TimeoutError, OSError):
                raise ClientLeftError from None

        try:
            await self._app(scope, receive, noting)
        except ClientLeftError:
            self._metrics.cancelled.inc()
        except Exception:
            status = 500  # which is sent further outside
            raise
        finally:
            route = scope["path"] if scope["path"] in ROUTES else "other"
            self._metrics.requests.labels(route, str(status)).inc()


async def _refused(request: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, RefusalError) else told(error)
    return JSONResponse(refusal.body(), refusal.status, refusal.headers)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        refusal = RefusalError(405, f"{path[:100]} takes {allowed}, not {request.method[:20]}")
    elif error.status_code == 404:
        refusal = RefusalError(404, f"there is no {path[:100]} here, but {', '.join(ROUTES)}", code="not_found")
    else:
        refusal = RefusalError(error.status_code, error.detail)
    return JSONResponse(refusal.body(), refusal.status, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    refusal = told(error)
    return JSONResponse(refusal.body(), refusal.status)
