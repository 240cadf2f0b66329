"""The pushed way to measure on an Android device: the bundle's device package in a Python that is pushed beside it.

That Python is Debian's, with glibc, and is started by its own dynamic loader: nothing is asked of Android but its
kernel. The filter of system calls that Android's zygote gives to apps does not hold programs of adb's shell.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from edgeslm.adb.copying import find_absent, make_ready, push_parcel
from edgeslm.adb.device import Device
from edgeslm.adb.facts import FOLDER, Facts, require_room
from edgeslm.adb.shell import Ended, run_program, run_script
from edgeslm.bundle.kernels import DESCRIPTION
from edgeslm.bundle.manifest import LINUX_VERSION, MANIFEST, Manifest
from edgeslm.bundle.requirements import read_requirements
from edgeslm.digest import file_digest
from edgeslm.emulator.parcels import LOADER, packages_parcel, python_parcel
from edgeslm.emulator.site import install_site
from edgeslm.emulator.userland import Userland, debian_userland
from edgeslm.errors import DeviceError, EdgeslmError, UnfitDeviceError, UnsupportedError
from edgeslm.formats.archive import Archive, open_archive
from edgeslm.formats.parcel import Parcel, open_parcel, write_tar
from edgeslm.probe.endings import explain_ending
from edgeslm.probe.settings import GRACE_S, OnEvent, ProbeSettings, device_arguments, on_line
from edgeslm.target import ABI_OF

BASE = f"{FOLDER}/edgeslm"
"""Everything that edgeslm pushes to a device lies in here."""
PUSHED_ABI: Final = ABI_OF["aarch64"]
PUSHED_RUNTIME = "ai-edge-litert"
"""OpenVINO has no build for Android, and its plugins look for a Linux system."""
_DEVICE = Path(__file__).parents[1] / "device"

# Removes the folders it is given unless an earlier run was to keep them, then the one around them where it is empty.
_CLEAN = """
base=$1
shift
for folder in "$@"; do
  if [ ! -e "$folder/kept" ]; then rm -rf -- "$folder"; fi
