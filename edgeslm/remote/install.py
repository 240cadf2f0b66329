"""Install what a bundle's requirements.txt pins into a virtual environment on the device; with features, theirs too.

An environment is named by the digests of the requirements and the Python's version, so that bundles share it. It is
made beside its place and renamed when it is complete; its scripts name the wrong folder then, so everything is called
as `bin/python -m`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeslm.bundle.manifest import Manifest
from edgeslm.bundle.requirements import feature_requirements
from edgeslm.cache import cache_folder
from edgeslm.digest import json_digest
from edgeslm.errors import ConnectionLostError, DeviceError, UnfitDeviceError
from edgeslm.remote.command import Ended, run_program, run_script
from edgeslm.remote.connection import Connection
from edgeslm.remote.preflight import Python
from edgeslm.remote.vendored import UNPACK

REQUIREMENTS = "requirements.txt"
INSTALL_S = 3600.0
"""Beyond what the slowest card and network take."""
TOO_SLOW = "is its network or its disk failing? edgeslm build … --vendor-wheels needs no network on the device"
INSTALLED_BYTES: dict[tuple[str, str], int] = {
    ("ai-edge-litert", "aarch64"): 171_000_000,
    ("ai-edge-litert", "x86_64"): 190_000_000,
    ("openvino", "aarch64"): 223_000_000,
    ("openvino", "x86_64"): 312_000_000,
}
"""What the pinned packages take on a disk, all byte code included: their wheels unpacked, measured with du."""
FEATURE_BYTES: dict[str, int] = {"constrain": 8_000_000, "serve": 6_000_000}
"""As above, for what a feature adds, on either architecture."""

_NO_NETWORK = re.compile(
    r"name resolution|Name or service not known|Failed to establish a new connection|Network is unreachable"
    r"|Connection refused|No route to host|timed out|ProxyError|from versions: none"
)

# pip runs out of the wheel that ensurepip would install it from: installing it takes longer than everything else.
_FIND_PIP = """
import ensurepip, glob, os, sys, sysconfig
bundled = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
for folder in (sysconfig.get_config_var("WHEEL_PKG_DIR"), bundled):
    found = glob.glob(os.path.join(folder, "pip-*.whl")) if folder else []
    if found:
        print(max(found))
        break
else:
    sys.exit("ensurepip has no pip: neither in WHEEL_PKG_DIR nor in " + bundled)
