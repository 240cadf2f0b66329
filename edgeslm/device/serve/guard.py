"""Who may ask: clients with the key, and without a key those that mean this machine."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .options import ServeOptions, is_loopback
from .refusal import RefusalError

OPEN = ("/health",)
"""Paths that need no key: load balancers have none."""


class Guard:
    """Middleware that refuses strangers before anything of their request is read."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app = app
        self._key = None if options.key is None else options.key.encode()
        self._local = options.key is None and is_loopback(options.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            response = JSONResponse(refusal.body(), refusal.status, refusal.headers)
            await response(scope, receive, send)

    def _refusal(self, scope: Scope) -> RefusalError | None:
        headers = Headers(scope=scope)
        if self._local and not is_loopback(_host(headers.get("host", ""))):
            # A web page whose name leads to 127.0.0.1 (DNS rebinding) still sends its own name.
            return RefusalError(403, "this server is for this machine: the Host header must be localhost or 127.0.0.1")
        if self._key is None or scope["path"] in OPEN:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Headers are Latin-1; compared in constant time, whatever was given.
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self._key):
            return None
        return RefusalError(
            401,
            "the API key is wrong" if given else "an API key is needed: Authorization: Bearer KEY",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _host(value: str) -> str:
    """A Host header without its port."""
    if value.startswith("["):
        return value.partition("]")[0] + "]"
    return value.partition(":")[0]
