"""Lock: one edgeslm at a time on a device, since two probes would falsify each other."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator

from edgeslm.errors import DeviceError
from edgeslm.remote.command import SHORT_S
from edgeslm.remote.connection import Connection, link_to

FILE = "lock"

# Held by a process on the device that ends with its stdin: a lost connection gives the lock back.
_HOLD = """
mkdir -p -- "$1" || exit 1
if command -v flock >/dev/null 2>&1; then
  exec flock -n "$1/lock" sh -c 'echo locked; cat >/dev/null'
fi
exec "$2" -c 'import fcntl, sys
lock = open(sys.argv[1], "a")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("locked", flush=True)
sys.stdin.read()' "$1/lock"
"""


@contextlib.asynccontextmanager
async def locked(connection: Connection, folder: str, python: str) -> AsyncIterator[None]:
    """Hold the lock of a folder on the device, which is made if need be. Raises DeviceError where somebody has it."""
    command = shlex.join(["sh", "-c", _HOLD, "sh", folder, python])
    with link_to(connection, "locking the device"):
        process = await connection.ssh.create_process(command, encoding=None)
    try:
        with link_to(connection, "locking the device"):
            answer = await asyncio.wait_for(process.stdout.readline(), SHORT_S)
            if answer.strip() != b"locked":
                said = (await process.stderr.read()).decode(errors="replace").strip()
                raise _not_locked(connection, folder, said)
        yield
    finally:
        process.close()


def _not_locked(connection: Connection, folder: str, said: str) -> DeviceError:
    # flock says nothing at all, Python tells of the error.
    if not said or "BlockingIOError" in said:
        return DeviceError(
            f"{connection.address} is busy: another edgeslm measures or installs there ({folder})",
            "wait until it is done; two at a time would falsify each other",
        )
    return DeviceError(
        f"{connection.address}: {folder} cannot be written: {said.splitlines()[-1]}",
        "--remote-dir names another folder",
    )
