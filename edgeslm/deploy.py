"""Deploy a bundle to a device for good: a release beside the earlier ones, proved before it becomes the current one.

models/NAME/releases/DIGEST/bundle          the unpacked bundle
                           /venv            -> the environment it runs in
                           /edgeslm-device  runs it
models/NAME/current                         -> releases/DIGEST
venvs/KEY                                   shared by all that need the same packages
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgeslm.bundle.inspect import Inspection
from edgeslm.bundle.manifest import Manifest
from edgeslm.bundle.requirements import FEATURES, feature_requirements
from edgeslm.errors import ConfigError, DeviceError, EdgeslmError, UnsupportedError
from edgeslm.formats.archive import open_archive
from edgeslm.remote.address import Address
from edgeslm.remote.command import Ended, run_script
from edgeslm.remote.connection import Connection, connected
from edgeslm.remote.lock import locked
from edgeslm.remote.login import Login
from edgeslm.remote.service import start_service
from edgeslm.remote.setup import Announce, Prepared, Survey, set_up, survey
from edgeslm.remote.together import wait_for_all

REMOTE_DIR = "~/.local/share/edgeslm"
CHECK_S = 300.0
"""For one text, the first: weights are packed, kernels compiled."""

# A release starts from the current one's files, as links to them: nothing ever writes into a file that is there.
_START = """
release=$1 current=$2
if [ -d "$release" ]; then
  echo "$release"
  exit 0
fi
mkdir -p -- "$release.new" || exit 1
if [ -d "$current/bundle" ] && [ ! -d "$release.new/bundle" ]; then
  cp -al -- "$current/bundle" "$release.new/bundle" 2>/dev/null || {
    rm -rf -- "$release.new/bundle"
    cp -a -- "$current/bundle" "$release.new/bundle" || exit 1
  }
fi
echo "$release.new"
"""
_FINISH = """
place=$1 environment=$2
rm -rf -- "$place/bundle/wheels"
: > "$environment/kept" && : > "$environment/deployed" || exit 1
ln -sfn -- "../../../../venvs/${environment##*/}" "$place/venv" || exit 1
cat > "$place/edgeslm-device.new" <<'END' || exit 1
#!/bin/sh
# edgeslm-device run --text '...', or another command of the bundle's device package.
here=$(dirname "$(readlink -f "$0")")
EDGESLM_DEVICE_CACHE=${EDGESLM_DEVICE_CACHE:-$(dirname "$(dirname "$here")")/cache}
PYTHONPATH=$here/bundle
PYTHONNOUSERSITE=1
export EDGESLM_DEVICE_CACHE PYTHONPATH PYTHONNOUSERSITE
exec "$here/venv/bin/python" -m edgeslm_device "$@"
END
chmod 755 "$place/edgeslm-device.new" && mv -f -- "$place/edgeslm-device.new" "$place/edgeslm-device"
"""
_CHECK_TEXT = '"$1/edgeslm-device" run --json --text "$2"'
_CHECK_ARRAYS = """
PYTHONPATH=$1/bundle "$1/venv/bin/python" -c 'import sys
from edgeslm_device import Model
Model.open(sys.argv[1]).close()' "$1/bundle"
"""

# The switch is one rename: `current` always leads to a whole release. Then the releases before the one that was
# current go, and environments that no release leads to.
_SWITCH = """
model=$1 digest=$2 venvs=$3
if [ -d "$model/releases/$digest.new" ]; then
  mv -- "$model/releases/$digest.new" "$model/releases/$digest" || exit 1
fi
sync
before=$(readlink "$model/current")
before=${before##*/}
if [ "$before" = "$digest" ]; then
  echo "was current"
else
  rm -f -- "$model/current.new"
  ln -s -- "releases/$digest" "$model/current.new" || exit 1
  "$model/releases/$digest/venv/bin/python" -c 'import os, sys
os.replace(sys.argv[1], sys.argv[2])' "$model/current.new" "$model/current" || exit 1
  [ -z "$before" ] || printf '%s\\n' "$before" > "$model/previous"
fi
previous=$(cat "$model/previous" 2>/dev/null)
for release in "$model"/releases/*; do
  case ${release##*/} in
    "$digest" | "$previous" | "*") ;;
    *) rm -rf -- "$release" && echo "pruned ${release##*/}" ;;
  esac
