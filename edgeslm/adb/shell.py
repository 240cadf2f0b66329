"""Commands on the device: what they print, their status, a time limit, and nothing of them left running afterwards.

The status comes as a line of the command's own. adb's own exit status says nothing where the connection is lost: that
of Debian's adb 29 is then 0, as if all had gone well.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgeslm.adb.device import Device, TooSlowError, call, failed, lost, said
from edgeslm.errors import DeviceError, ProbeTimeoutError, ToolFailedError
from edgeslm.toolchain import converse_with_tool

TAIL_LINES = 12
"""What an error repeats of a command's last words."""
SHORT_S = 60.0
"""For a command that has nothing to wait for."""
END_S = 20.0
_STATUS = "edgeslm-status "
_GROUP = "edgeslm-group "

# Field 5 of /proc/PID/stat is the process group; the name before it may hold anything. Android's shell and ps of 2017
# know no shorter way.
_TELL_GROUP = 'IFS= read -r stat < /proc/$$/stat; stat=${stat##*") "}; set -- $stat; echo "' + _GROUP + '$3"; '

# By its group, which is that of everything the command started; then wait until nothing of it is left.
_END = """
kill -s KILL -- -"$1" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kill -s 0 -- -"$1" 2>/dev/null || exit 0
  sleep 0.2
done
exit 1
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status (128 and more: a signal), its output, the last lines of its stderr."""

    status: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.status == 0


def run_script(
    device: Device,
    script: str,
    *arguments: str,
    doing: str,
    time_limit_s: float = SHORT_S,
    too_slow: str = "is the device asleep or overloaded?",
) -> Ended:
    """Run a POSIX shell script on the device. Its status may be anything.

    Raises ConnectionLostError, ProbeTimeoutError, and DeviceError where adb itself fails.
    """
    lines: list[str] = []
    status = _run(device, _quoted(script, arguments), lines.append, doing, time_limit_s, too_slow)
    return Ended(status, "\n".join(lines), said(device))


def read_bytes(device: Device, script: str, *arguments: str, size: int, doing: str) -> bytes:
    """The `size` bytes that a script prints on the device. Raises ConnectionLostError, DeviceError where it prints
    others."""
    content, until = b"", time.monotonic() + SHORT_S
    with converse_with_tool(device.command("shell", "-T", _quoted(script, arguments)), device.log) as told:
        while len(content) < size and (left := until - time.monotonic()) > 0:
            piece = told.read(left)
            if piece is None:
                break
            content += piece
    if len(content) != size:
        raise failed(device, doing)
    return content


def run_program(
    device: Device,
    arguments: Sequence[str],
    on_line: Callable[[str], None],
    *,
    environment: Mapping[str, str],
    doing: str,
    time_limit_s: float,
    too_slow: str,
) -> Ended:
    """Run a program; `on_line` gets each line of its output. Its stdin stays open.

    Past the time limit, and when anything is raised here (Ctrl-C, too), everything it started is ended on the device.
    Raises ProbeTimeoutError with the hint `too_slow`, ConnectionLostError, DeviceError.
    """
    group: list[str] = []

    def take(line: str) -> None:
        if line.startswith(_GROUP) and not group:
            group.append(line.removeprefix(_GROUP))
        else:
            on_line(line)

    pairs = [f"{name}={value}" for name, value in environment.items()]
    command = _TELL_GROUP + shlex.join(["env", *pairs, *arguments])
    try:
        status = _run(device, command, take, doing, time_limit_s, too_slow)
    except BaseException as error:
        if group:
            _end_group(device, group[0], error)
        raise
    return Ended(status, "", said(device))


def _quoted(script: str, arguments: Sequence[str]) -> str:
    return shlex.join(["sh", "-c", script, "sh", *arguments])


def _run(
    device: Device, command: str, on_line: Callable[[str], None], doing: str, time_limit_s: float, too_slow: str
) -> int:
    """The status that the command told. What it prints without a line's end is a line all the same."""
    status: list[int] = []
    held: list[str] = []  # an empty line, which may be the one that stands before the status

    def take(line: str) -> None:
        word = line.removeprefix(_STATUS)
        if line.startswith(_STATUS) and word.isdecimal():
            status.append(int(word))
            return
        if held:
            on_line(held.pop())
        if line:
            on_line(line)
        else:
            held.append(line)

    try:
        told = f"{command}; printf '\\n{_STATUS}%s\\n' \"$?\""
        call(device, ["shell", "-T", told], take, time_limit_s=time_limit_s)
    except TooSlowError:
        tail = "".join(f"\n         {line}" for line in said(device).splitlines()[-TAIL_LINES:])
        raise ProbeTimeoutError(
            f"{device}: {doing} took longer than {time_limit_s:.0f} s and was ended{tail}", too_slow
        ) from None
    except ToolFailedError:
        raise failed(device, doing) from None
    if not status:
        raise lost(device, doing)
    return status[0]


def _end_group(device: Device, group: str, why: BaseException) -> None:
    """End what runs there; where that cannot be done, `why` says so. A device that is gone ends it by itself: its adbd
    closes the program's stdin."""
    try:
        ended = run_script(device, _END, group, doing="ending what runs there", time_limit_s=END_S)
    except DeviceError:
        return
    if not ended.ok and isinstance(why, DeviceError):
        why.message += f"; process group {group} is still there and could not be killed"
