"""/v1/models, /health and /metrics."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .metrics import CONTENT_TYPE
from .service import Service


class Status:
    """The routes that ask nothing of the model."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        self._service.require_model(request.path_params["name"])
        return JSONResponse(self._model())

    async def health(self, request: Request) -> Response:
        """200 while requests are taken, 503 once the server stops."""
        if self._service.queue.alive:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "stopping"}, 503)

    async def metrics(self, request: Request) -> Response:
        return Response(self._service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    def _model(self) -> dict[str, Any]:
        service = self._service
        return {"id": service.name, "object": "model", "created": service.started, "owned_by": "edgeslm"}
