"""How a bundle is served."""

from __future__ import annotations

import ipaddress
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import UsageError
from .flags import flag_of

KEY_VARIABLE = "EDGESLM_API_KEY"


@dataclass(frozen=True)
class ServeOptions:
    """`max_prompt` and `max_tokens` None: what the model's context holds.

    Raises UsageError for a value out of its range, and where everybody on the network could ask without a key.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    name: str | None = None  # what clients call the model; None: its own name
    queue: int = 32  # requests that may wait beside the one that is answered
    max_body: int = 1 << 20  # bytes
    max_prompt: int | None = None  # tokens
    max_tokens: int | None = None
    grace: float = 30.0  # seconds that an answer under way gets once the server is asked to stop
    cors_origin: tuple[str, ...] = ()
    reuse_cache: bool = False
    allow_anyone: bool = False
    access_log: bool = False
    key: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("port", 0), ("queue", 0), ("max_body", 1), ("max_prompt", 1), ("max_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{flag_of(name)} must be at least {least}, not {value}")
        if self.port > 65535:
            raise UsageError(f"--port must be at most 65535, not {self.port}", "0 takes a free one")
        if not 0 <= self.grace < math.inf:
            raise UsageError(f"--grace must be a number of seconds from 0, not {self.grace}")
        if self.key is not None and not (
            self.key.isascii() and self.key.isprintable() and self.key.strip() == self.key
        ):
            raise UsageError(f"{KEY_VARIABLE} has letters that no HTTP header can carry, or a space at an end")
        if self.key == "":
            raise UsageError(f"{KEY_VARIABLE} is empty", "unset it to serve without a key, or give it one")
        if self.key is None and not self.allow_anyone and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} lets everybody who reaches this machine ask, and there is no API key",
                f"set {KEY_VARIABLE}, or take that for granted with --allow-anyone",
            )

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> ServeOptions:
        """The options that were given (None: not), and the key from the environment."""
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in given.items() if name in known and value is not None}
        if "cors_origin" in values:
            values["cors_origin"] = tuple(values["cors_origin"])
        return cls(**values, key=os.environ.get(KEY_VARIABLE))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`; a name other than localhost is taken for one that others reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