done
for venv in "$venvs"/*; do
  [ -e "$venv/deployed" ] || continue
  used=
  for link in "${venvs%/*}"/models/*/releases/*/venv; do
    case $(readlink "$link") in */"${venv##*/}") used=1 ;; esac
  done
  [ -n "$used" ] || rm -rf -- "$venv"
done
"""


class Deployed(BaseModel):
    """A bundle on one device. `error` says why it is not there, or what failed once it was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str
    current: str | None = None  # the folder on the device that always leads to the current release
    python: str | None = None
    copied_bytes: int | None = None
    was_current: bool | None = None  # whether this very release was the current one before
    pruned: tuple[str, ...] = ()  # earlier releases that were removed
    service: str | None = None  # the systemd unit
    socket: str | None = None
    lingers: bool | None = None  # whether the service starts with the device, without a login
    error: str | None = None
    hint: str | None = None


class DeployAnswer(BaseModel):
    """`edgeslm deploy --json`"""

    model_config = ConfigDict(extra="forbid")

    bundle: str
    name: str
    digest: str
    deployed: list[Deployed]


@dataclass(frozen=True)
class Outcome:
    """What came of one device. A service that does not start leaves an `error` beside what is deployed."""

    deployed: Deployed
    error: EdgeslmError | None = None