"""
_MAKE = """
python=$1 work=$2
shift 2
rm -rf -- "$work" && mkdir -p -- "$work/tmp" || exit 1
# Not on /tmp, which may lie in memory; and nothing is left in the user's pip cache.
TMPDIR=$work/tmp
export TMPDIR
unset PYTHONPATH PYTHONHOME
"$python" -m venv --without-pip "$work/venv" || exit 1
"""
_UNPACK = 'exec "$work/venv/bin/python" -c "$@"'
_PIP = """
find_pip=$1
shift
PYTHONPATH=$("$python" -c "$find_pip") || exit 1
export PYTHONPATH
set -- --no-compile --no-cache-dir --disable-pip-version-check --no-input --require-hashes --only-binary=:all: "$@"
exec "$work/venv/bin/python" -m pip install "$@"
"""

_PLACE = 'rm -rf -- "$2" && mkdir -p -- "${2%/*}" && mv -- "$1/venv" "$2" && rm -rf -- "$1"'


@dataclass(frozen=True)
class Environment:
    """A virtual environment on the device. `made` where it was not there before."""

    folder: str
    made: bool

    @property
    def python(self) -> str:
        return f"{self.folder}/bin/python"


def environment_folder(base: str, manifest: Manifest, python: Python, features: Sequence[str] = ()) -> str:
    """Where the environment of a bundle goes, with what these features need as well."""
    pinned = [manifest.files[name].sha256 for name in requirements(features)]
    key = json_digest([*pinned, python.version, manifest.target.cpu.arch])
    return f"{base}/venvs/{key[:16]}"


async def is_installed(connection: Connection, folder: str) -> bool:
    """Whether the environment is there, complete, and its Python still is."""
    ended = await run_script(connection, '"$1/bin/python" -c ""', folder, doing="looking for its packages")
    return ended.ok


async def install(
    connection: Connection,
    bundle: str,
    folder: str,
    python: Python,
    *,
    wheels: Sequence[str],
    features: Sequence[str] = (),
    announce: Callable[[str], None] = lambda line: None,
) -> Environment:
    """Make the environment `folder` for the bundle that lies unpacked in `bundle`, with what `features` need as well.

    `wheels` are the bundle's own, copied and compared; where it has none, pip gets them. The log is kept in edgeslm's
    cache folder when it fails. Raises DeviceError with its last lines, UnfitDeviceError on a full disk.
    """
    work = f"{folder}.new"
    log: list[bytes] = []

    def take(line: bytes) -> None:
        log.append(line)
        words = line.decode(errors="replace").split()
        if words[:1] == ["Downloading"]:
            announce(f"the device downloads {words[1].rpartition('/')[2]}")
        elif words[:2] == ["Installing", "collected"]:
            announce("unpacking them")

    if wheels:
        filled, arguments = _UNPACK, [UNPACK, *(f"{bundle}/{name}" for name in wheels)]
    else:
        listed = [part for name in requirements(features) for part in ("-r", f"{bundle}/{name}")]
        filled, arguments = _PIP, [_FIND_PIP, *listed]
    script = ["sh", "-c", f"exec 2>&1\n{_MAKE}\n{filled}", "sh", python.path, work, *arguments]
    try:
        ended = await run_program(
            connection,
            script,
            take,
            environment={},
            doing="installing packages",
            time_limit_s=INSTALL_S,
            too_slow=TOO_SLOW,
        )
        if not ended.ok:
            raise _failed(connection, ended, b"\n".join(log).decode(errors="replace"), vendored=bool(wheels))
        placed = await run_script(connection, _PLACE, work, folder, doing="putting the packages in place")
        if not placed.ok:
            raise DeviceError(f"{connection.address}: {folder} cannot be put in its place: it {placed.how}")
    except ConnectionLostError:
        raise
    except BaseException:
        if not connection.ssh.is_closed():
            await run_script(connection, 'rm -rf -- "$1"', work, doing="removing what was installed")
        raise
    return Environment(folder, True)


def requirements(features: Sequence[str]) -> list[str]:
    """The bundle's members that pin what is installed."""
    return [REQUIREMENTS, *(feature_requirements(feature) for feature in sorted(features))]


def _failed(connection: Connection, ended: Ended, log: str, *, vendored: bool) -> DeviceError:
    kept = _keep_log(connection, log)
    lines = [line.rstrip() for line in log.splitlines() if line.strip()][-12:]
    tail = "".join(f"\n         {line}" for line in lines)
    end = f"was ended by signal {ended.signal}" if ended.signal else f"ended with status {ended.status}"
    what = f"{connection.address}: installing the bundle's packages {end}; its last lines:{tail}"
    if "No space left on device" in log:
        return UnfitDeviceError(f"{connection.address}: the disk is full while packages are installed{tail}",
                                "free some space there, or --remote-dir names a folder on another disk")  # fmt: skip
    if not vendored and _NO_NETWORK.search(log):
        return DeviceError(
            what, f"the device reaches no package index: edgeslm build … --vendor-wheels puts the packages into the"
            f" bundle; the whole log is in {kept}"
        )  # fmt: skip
    return DeviceError(what, f"the whole log is in {kept}")


def _keep_log(connection: Connection, log: str) -> Path:
    name = re.sub(r"[^A-Za-z0-9.]+", "-", str(connection.address).removeprefix("ssh://")).strip("-")
    file = cache_folder() / "logs" / f"install-{name}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(log)
    return file
