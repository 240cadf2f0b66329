"""What every way to a board offers to the story of run.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeslm.firmware.board import Line


@dataclass(frozen=True)
class Asked:
    """What the user said of the board, and a folder to work in that is gone afterwards."""

    folder: Path
    debug_probe: str | None = None
    volume: Path | None = None


class Connected(Protocol):
    """A board that was found, and stands still until it is reset. It is let go at the end of the way's block.

    Every call raises ConnectionLostError where the board goes away, DeviceError where it refuses.
    """

    @property
    def device(self) -> str:
        """What was found, in words."""

    @property
    def debug_probe(self) -> str | None:
        """The adapter's identification, where there is one."""

    @property
    def line(self) -> Line | None:
        """Its UART, where the way brings one."""

    def write(self) -> None:
        """The image into flash."""

    def read_back(self) -> bytes | None:
        """As many bytes of flash as the image has; None where nobody can read them."""

    def reset(self) -> None:
        """Begin to run the image."""
