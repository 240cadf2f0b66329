"""Copy a bundle's files into a folder on the device: only what changed, each whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeslm.bundle.manifest import MANIFEST, Manifest
from edgeslm.errors import ConnectionLostError, DeviceError, UnfitDeviceError
from edgeslm.formats.archive import Archive
from edgeslm.remote.command import run_script
from edgeslm.remote.connection import Connection, link_to

if TYPE_CHECKING:
    from asyncssh import SFTPClient

PART = ".part"
BLOCK = 1 << 16
"""What a file or folder may take on a disk beyond its bytes."""
DIGESTS_S = 600.0
"""For the digests of everything; a Raspberry Pi Zero 2 W reads and hashes some 20 MB/s from its card."""

_LINE = re.compile(r"([0-9a-f]{64}) [ *]\./(.+)")
_WHEEL = re.compile(r"[^-]+-[^-]+(-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-[^-]+\.whl")

_DIGESTS = """
cd "$1" 2>/dev/null || exit 0
if command -v sha256sum >/dev/null 2>&1; then
  find . -type f -exec sha256sum -- {} +
else
  find . -type f -exec "$2" -c 'import hashlib, sys
for name in sys.argv[1:]:
    with open(name, "rb") as source:
        print(hashlib.file_digest(source, "sha256").hexdigest(), "", name)' {} +
