"""Parcels onto the device and files from it: each whole or not at all.

A parcel is pushed beside its place, compared by digest, unpacked beside its place and renamed: a folder that is there
is complete, whatever broke off before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from edgeslm.adb.device import Device, TooSlowError, call, failed, said
from edgeslm.adb.shell import run_script
from edgeslm.errors import DeviceError, ProbeTimeoutError, ToolFailedError, UnfitDeviceError
from edgeslm.formats.parcel import Parcel

SLOWEST_BYTES_S = 1 << 20
"""A push that is slower than this has come to a halt: USB 2 takes thirty times as much."""
LEAST_S = 60.0
UNPACK_S = 300.0
FULL = ("no space left", "enospc", "disk quota")

_MAKE = 'rm -rf -- "$1"/*.part "$1"/run-* && mkdir -p -- "$2"'
_THERE = 'for folder in "$@"; do if [ -d "$folder" ]; then echo "$folder"; fi; done'
_UNPACK = """
folder=$1
wanted=$2
size=$3
found=$(wc -c < "$folder.tar.part") || exit 1
if [ "$found" != "$size" ]; then echo "it has $found bytes of $size" >&2; exit 1; fi
if command -v sha256sum >/dev/null 2>&1; then
  digest=$(sha256sum "$folder.tar.part")
  if [ "${digest%% *}" != "$wanted" ]; then echo "its digest is ${digest%% *}" >&2; exit 1; fi
fi
mkdir "$folder.part" && tar -xf "$folder.tar.part" -C "$folder.part" && rm -f -- "$folder.tar.part" &&
  mv -- "$folder.part" "$folder"
"""
_DROP = 'rm -rf -- "$1.part" "$1.tar.part"'


def find_absent(device: Device, parcels: Sequence[Parcel], base: str) -> list[Parcel]:
    """Those that are not unpacked below `base` yet."""
    folders = {f"{base}/{parcel.folder}": parcel for parcel in parcels}
    there = run_script(device, _THERE, *folders, doing="looking at what lies there").stdout.splitlines()
    return [parcel for folder, parcel in folders.items() if folder not in there]


def make_ready(device: Device, base: str, work: str) -> None:
    """Make the folder `work` below `base`, and remove what a run or a copy that broke off has left there."""
    ended = run_script(device, _MAKE, base, work, doing="making a folder")
    if not ended.ok:
        raise _refused(device, base, ended.stderr)


def push_parcel(device: Device, parcel: Parcel, base: str) -> None:
    """Push a parcel and unpack it below `base`.

    Raises UnfitDeviceError where the disk is full, ConnectionLostError, DeviceError where it does not arrive as it was
    sent. Nothing of it is left behind then, as far as the device still answers.
    """
    folder = f"{base}/{parcel.folder}"
    try:
        _push(device, parcel.path, f"{folder}.tar.part", f"copying {parcel.name}", parcel.bytes)
        doing = f"unpacking {parcel.name}"
        size = str(parcel.bytes)
        ended = run_script(device, _UNPACK, folder, parcel.digest, size, doing=doing, time_limit_s=UNPACK_S)
        if not ended.ok:
            raise _refused(device, folder, ended.stderr)
    except BaseException:
        with contextlib.suppress(DeviceError):  # a device that is gone keeps a .part, which the next copy removes
            run_script(device, _DROP, folder, doing="removing half a copy")
        raise


def pull(device: Device, source: str, place: Path, *, time_limit_s: float = LEAST_S) -> None:
    """Fetch a file. Raises ConnectionLostError, DeviceError."""
    _transfer(device, ["pull", source, str(place)], f"fetching {source}", source, time_limit_s)


def _push(device: Device, path: Path, there: str, doing: str, size: int) -> None:
    _transfer(device, ["push", str(path), there], doing, there, LEAST_S + size / SLOWEST_BYTES_S)


def _transfer(device: Device, words: list[str], doing: str, there: str, time_limit_s: float) -> None:
    lines: list[str] = []
    try:
        call(device, words, lines.append, time_limit_s=time_limit_s)
    except TooSlowError:
        raise ProbeTimeoutError(
            f"{device}: {doing} took longer than {time_limit_s:.0f} s and was ended", "another cable or port?"
        ) from None
    except ToolFailedError:
        # adb says on stdout why a transfer failed.
        told = "\n".join([*lines, said(device)])
        if any(word in told.lower() for word in FULL):
            raise _full(device, there) from None
        device.log.write_text(told)
        raise failed(device, doing) from None


def _refused(device: Device, there: str, why: str) -> DeviceError:
    if any(word in why.lower() for word in FULL):
        return _full(device, there)
    return DeviceError(
        f"{device}: {there} could not be written: {why.strip() or 'no reason was given'}",
        "try again; if it stays so, the device's disk or the cable is failing",
    )


def _full(device: Device, there: str) -> UnfitDeviceError:
    return UnfitDeviceError(f"{device}: the disk of {there} is full", "free some space there; what was copied is gone")
