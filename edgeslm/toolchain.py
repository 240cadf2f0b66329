"""Foreign tools: find one, run it, keep its log. The only place that starts a process.

A tool runs in a process group of its own, so that Ctrl-C (or a time limit) ends it with all its children.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from edgeslm.errors import MissingToolError, ToolFailedError

TAIL_LINES = 12


def find_tool(name: str, hint: str) -> Path:
    """The executable of that name on PATH. Raises MissingToolError with `hint`."""
    found = shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} is not on PATH", hint)
    return Path(found)


def run_tool(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float | None = None,
    hint: str | None = None,
) -> Path:
    """Run `command` to its end with stdout and stderr in `log`, a file that is kept. Returns `log`.

    `env` is added to this process's environment. Raises MissingToolError where the executable is not
    there and ToolFailedError on a status other than 0 (a time-out counts as status 124).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise MissingToolError(f"{command[0]} cannot be started: {error.strerror}", hint) from error
        status = _wait(process, timeout_s)
    if status != 0:
        raise ToolFailedError(command, status, log, last_lines(log), hint)
    return log


def stream_tool(
    command: Sequence[str],
    on_line: Callable[[str], None],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    hint: str | None = None,
) -> None:
    """Run `command` to its end, its stdin held open, and hand over each line of its stdout as it comes.

    stderr goes into `log`. `env` is the whole environment. Raises as `run_tool` does; the process group is gone
    afterwards, also where `on_line` raises.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=env,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise MissingToolError(f"{command[0]} cannot be started: {error.strerror}", hint) from error
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        with stdin, stdout, _time_limit(process, timeout_s) as timed_out:
            try:
                for line in stdout:
                    on_line(line.decode(errors="replace").rstrip("\r\n"))
                process.wait()
            finally:
                _end_group(process.pid)
                process.wait()
                _await_end(process.pid)
    status = 124 if timed_out else process.returncode
    if status != 0:
        raise ToolFailedError(command, status, log, last_lines(log), hint)


class Conversation:
    """The stdin and stdout of a tool that runs, in bytes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout

    def fileno(self) -> int:
        """Of what the tool writes, to wait for it beside other things."""
        return self._stdout.fileno()

    def write(self, content: bytes) -> None:
        """Raises BrokenPipeError where the tool has ended."""
        self._stdin.write(content)
        self._stdin.flush()

    def read(self, timeout_s: float) -> bytes | None:
        """What the tool wrote; b"" where it wrote nothing in this time, None where it has ended."""
        ready, _, _ = select.select([self._stdout], [], [], max(0.0, timeout_s))
        if not ready:
            return b""
        return os.read(self._stdout.fileno(), 65536) or None


@contextlib.contextmanager
def converse_with_tool(
    command: Sequence[str],
    log: Path,
    *,
    hint: str | None = None,
    pass_fds: Sequence[int] = (),
    cwd: Path | None = None,
) -> Iterator[Conversation]:
    """A tool that answers on stdout what comes in on stdin, its stderr in `log`. It is gone after the block.

    `pass_fds`: open files that it inherits, by the same numbers.
    Raises MissingToolError where the executable is not there.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                start_new_session=True,
                pass_fds=pass_fds,
                cwd=cwd,
            )
        except FileNotFoundError as error:
            raise MissingToolError(f"{command[0]} cannot be started: {error.strerror}", hint) from error
        try:
            yield Conversation(process)
        finally:
            _end_group(process.pid)
            process.wait()
            _await_end(process.pid)
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):  # what was still to be written
                    pipe.close()  # type: ignore[union-attr]  # both are pipes


def last_lines(log: Path, count: int = TAIL_LINES) -> str:
    """The last lines of a log; progress bars that rewrite a line count as their final state."""
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - 65536))
        text = source.read().decode(errors="replace")
    lines = [line.rstrip("\r").split("\r")[-1].rstrip() for line in text.split("\n")]
    return "\n".join([line for line in lines if line][-count:])


def _wait(process: subprocess.Popen[bytes], timeout_s: float | None) -> int:
    """Exit status; the whole process group is gone afterwards."""
    with _time_limit(process, timeout_s) as timed_out:
        try:
            process.wait()
        except BaseException:
            _end_group(process.pid)
            process.wait()
            _await_end(process.pid)
            raise
    if timed_out:
        _await_end(process.pid)
    return 124 if timed_out else process.returncode


@contextlib.contextmanager
def _time_limit(process: subprocess.Popen[bytes], timeout_s: float | None) -> Iterator[list[bool]]:
    """End the process group after `timeout_s`; the list then holds something."""
    timed_out: list[bool] = []

    def on_alarm() -> None:
        timed_out.append(True)
        _end_group(process.pid)

    timer = threading.Timer(timeout_s, on_alarm) if timeout_s is not None else None
    if timer is not None:
        timer.start()
    try:
        yield timed_out
    finally:
        if timer is not None:
            timer.cancel()


def _await_end(group: int) -> None:
    """Killed processes take a moment to go, on a busy machine a long one."""
    for _ in range(500):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself in the meantime
        os.killpg(pid, signal.SIGKILL)
