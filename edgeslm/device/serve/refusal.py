"""Why a request gets no answer: an HTTP status and the error object that clients of OpenAI's API read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DeviceError, MissingPackageError, PromptTooLongError, UsageError

CLIENT_LEFT = 499
"""No answer was sent: the client hung up before it. nginx counts such requests under this number."""

_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RefusalError(Exception):
    """`status`, and what `body` says. `param` is the field of the request that is wrong, `code` a word for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON document."""
        kind = "server_error" if self.status >= 500 else _KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def wrong(param: str | None, message: str, code: str | None = None) -> RefusalError:
    """A request that cannot be taken as it is."""
    return RefusalError(400, message, param=param, code=code)


def stopping() -> RefusalError:
    """The server ends."""
    return RefusalError(503, "the server is stopping", code="stopping", headers={"Retry-After": "5"})


def refusal_of(error: DeviceError) -> RefusalError:
    """What the model says of a request, or of itself. Its hints are for command lines and left out."""
    if isinstance(error, PromptTooLongError):
        message = f'{error.message}; shorten it, or "truncate": true cuts its beginning'
        return wrong(None, message, "context_length_exceeded")
    if isinstance(error, UsageError):
        return wrong(None, error.message)
    if isinstance(error, MissingPackageError):
        return RefusalError(501, error.message, code="missing_package")
    return RefusalError(500, error.message, code=type(error).__name__)