done
rmdir -- "$base" 2>/dev/null
exit 0
"""
_KEEP = 'for folder in "$@"; do : > "$folder/kept"; done'


def measure_pushed(
    device: Device,
    facts: Facts,
    bundle: Path,
    manifest: Manifest,
    settings: ProbeSettings,
    announce: Callable[[str], AbstractContextManager[None]],
    on_event: OnEvent,
    *,
    keep: bool,
) -> None:
    """Push what is not there yet, measure, and remove it again unless `keep` says otherwise.

    Raises UnsupportedError, UnfitDeviceError, DeviceError and its kin, ToolFailedError.
    """
    _refuse_pushing(device, facts, manifest)
    with tempfile.TemporaryDirectory(prefix="edgeslm-probe-") as folder, open_archive(bundle) as archive:
        with announce("arm64 userland"):
            userland = debian_userland()
        with announce("packages for it"):
            requirements = read_requirements(PUSHED_RUNTIME, "aarch64")
            site = install_site(archive, "aarch64", userland.python, requirements)
            parcels = [
                python_parcel(userland),
                packages_parcel(userland, site, PUSHED_RUNTIME),
                _bundle_parcel(archive, manifest, Path(folder)),
            ]
        work = f"{BASE}/run-{secrets.token_hex(4)}"
        with _cleaned(device, parcels, work, keep=keep):
            make_ready(device, BASE, work)
            absent = find_absent(device, parcels, BASE)
            require_room(device, facts, sum(parcel.bytes + parcel.unpacked_bytes for parcel in absent))
            for parcel in absent:
                with announce(f"copy {parcel.name}, {parcel.bytes / 1e6:.0f} MB"):
                    push_parcel(device, parcel, BASE)
            with announce(f"run on {facts.title}"):
                folders = [f"{BASE}/{parcel.folder}" for parcel in parcels]
                _run(device, userland, folders, work, settings, on_event)


def _refuse_pushing(device: Device, facts: Facts, manifest: Manifest) -> None:
    if manifest.model.runtime != PUSHED_RUNTIME:
        raise UnsupportedError(
            f"this bundle's model is for {manifest.model.runtime}, which does not run on Android",
            "build it with --backend tflite",
        )
    if PUSHED_ABI not in facts.abis:
        raise UnfitDeviceError(
            f"{device} runs {', '.join(facts.abis)}: what is pushed to measure a bundle is for {PUSHED_ABI} alone",
            "build the app in this bundle and install it; --adb-mode app then measures there",
        )


def _bundle_parcel(archive: Archive, manifest: Manifest, folder: Path) -> Parcel:
    """What the device package reads of a bundle, and that package: the bundle's own, or this one's where it has none.

    An app's bundle has a manifest that the device package does not know; the part it reads is the same.
    """
    names = [*manifest.model.files, *([manifest.tokenizer.file] if manifest.tokenizer else [])]
    if manifest.generation is not None and manifest.generation.chat_template:
        names.append(manifest.generation.chat_template)
    if DESCRIPTION in archive.sizes:  # of single kernels, which have no model
        names.append(DESCRIPTION)
    members: dict[str, bytes | Path] = {}
    device = [name for name in archive.sizes if name.startswith("edgeslm_device/")]
    for number, name in enumerate([*names, *device]):
        place = folder / f"member-{number}"
        with place.open("wb") as sink:
            sink.writelines(archive.chunks(name))
        members[name] = place
    if not device:
        members |= {f"edgeslm_device/{file.relative_to(_DEVICE)}": file for file in sorted(_DEVICE.rglob("*.py"))}
    document = json.loads(manifest.content)
    document["schema_version"] = min(document["schema_version"], LINUX_VERSION)
    document["files"] = {name: _file_part(place) for name, place in members.items() if isinstance(place, Path)}
    members[MANIFEST] = json.dumps(document, sort_keys=True).encode()
    write_tar(folder / "bundle.tar", members)
    return open_parcel(folder / "bundle.tar", "bundle")


def _file_part(path: Path) -> Mapping[str, object]:
    return {"sha256": file_digest(path), "bytes": path.stat().st_size}


def _run(
    device: Device, userland: Userland, folders: list[str], work: str, settings: ProbeSettings, on_event: OnEvent
) -> None:
    python, packages, bundle = folders
    libraries = f"{python}/{LOADER.partition('/')[0]}"
    take = on_line(on_event)
    ended = run_program(
        device,
        [
            f"{python}/{LOADER}", "--inhibit-cache", "--library-path", libraries,
            f"{python}/bin/python{userland.python}", *device_arguments(bundle, settings),
        ],
        take,
        environment={
            "PYTHONHOME": f"{python}/usr",
            "PYTHONPATH": f"{bundle}:{packages}",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            # Android has no /tmp, and adb's shell no home; its own libraries are Bionic's.
            "HOME": work,
            "TMPDIR": work,
            "EDGESLM_DEVICE_CACHE": f"{work}/cache",
            "LD_LIBRARY_PATH": "",
            "LD_PRELOAD": "",
        },
        doing="measuring",
        time_limit_s=settings.time_limit_s + GRACE_S,
        too_slow="--time-limit S gives it longer; --runs N makes it shorter",
    )  # fmt: skip
    if not ended.ok:
        raise _failed(device, ended, settings)


def _failed(device: Device, ended: Ended, settings: ProbeSettings) -> EdgeslmError:
    signal = ended.status - 128
    if signal in (4, 9, 31):
        why = {
            4: "the model has instructions that this processor has not: edgeslm inspect shows the target",
            9: "Android does that to what takes more memory than there is: close other apps",
            31: "this Android forbids a system call that glibc needs: --adb-mode app measures in the app",
        }
        return DeviceError(f"{device}: the probe was ended by signal {signal}", why[signal])
    error = explain_ending(ended.stderr, ended.status, settings)
    return type(error)(f"{device}: {error.message}", error.hint)


@contextlib.contextmanager
def _cleaned(device: Device, parcels: list[Parcel], work: str, *, keep: bool) -> Iterator[None]:
    """Remove at the end what this run brought, also when it fails, as long as the device is there."""
    folders = [f"{BASE}/{parcel.folder}" for parcel in parcels]
    doing = "removing what was copied"
    try:
        yield
        if keep:
            run_script(device, _KEEP, *folders, doing="keeping what was copied")
    except BaseException:
        with contextlib.suppress(DeviceError):
            run_script(device, _CLEAN, BASE, work, *folders, doing=doing)
        raise
    run_script(device, _CLEAN, BASE, work, *folders, doing=doing)
