"""What a probe is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    bundle: Path
    runs: int = 50
    threads: int = 2
    lengths: tuple[int, ...] = ()  # all, if not given
    meter: str | None = None
    counted: bool = False  # an emulator counts instructions between marks
    profile: bool = True  # which operator takes how long
    kernels: bool = False  # the bundle is one of single kernels

    @property
    def threads_used(self) -> int:
        """One where instructions are counted: what a second one does depends on when it is scheduled."""
        return 1 if self.counted else self.threads
