"""Foreign tools: their logs, their failures, and nobody left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from edgeslm.errors import MissingToolError, ToolFailedError
from edgeslm.peak_memory import peak_memory
from edgeslm.toolchain import find_tool, last_lines, run_tool, stream_tool


def test_a_failing_tool_shows_its_last_lines_and_keeps_its_log(tmp_path: Path) -> None:
    code = "print('one'); print('10%\\r100%'); raise SystemExit('it broke')"
    with pytest.raises(ToolFailedError, match="it broke") as caught:
        run_tool([sys.executable, "-u", "-c", code], tmp_path / "tool.log")
    assert caught.value.status == 1
    assert "one" in caught.value.log.read_text()
    assert last_lines(caught.value.log).splitlines() == ["one", "100%", "it broke"]


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="no-such-tool"):
        run_tool(["no-such-tool"], tmp_path / "log", hint="install it")
    with pytest.raises(MissingToolError) as caught:
        find_tool("no-such-tool", "apt-get install it")
    assert caught.value.hint == "apt-get install it"


def test_peak_memory_counts_the_tools(tmp_path: Path) -> None:
    """Beside whatever else this process has started before."""
    sleeping = "import time; time.sleep(1)"
    with peak_memory() as before:
        run_tool([sys.executable, "-c", sleeping], tmp_path / "log")
    code = f"x = bytearray(200 << 20); x[::4096] = b'1' * (200 << 8); {sleeping}"
    with peak_memory() as peak:
        run_tool([sys.executable, "-c", code], tmp_path / "log")
    assert before.mib + 195 <= peak.mib < before.mib + 260
    with peak_memory() as peak:
        own = bytearray(100 << 20)
        own[::4096] = b"1" * (100 << 8)
    assert peak.mib >= 100


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


CHILD = "import subprocess,sys,time; p=subprocess.Popen(['sleep','60']); print(p.pid, flush=True); time.sleep(60)"


def test_a_time_limit_ends_the_whole_family(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError) as caught:
        run_tool([sys.executable, "-c", CHILD], tmp_path / "log", timeout_s=2)
    assert caught.value.status == 124
    assert not alive(int((tmp_path / "log").read_text()))


def test_ctrl_c_ends_the_whole_family(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def interrupt_when_started() -> None:
        for _ in range(200):
            time.sleep(0.05)
            if log.exists() and log.read_text().strip():
                break
        os.kill(os.getpid(), 2)

    # A shell lets what it starts in the background ignore Ctrl-C: these tests, perhaps.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt_when_started).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_tool([sys.executable, "-c", CHILD], log)
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(0.1)
    assert not alive(int(log.read_text()))


def test_lines_come_as_they_are_printed_and_stdin_stays_open(tmp_path: Path) -> None:
    code = "import sys, time\nprint('one', flush=True); time.sleep(0.5); print('two'); sys.stderr.write('noise')"
    code += "\nimport select; print(select.select([0], [], [], 0)[0])"
    came: list[tuple[str, float]] = []
    stream_tool(
        [sys.executable, "-c", code], lambda line: came.append((line, time.monotonic())), tmp_path / "log", env=None
    )
    assert [line for line, _ in came] == ["one", "two", "[]"]
    assert came[1][1] - came[0][1] > 0.3
    assert (tmp_path / "log").read_text() == "noise"


def test_a_stream_that_fails_or_hangs_is_ended_with_its_family(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match="it broke") as failed:
        stream_tool([sys.executable, "-c", "raise SystemExit('it broke')"], print, tmp_path / "log", env=None)
    assert failed.value.status == 1
    family = (
        "import subprocess, sys, time\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    )
    family += "\nprint(child.pid, flush=True); time.sleep(60)"
    children: list[int] = []
    with pytest.raises(ToolFailedError) as hung:
        stream_tool(
            [sys.executable, "-c", family],
            lambda line: children.append(int(line)),
            tmp_path / "log",
            env=None,
            timeout_s=2,
        )
    assert hung.value.status == 124
    assert not alive(children[0])

    def refuse(line: str) -> None:
        children.append(int(line))
        raise ValueError(line)

    with pytest.raises(ValueError, match=r"\d+"):
        stream_tool([sys.executable, "-c", family], refuse, tmp_path / "log", env=None)
    assert not alive(children[1])
