"""Set a bundle up on a device: look whether it fits, copy what changed, install its packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeslm.bundle.inspect import Inspection
from edgeslm.bundle.manifest import Manifest
from edgeslm.bundle.requirements import FEATURE_GLIBC, OLDEST_GLIBC
from edgeslm.formats.archive import Archive
from edgeslm.remote.connection import Connection
from edgeslm.remote.copying import Copied, CopyPlan, ask_digests, copy, plan_copy, wanted_members
from edgeslm.remote.install import (
    FEATURE_BYTES,
    INSTALLED_BYTES,
    Environment,
    environment_folder,
    install,
    is_installed,
    requirements,
)
from edgeslm.remote.preflight import Facts, Needs, Python, ask_facts, require_fit
from edgeslm.remote.vendored import pinned_wheels

Announce = Callable[[str], None]
PROGRESS_BYTES = 10 * 10**6
"""How often the copying of many bytes is spoken of."""
MAX_PINS_BYTES = 1 << 20


@dataclass(frozen=True)
class Survey:
    """A device that the bundle fits on. `folder` is where the bundle goes, below `base`."""

    base: str
    folder: str
    facts: Facts
    python: Python


@dataclass(frozen=True)
class Prepared:
    """A bundle that is ready to run on its device."""

    folder: str
    environment: Environment
    copied: Copied


async def survey(
    connection: Connection,
    archive: Archive,
    inspection: Inspection,
    remote_dir: str,
    subfolder: str,
    earlier: str | None = None,
    features: Sequence[str] = (),
) -> Survey:
    """Look at the device before anything is copied. `earlier` is a subfolder whose files the new one starts from.
    `features` are those whose packages are to be installed as well.

    Raises UnfitDeviceError with everything that is amiss.
    """
    manifest = inspection.manifest
    facts = await ask_facts(connection, remote_dir)
    folder = f"{facts.folder}/{subfolder}"
    python = facts.python
    installed = python is not None and await is_installed(
        connection, environment_folder(facts.folder, manifest, python, features)
    )
    plan = await _plan(connection, archive, manifest, folder, python, installed=installed)
    if earlier is not None and not plan.unchanged:
        start = f"{facts.folder}/{earlier}"
        plan = await _plan(connection, archive, manifest, start, python, installed=installed)
    runtime, arch = manifest.model.runtime, manifest.target.cpu.arch
    install_bytes = INSTALLED_BYTES[runtime, arch] + sum(FEATURE_BYTES[feature] for feature in features)
    needs = Needs(
        arch=arch,
        device=manifest.target.title,
        runtime=runtime,
        glibc=max([OLDEST_GLIBC[runtime, arch], *(FEATURE_GLIBC[feature] for feature in features)]),
        copy_bytes=plan.upload_bytes,
        install_bytes=0 if installed else install_bytes,
    )
    return Survey(facts.folder, folder, facts, require_fit(connection.address, facts, needs))


async def set_up(
    connection: Connection,
    archive: Archive,
    inspection: Inspection,
    found: Survey,
    announce: Announce,
    features: Sequence[str] = (),
) -> Prepared:
    """Copy and install, under the device's lock: what the survey saw is compared once more."""
    manifest = inspection.manifest
    place = environment_folder(found.base, manifest, found.python, features)
    installed = await is_installed(connection, place)
    plan = await _plan(connection, archive, manifest, found.folder, found.python, installed=installed)
    if plan.upload:
        announce(f"copying {len(plan.upload)} files, {plan.upload_bytes / 1e6:.1f} MB")
    copied = await copy(connection, archive, plan, found.folder, found.python.path, _progress(plan, announce))
    announce(f"copied {copied.files} files, {copied.bytes / 1e6:.1f} MB; {copied.unchanged} were there already")
    if installed:
        announce("its packages are there already")
        return Prepared(found.folder, Environment(place, made=False), copied)
    wheels = _wheels(archive, manifest, found.python, features)
    announce(f"installing packages {'from the bundle' if wheels else 'with pip'} (Python {found.python.version})")
    environment = await install(
        connection, found.folder, place, found.python, wheels=wheels, features=features, announce=announce
    )
    return Prepared(found.folder, environment, copied)


def _wheels(archive: Archive, manifest: Manifest, python: Python, features: Sequence[str]) -> list[str]:
    """The bundle's own wheels that are to be installed; none where it brings none."""
    digests = {name: part.sha256 for name, part in manifest.files.items()}
    if not any(name.startswith("wheels/") for name in digests):
        return []
    pins = [archive.read(name, MAX_PINS_BYTES).decode(errors="replace") for name in requirements(features)]
    return pinned_wheels(pins, digests, python.version)


async def _plan(
    connection: Connection,
    archive: Archive,
    manifest: Manifest,
    folder: str,
    python: Python | None,
    *,
    installed: bool,
) -> CopyPlan:
    wanted = wanted_members(archive, manifest, python.version if python else None, wheels=not installed)
    there = await ask_digests(connection, folder, python.path if python else None)
    return plan_copy(wanted, there, archive.sizes)


def _progress(plan: CopyPlan, announce: Announce) -> Callable[[int], None]:
    spoken = 0

    def on_progress(copied: int) -> None:
        nonlocal spoken
        if copied - spoken >= PROGRESS_BYTES:
            spoken = copied
            announce(f"copied {copied / 1e6:.0f} of {plan.upload_bytes / 1e6:.0f} MB")

    return on_progress