fi
"""

# Links go first, so that nothing is followed out of this folder.
_TIDY = """
mkdir -p -- "$1" && cd "$1" || exit 1
shift
find . ! -type d ! -type f -exec rm -f -- {} + || exit 1
for name in "$@"; do rm -f -- "./$name" || exit 1; done
find . -depth -type d -exec rmdir -- {} + 2>/dev/null
exit 0
"""


@dataclass(frozen=True)
class CopyPlan:
    """What has to happen for a folder on the device to hold exactly `wanted` (name -> SHA-256)."""

    wanted: Mapping[str, str]
    upload: tuple[str, ...]
    remove: tuple[str, ...]
    upload_bytes: int

    @property
    def unchanged(self) -> int:
        return len(self.wanted) - len(self.upload)


@dataclass(frozen=True)
class Copied:
    """What was copied."""

    files: int
    bytes: int
    unchanged: int
    removed: int


def wanted_members(archive: Archive, manifest: Manifest, python: str | None, *, wheels: bool) -> dict[str, str]:
    """Member -> SHA-256 of what goes onto the device: all but the wheels it has no use for.

    `python` is the device's version ("3.11"), None where it is unknown; `wheels` False where nothing is to be
    installed. A bundle has wheels for three Pythons, which are most of its bytes.
    """
    digest = hashlib.sha256()
    for chunk in archive.chunks(MANIFEST):
        digest.update(chunk)
    wanted = {MANIFEST: digest.hexdigest()}
    for name, part in manifest.files.items():
        if not name.startswith("wheels/") or (wheels and (python is None or suits_python(name, python))):
            wanted[name] = part.sha256
    return wanted


def plan_copy(wanted: Mapping[str, str], there: Mapping[str, str], sizes: Mapping[str, int]) -> CopyPlan:
    """Compare what is wanted with what is there, by digest."""
    upload = tuple(sorted(name for name, digest in wanted.items() if there.get(name) != digest))
    remove = tuple(sorted(set(there) - set(wanted)))
    return CopyPlan(dict(wanted), upload, remove, sum(sizes[name] for name in upload))


async def ask_digests(connection: Connection, folder: str, python: str | None) -> dict[str, str]:
    """Name -> SHA-256 of the files in a folder on the device; empty where there is none. Changes nothing there."""
    ended = await run_script(
        connection, _DIGESTS, folder, python or "python3", doing="comparing digests", time_limit_s=DIGESTS_S
    )
    lines = (_LINE.fullmatch(line) for line in ended.stdout.splitlines())
    return {line[2]: line[1] for line in lines if line}


async def copy(
    connection: Connection,
    archive: Archive,
    plan: CopyPlan,
    folder: str,
    python: str,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Copied:
    """Carry the plan out and verify the result. `on_progress` gets the number of bytes that were copied so far.

    An interrupted copy leaves whole files, and the next one goes on after them. Raises UnfitDeviceError on a full
    disk, DeviceError where a file cannot be written or does not arrive as it was sent, ConnectionLostError.
    """
    import asyncssh

    await _make_ready(connection, folder, plan)
    copied, size = 0, 0
    try:
        with link_to(connection, "copying"):
            async with connection.ssh.start_sftp_client() as sftp:
                for name in plan.upload:
                    size = archive.sizes[name]
                    copied = await _upload(connection, sftp, archive, name, folder, copied, on_progress)
    except asyncssh.SFTPError as error:
        raise await _refused(connection, folder, str(error), size) from None
    except asyncssh.ChannelOpenError as error:
        raise DeviceError(
            f"{connection.address} has no SFTP ({error})", "sudo apt-get install openssh-sftp-server"
        ) from None
    there = await ask_digests(connection, folder, python)
    wrong = sorted(name for name, digest in plan.wanted.items() if there.get(name) != digest)
    if wrong:
        raise DeviceError(
            f"{connection.address}: {folder}/{wrong[0]} is not what was copied there"
            + (f", nor are {len(wrong) - 1} others" if len(wrong) > 1 else ""),
            "try again; if it stays so, the device's disk or memory is failing",
        )
    return Copied(len(plan.upload), copied, plan.unchanged, len(plan.remove))


async def _make_ready(connection: Connection, folder: str, plan: CopyPlan) -> None:
    """The folder without what does not belong in it, and with all the folders that are to be written to.

    At once: SFTP would ask for each part of each path, and each question takes the network's time.
    """
    made = await run_script(connection, _TIDY, folder, *plan.remove, doing="removing old files")
    if made.ok:
        parents = sorted({posixpath.dirname(f"{folder}/{name}") for name in (MANIFEST, *plan.upload)})
        made = await run_script(connection, 'mkdir -p -- "$@"', *parents, doing="making folders")
    if not made.ok:
        raise await _refused(connection, folder, made.stderr, 0)


async def _upload(
    connection: Connection,
    sftp: SFTPClient,
    archive: Archive,
    name: str,
    folder: str,
    copied: int,
    on_progress: Callable[[int], None],
) -> int:
    """Write a member beside its place, then rename it. The bytes copied with it."""
    import asyncssh

    path = f"{folder}/{name}"
    try:
        async with sftp.open(path + PART, "wb") as sink:
            for chunk in archive.chunks(name):
                await sink.write(chunk)
                copied += len(chunk)
                on_progress(copied)
        await sftp.posix_rename(path + PART, path)
    except BaseException:
        # What fills the disk has to go; on a lost link, the next copy removes it.
        with contextlib.suppress(asyncssh.Error, ConnectionError):
            if not connection.ssh.is_closed():
                await sftp.remove(path + PART)
        raise
    return copied


async def _refused(connection: Connection, folder: str, said: str, size: int) -> DeviceError:
    """Why the device did not write a file of `size` bytes.

    SFTP has no word for a full disk. The file's part is gone again by now: a disk that was full has less free than
    the file takes.
    """
    from edgeslm.remote.preflight import ask_facts

    try:
        facts = await ask_facts(connection, folder)
    except (ConnectionLostError, DeviceError) as error:
        return error
    if facts.free_bytes is not None and facts.free_bytes < size + BLOCK:
        return UnfitDeviceError(
            f"{connection.address}: the disk of {folder} is full: {facts.free_bytes / 1e6:.1f} MB are free",
            "free some space there, or --remote-dir names a folder on another disk",
        )
    return DeviceError(
        f"{connection.address}: {folder} cannot be written: {said.strip() or 'no reason was given'}",
        "--remote-dir names another folder",
    )


def suits_python(name: str, python: str) -> bool:
    """Whether a wheel is for this Python. One whose name tells nothing is taken for a fit one."""
    tags = _WHEEL.fullmatch(name.removeprefix("wheels/"))
    if tags is None:
        return True
    minor = int(python.partition(".")[2])
    for tag in tags["python"].split("."):
        version = tag.removeprefix("cp3")
        if tag == "py3" or tag == f"cp3{minor}":
            return True
        if tags["abi"] == "abi3" and tag != version and version.isdecimal() and int(version) <= minor:
            return True
    return False
