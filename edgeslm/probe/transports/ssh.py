"""A probe on a device behind SSH: look, copy, install, measure, and leave nothing behind."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from edgeslm.bundle.inspect import Inspection
from edgeslm.bundle.manifest import Manifest
from edgeslm.errors import DeviceError, EdgeslmError
from edgeslm.formats.archive import open_archive
from edgeslm.probe.endings import explain_ending
from edgeslm.probe.settings import GRACE_S, OnEvent, ProbeSettings, device_arguments, on_line
from edgeslm.remote.address import Address
from edgeslm.remote.command import Ended, run_program, run_script
from edgeslm.remote.connection import Connection, connected
from edgeslm.remote.install import environment_folder
from edgeslm.remote.lock import locked
from edgeslm.remote.login import Login
from edgeslm.remote.setup import Prepared, Survey, set_up, survey

REMOTE_DIR = "~/.cache/edgeslm"
"""Everything that edgeslm leaves on a device it measures lies in here."""

# Removes the folders it is given unless an earlier run was to keep them, then those above them that are empty.
_CLEAN = """
base=$1
shift
for folder in "$@"; do
  if [ ! -e "$folder/kept" ]; then rm -rf -- "$folder" "$folder.new"; fi
done
rmdir -- "$base/probes" "$base/venvs" 2>/dev/null
if [ -z "$(find "$base" -mindepth 1 ! -path "$base/lock")" ]; then
  rm -f -- "$base/lock" && rmdir -- "$base"
fi
"""
_KEEP = 'for folder in "$@"; do : > "$folder/kept"; done'


async def measure_there(
    bundle: Path,
    inspection: Inspection,
    address: Address,
    settings: ProbeSettings,
    on_event: OnEvent,
    *,
    keep: bool,
    login: Login,
    announce: Callable[[str], None],
    remote_dir: str = REMOTE_DIR,
) -> None:
    """Measure a bundle on the device at `address`; `on_event` gets each event as it arrives.

    What this run brings to the device is removed at the end, unless `keep` says otherwise. Raises DeviceError and
    its kin (DeviceNotFoundError, UnfitDeviceError, ConnectionLostError, ProbeTimeoutError) after the events so far
    were handed over.
    """
    subfolder = f"probes/{_folder_name(inspection.manifest)}"
    with open_archive(bundle) as archive:
        announce("connecting")
        async with connected(address, login) as connection:
            announce("looking at the device")
            found = await survey(connection, archive, inspection, remote_dir, f"{subfolder}/bundle")
            async with (
                locked(connection, found.base, found.python.path),
                _cleaned(connection, found, inspection.manifest, f"{found.base}/{subfolder}", keep=keep),
            ):
                prepared = await set_up(connection, archive, inspection, found, announce)
                announce("measuring")
                await _probe(connection, prepared, settings, on_event)


async def _probe(connection: Connection, prepared: Prepared, settings: ProbeSettings, on_event: OnEvent) -> None:
    take = on_line(on_event)
    ended = await run_program(
        connection,
        [prepared.environment.python, *device_arguments(prepared.folder, settings)],
        lambda line: take(line.decode(errors="replace")),
        environment={
            "PYTHONPATH": prepared.folder,
            "PYTHONNOUSERSITE": "1",
            "EDGESLM_DEVICE_CACHE": f"{prepared.folder.removesuffix('/bundle')}/cache",
        },
        doing="measuring",
        time_limit_s=settings.time_limit_s + GRACE_S,
        too_slow="--time-limit S gives it longer; --runs N makes it shorter",
    )
    if not ended.ok:
        raise _failed(connection, ended, settings)


def _failed(connection: Connection, ended: Ended, settings: ProbeSettings) -> EdgeslmError:
    if ended.signal:
        why = {
            "KILL": "Linux does that to what takes more memory than there is: dmesg on the device tells",
            "ILL": "the bundle's target has instructions that this processor has not: edgeslm inspect shows the target",
        }
        return DeviceError(f"{connection.address}: the probe {ended.how}", why.get(ended.signal))
    error = explain_ending(ended.stderr, ended.status or 0, settings)
    return type(error)(f"{connection.address}: {error.message}", error.hint)


@contextlib.asynccontextmanager
async def _cleaned(
    connection: Connection, found: Survey, manifest: Manifest, folder: str, *, keep: bool
) -> AsyncIterator[None]:
    """Remove at the end what this run brought, or mark it as kept; also when it fails, as long as there is a link."""
    folders = (folder, environment_folder(found.base, manifest, found.python))
    try:
        yield
        if keep:
            await run_script(connection, _KEEP, *folders, doing="keeping what was copied")
    finally:
        if not keep and not connection.ssh.is_closed():
            await run_script(connection, _CLEAN, found.base, *folders, doing="removing what was copied")


def _folder_name(manifest: Manifest) -> str:
    """One folder for each name and way of building: a bundle that was built again only changes a part of it."""
    name = f"{manifest.name}-{manifest.target.name}-{manifest.backend}-{manifest.scheme}"
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip(".-")[:120]
