"""Where a bundle is served."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """`url` is the base that clients are given; `key`: they must send one; `local`: only this machine reaches it."""

    name: str
    task: str
    url: str
    key: bool
    local: bool

    def __str__(self) -> str:
        key = "with an API key" if self.key else "without an API key"
        reach = "" if self.local else ", for every machine that reaches it"
        return f"{self.name} ({self.task}) answers at {self.url} {key}{reach}"
