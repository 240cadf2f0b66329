"""A command on the device: its output as it comes, a time limit, and nothing of it left running afterwards."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeslm.errors import DeviceError, ProbeTimeoutError
from edgeslm.remote.connection import Connection, link_to, lost

if TYPE_CHECKING:
    from asyncssh import SSHClientProcess, SSHReader

TAIL_LINES = 12
"""What an error repeats of a command's last words."""
KEPT_LINES = 80
"""What is kept of them; a Python that was hanging tells where all its threads were."""
MAX_LINE = 16 << 20
"""Bytes of one line of output; the longest event of a probe has some 100 kB."""
CHUNK = 1 << 16
SHORT_S = 120.0
"""For a command that has nothing to wait for; a Python under an emulator takes its seconds to start."""
END_S = 20.0

# `exec` keeps the pid. Where the shell leads no process group, as with Dropbear's server, setsid gives it one: it is
# the group's number that ends everything the command started.
_START = (
    "if kill -s 0 -- -$$ 2>/dev/null || ! command -v setsid >/dev/null 2>&1; then set -- sh -c "
    '\'echo edgeslm-group $$; exec "$@"\' sh "$@"; else set -- setsid sh -c '
    '\'echo edgeslm-group $$; exec "$@"\' sh "$@"; fi; exec "$@"'
)
_GROUP = b"edgeslm-group "

# Ask the group to end, insist after three seconds, and tell whether anything of it is left.
_END = """
kill -s TERM -- -"$1" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  kill -s 0 -- -"$1" 2>/dev/null || exit 0
  sleep 0.2
done
kill -s KILL -- -"$1" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do
  kill -s 0 -- -"$1" 2>/dev/null || exit 0
  sleep 0.2
done
exit 1
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended. `signal` is the name of the signal that killed it ("KILL"), else None."""

    status: int | None
    signal: str | None
    stdout: str
    stderr: str  # its last lines

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def how(self) -> str:
        """In words, for an error: status or signal, and its last lines."""
        end = f"was ended by signal {self.signal}" if self.signal else f"ended with status {self.status}"
        tail = "\n".join(f"         {line}" for line in self.stderr.splitlines()[-TAIL_LINES:])
        return f"{end}; its last lines:\n{tail}" if tail else f"{end} and said nothing"


async def run_script(
    connection: Connection,
    script: str,
    *arguments: str,
    doing: str,
    time_limit_s: float = SHORT_S,
) -> Ended:
    """Run a POSIX shell script on the device, whatever the user's own shell is. Its status may be anything.

    Raises ConnectionLostError, ProbeTimeoutError.
    """
    command = shlex.join(["sh", "-c", script, "sh", *arguments])
    kept: list[bytes] = []
    ended = await _follow(connection, command, kept.append, None, doing=doing, time_limit_s=time_limit_s)
    return Ended(ended.status, ended.signal, b"\n".join(kept).decode(errors="replace"), ended.stderr)


async def run_program(
    connection: Connection,
    arguments: Sequence[str],
    on_line: Callable[[bytes], None],
    *,
    environment: dict[str, str],
    doing: str,
    time_limit_s: float,
    too_slow: str,
) -> Ended:
    """Run a program in a process group of its own; `on_line` gets each line of its output. Its stdin stays open.

    Past the time limit, and when this is cancelled, the whole group is ended on the device. Raises ProbeTimeoutError
    with the hint `too_slow`, ConnectionLostError.
    """
    pairs = [f"{name}={value}" for name, value in environment.items()]
    command = shlex.join(["sh", "-c", _START, "sh", "env", *pairs, *arguments])
    group: list[int] = []

    def take(line: bytes) -> None:
        if line.startswith(_GROUP) and not group:
            group.append(int(line.removeprefix(_GROUP)))
        else:
            on_line(line)

    return await _follow(connection, command, take, group, doing=doing, time_limit_s=time_limit_s, too_slow=too_slow)


async def _follow(
    connection: Connection,
    command: str,
    on_line: Callable[[bytes], None],
    group: list[int] | None,
    *,
    doing: str,
    time_limit_s: float,
    too_slow: str = "is the device overloaded, or its disk failing?",
) -> Ended:
    """Hand the lines on until the command ends. `group` is None for a script, which is left to its channel's end."""
    with link_to(connection, doing):
        process = await connection.ssh.create_process(command, encoding=None)
    tail = _Tail()
    try:
        async with asyncio.timeout(time_limit_s):
            with link_to(connection, doing):
                if group is None:
                    process.stdin.write_eof()
                await asyncio.gather(_lines(process.stdout, on_line), _lines(process.stderr, tail.add))
                await process.wait_closed()
    except TimeoutError:
        left = await _end(connection, process, group)
        raise ProbeTimeoutError(
            f"{connection.address}: {doing} took longer than {time_limit_s:.0f} s and was ended{left}{tail.quoted}",
            too_slow,
        ) from None
    except BaseException:
        if not connection.ssh.is_closed():
            await _end(connection, process, group)
        raise
    signal = process.exit_signal[0] if process.exit_signal else None
    if process.exit_status is None and signal is None:
        raise lost(connection, doing, "it ended without a status")
    return Ended(process.exit_status if signal is None else None, signal, "", tail.text)


async def _lines(stream: SSHReader[bytes], on_line: Callable[[bytes], None]) -> None:
    pending = b""
    while chunk := await stream.read(CHUNK):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            on_line(line)
        if len(pending) > MAX_LINE:
            raise DeviceError(f"the device answers with a line of more than {MAX_LINE:,} bytes")
    if pending:
        on_line(pending)


async def _end(connection: Connection, process: SSHClientProcess[bytes], group: list[int] | None) -> str:
    """End the command's whole process group. What is to be said about it, "" where it is gone."""
    process.close()
    if group is None:
        return ""
    if not group:
        return "; it had not told its process number: look on the device whether it still runs"
    with link_to(connection, "ending what runs there"):
        command = shlex.join(["sh", "-c", _END, "sh", str(group[0])])
        ended = await asyncio.wait_for(connection.ssh.run(command, encoding=None), END_S)
    return "" if ended.exit_status == 0 else f"; process group {group[0]} is still there and could not be killed"


class _Tail:
    """The last lines of a stream."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: bytes) -> None:
        # A progress bar that rewrites its line counts as its final state.
        text = line.decode(errors="replace").rstrip("\r").split("\r")[-1].rstrip()
        if text:
            self._lines = [*self._lines, text][-KEPT_LINES:]

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    @property
    def quoted(self) -> str:
        return "".join(f"\n         {line}" for line in self._lines[-TAIL_LINES:])
