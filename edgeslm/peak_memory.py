"""Peak memory of a stage: this process and the tools it starts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

INTERVAL_S = 0.1
STATUS = Path("/proc/self/status")


class PeakMemory:
    """`mib` is the most resident memory seen: exact for this process, sampled for the processes it starts."""

    def __init__(self) -> None:
        self.mib = 0.0
        self._ended = threading.Event()

    def watch(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            tools = _descendants_kib()
            if tools:
                self.mib = max(self.mib, (_status_kib("VmRSS") + tools) / 1024)

    def end(self) -> None:
        self._ended.set()
        self.mib = max(self.mib, _status_kib("VmHWM") / 1024)


@contextlib.contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Linux only: elsewhere the peak is 0."""
    peak = PeakMemory()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # man 5 proc: resets VmHWM
    watcher = threading.Thread(target=peak.watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        peak.end()
        watcher.join()


def _status_kib(key: str) -> int:
    with contextlib.suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0


def _descendants_kib() -> int:
    """Proportional resident KiB of all processes below this one: pages that forked tools share count once."""
    total = 0
    waiting = _children(Path("/proc/self"))
    while waiting:
        process = waiting.pop()
        waiting += _children(process)
        with contextlib.suppress(OSError, ValueError):
            for line in (process / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total


def _children(process: Path) -> list[Path]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        for task in (process / "task").iterdir():
            found += [Path("/proc") / number for number in (task / "children").read_text().split()]
    return found
