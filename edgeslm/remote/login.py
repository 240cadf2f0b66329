"""Login: how a user gets onto devices, beside what ~/.ssh/config says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeslm.remote.ask import NOBODY, Ask


@dataclass(frozen=True)
class Login:
    """`accept_host_keys` are fingerprints ("SHA256:…") that are trusted without a question."""

    ask: Ask = NOBODY
    identity: Path | None = None
    accept_host_keys: tuple[str, ...] = ()