def deploy(
    bundle: Path,
    inspection: Inspection,
    addresses: Sequence[Address],
    *,
    login: Login,
    announce: Callable[[Address, str], None],
    remote_dir: str = REMOTE_DIR,
    systemd: bool = False,
    features: Sequence[str] = (),
) -> list[Outcome]:
    """Deploy to all devices at once; one that fails does not stop the others. `features` are installed as well.

    Raises ConfigError for a device that is named twice or an unknown feature, UnsupportedError for a service of a plain
    module and for a feature that the bundle does not have.
    """
    twice = [address for address in addresses if addresses.count(address) > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is named more than once", "name each device once")
    manifest = inspection.manifest
    if manifest.target.is_firmware:
        raise UnsupportedError(
            f"{manifest.name} is firmware for {manifest.target.title}: there is no system to deploy it to",
            "edgeslm flash writes it into the board",
        )
    if manifest.android is not None:
        raise UnsupportedError(
            f"{manifest.name} is an Android library: an app brings it onto the phone",
            f"{manifest.android.library} goes into the app (README.md in the bundle); edgeslm run tries the model here",
        )
    if systemd and manifest.task == "tensors":
        raise UnsupportedError(
            f"{manifest.name} is a plain module: the service answers lines of text",
            "leave out --systemd, and call Model.run on the device",
        )
    features = tuple(dict.fromkeys(features))
    _require_features(features, manifest)
    works = [
        _deploy_there(bundle, inspection, address, login, remote_dir, systemd, features, _naming(announce, address))
        for address in addresses
    ]
    return [
        _failed(Deployed(device=str(address)), answer) if isinstance(answer, EdgeslmError) else answer
        for address, answer in zip(addresses, wait_for_all(works), strict=True)
    ]


def _failed(deployed: Deployed, error: EdgeslmError) -> Outcome:
    return Outcome(deployed.model_copy(update={"error": error.message, "hint": error.hint}), error)


def _require_features(features: Sequence[str], manifest: Manifest) -> None:
    for feature in features:
        if feature not in FEATURES:
            raise ConfigError(f"there is no feature {feature!r}", f"known: {', '.join(FEATURES)}")
        if feature_requirements(feature) not in manifest.files:
            had = [name for name in FEATURES if feature_requirements(name) in manifest.files]
            raise UnsupportedError(
                f"{manifest.name} has no {feature_requirements(feature)}: the feature is for other tasks than "
                f"{manifest.task}, or the bundle is older than it",
                f"this bundle has: {', '.join(had) or 'none'}",
            )


def model_folder_name(manifest: Manifest) -> str:
    """The model's name as a folder and a unit can have it."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", manifest.name).strip(".-")[:80] or "model"


def _naming(announce: Callable[[Address, str], None], address: Address) -> Announce:
    return lambda line: announce(address, line)


async def _deploy_there(
    bundle: Path,
    inspection: Inspection,
    address: Address,
    login: Login,
    remote_dir: str,
    systemd: bool,
    features: Sequence[str],
    announce: Announce,
) -> Outcome:
    manifest, digest = inspection.manifest, inspection.digest[:16]
    model = f"models/{model_folder_name(manifest)}"
    with open_archive(bundle) as archive:
        announce("connecting")
        async with connected(address, login) as connection:
            announce("looking at the device")
            place = f"{model}/releases/{digest}"
            found = await survey(
                connection,
                archive,
                inspection,
                remote_dir,
                f"{place}/bundle",
                earlier=f"{model}/current/bundle",
                features=features,
            )
            async with locked(connection, found.base, found.python.path):
                release = f"{found.base}/{place}"
                work = await _start(connection, release, f"{found.base}/{model}/current")
                try:
                    started = Survey(found.base, f"{work}/bundle", found.facts, found.python)
                    prepared = await set_up(connection, archive, inspection, started, announce, features)
                    await _finish(connection, work, prepared)
                    announce("checking itself")
                    await _check(connection, work, manifest)
                except DeviceError:
                    if work != release and not connection.ssh.is_closed():
                        await run_script(connection, 'rm -rf -- "$1"', work, doing="removing the release")
                    raise
                was_current, pruned = await _switch(connection, f"{found.base}/{model}", digest, found.base)
                announce("current")
                done = Deployed(
                    device=str(address),
                    current=f"{found.base}/{model}/current",
                    python=found.python.version,
                    copied_bytes=prepared.copied.bytes,
                    was_current=was_current,
                    pruned=pruned,
                )
                if systemd:
                    announce("starting the service")
                    return await _serve(connection, done, manifest)
                return Outcome(done)


async def _start(connection: Connection, release: str, current: str) -> str:
    """The folder to work in: the release itself where it is there already, or a new one beside its place."""
    ended = await run_script(connection, _START, release, current, doing="making a release")
    _require(connection, ended, "the release cannot be made")
    return ended.stdout.splitlines()[-1]


async def _finish(connection: Connection, place: str, prepared: Prepared) -> None:
    ended = await run_script(connection, _FINISH, place, prepared.environment.folder, doing="making a release")
    _require(connection, ended, "the release cannot be made")


async def _check(connection: Connection, place: str, manifest: Manifest) -> None:
    """Run the model once where it is going to stay. Raises DeviceError: what was current stays so."""
    doing = "checking itself"
    if manifest.task == "tensors":
        ended = await run_script(connection, _CHECK_ARRAYS, place, doing=doing, time_limit_s=CHECK_S)
        answered = True
    else:
        text = "This is a [MASK]." if manifest.task == "fill-mask" else "This is a test."
        ended = await run_script(connection, _CHECK_TEXT, place, text, doing=doing, time_limit_s=CHECK_S)
        answered = ended.ok and _answers_one_text(ended.stdout)
    if not ended.ok or not answered:
        raise DeviceError(
            f"{connection.address}: the bundle does not run there: it {ended.how}",
            "nothing was switched: what was current stays so",
        )


def _answers_one_text(stdout: str) -> bool:
    try:
        return len(json.loads(stdout)["results"]) == 1
    except (ValueError, KeyError, TypeError):
        return False


async def _switch(connection: Connection, model: str, digest: str, base: str) -> tuple[bool, tuple[str, ...]]:
    """Make the release the current one. Whether it was that already, and the releases that were pruned."""
    ended = await run_script(connection, _SWITCH, model, digest, f"{base}/venvs", doing="switching to the release")
    _require(connection, ended, "the release cannot be made the current one")
    lines = ended.stdout.split("\n")
    pruned = tuple(line.removeprefix("pruned ") for line in lines if line.startswith("pruned "))
    return "was current" in lines, pruned


async def _serve(connection: Connection, done: Deployed, manifest: Manifest) -> Outcome:
    """The service too. What fails with it leaves the deployment as it is, and says so."""
    assert done.current is not None
    try:
        service = await start_service(connection, done.current, model_folder_name(manifest), manifest)
    except DeviceError as error:
        stays = f"{error.message}\n         the bundle itself is deployed, and runs: {done.current}/edgeslm-device"
        return _failed(done, type(error)(stays, error.hint))
    return Outcome(
        done.model_copy(update={"service": service.unit, "socket": service.socket, "lingers": service.lingers})
    )


def _require(connection: Connection, ended: Ended, what: str) -> None:
    if not ended.ok:
        raise DeviceError(f"{connection.address}: {what}: it {ended.how}", "--remote-dir names another folder")
