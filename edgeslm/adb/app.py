"""The demo app on the device: which models it holds, and its probe, which needs no hand on the phone."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeslm.adb.apk import open_apk, read_member
from edgeslm.adb.copying import pull
from edgeslm.adb.device import Device
from edgeslm.adb.shell import run_script
from edgeslm.errors import DeviceError, ProbeTimeoutError

PACKAGE = "org.edgeslm.demo"
ACTIVITY = f"{PACKAGE}/.ProbeActivity"
ASSETS = "assets/edgeslm"
START_S = 60.0

_FIND = 'pm path "$1"'
_START = """
file=$1
activity=$2
shift 2
rm -f -- "$file"
am start -S -W -n "$activity" "$@" 2>&1
"""
# Status 0: the file has more than the host has seen; 3: the app is gone, and there is no more to come. Whether it is
# there is asked before the file is looked at.
_AWAIT = """
file=$1
seen=$2
while :; do
  alive=$(pidof "$3")
  size=0
  if [ -f "$file" ]; then size=$(wc -c < "$file"); fi
  if [ "$size" -gt "$seen" ]; then exit 0; fi
  if [ -z "$alive" ]; then exit 3; fi
  sleep 0.3
done
"""
_GONE = 3
_TIMED_OUT = "the probe did not end within"
"""What the app says where it reached its time limit."""
_TOO_SLOW = "--time-limit S gives it longer; --runs N makes it shorter"
_STOP = 'am force-stop "$2"; rm -f -- "$1"'


@dataclass(frozen=True)
class InstalledApp:
    """The demo app as it is installed: where its APK lies, and its models: id -> SHA-256 of the model's file."""

    path: str
    models: Mapping[str, str]

    def model(self, digest: str) -> str | None:
        """The id of the model with this digest."""
        return next((name for name, found in self.models.items() if found == digest), None)


def find_app(device: Device) -> InstalledApp | None:
    """The demo app, or None where it is not installed. Raises DeviceError where it cannot be read."""
    lines = run_script(device, _FIND, PACKAGE, doing="looking for the demo app").stdout.splitlines()
    paths = [line.removeprefix("package:").strip() for line in lines if line.startswith("package:")]
    if not paths:
        return None
    # An app bundle is installed in several APKs; assets of its base module are in this one.
    path = next((path for path in paths if path.endswith("/base.apk")), paths[0])
    models: dict[str, str] = {}
    with open_apk(device, path) as apk:
        index = _properties(read_member(apk, f"{ASSETS}/models.properties"))
        for name in filter(None, index.get("models", "").split(",")):
            described = _properties(read_member(apk, f"{ASSETS}/{name}/model.properties"))
            models[name] = described.get("model.sha256", "")
    return InstalledApp(path, models)


def run_probe(
    device: Device, identity: str, extras: Mapping[str, str], on_line: Callable[[str], None], *, time_limit_s: float
) -> None:
    """Start the app's probe and hand over each line that it writes, until it has written its last one.

    `identity` names its file; `extras` are the further words of its intent. The app is stopped at the end, and its
    file removed. Raises DeviceError where it cannot be started, gives up or ends before, ProbeTimeoutError past the
    time limit, ConnectionLostError.
    """
    file = f"/sdcard/Android/data/{PACKAGE}/files/probe-{identity}.jsonl"
    words = [word for name, value in extras.items() for word in ("--es", name, value)]
    try:
        _start(device, file, ["--es", "probe", identity, *words])
        _follow(device, file, on_line, time.monotonic() + time_limit_s)
    except BaseException:
        with contextlib.suppress(DeviceError):  # a device that is gone: the app ends by its own time limit
            _stop(device, file)
        raise
    _stop(device, file)


def _stop(device: Device, file: str) -> None:
    run_script(device, _STOP, file, PACKAGE, doing="stopping the app")


def _start(device: Device, file: str, words: list[str]) -> None:
    ended = run_script(device, _START, file, ACTIVITY, *words, doing="starting the app", time_limit_s=START_S)
    wrong = [line for line in ended.stdout.splitlines() if line.startswith(("Error", "java.", "Exception", "Security"))]
    if wrong or not ended.ok:
        told = (wrong or ended.stdout.splitlines() or ["it gave no reason"])[0].strip()
        raise DeviceError(
            f"{device}: the app's probe could not be started: {told}",
            "install the app that this bundle holds (docs/android.md); --adb-mode pushed goes without it",
        )


def _follow(device: Device, file: str, on_line: Callable[[str], None], until: float) -> None:
    with tempfile.TemporaryDirectory(prefix="edgeslm-probe-") as folder:
        place, read, seen = Path(folder, "probe.jsonl"), 0, 0
        while True:
            left = max(0.1, until - time.monotonic())
            doing = "waiting for the app's probe"
            ended = run_script(
                device, _AWAIT, file, str(seen), PACKAGE, doing=doing, time_limit_s=left, too_slow=_TOO_SLOW
            )
            if ended.status == _GONE:
                raise DeviceError(
                    f"{device}: the app ended before its probe did", f"`adb -s {device.serial} logcat -d` tells why"
                )
            if not ended.ok:
                raise DeviceError(f"{device}: {file} cannot be read: {ended.stderr or 'no reason was given'}")
            pull(device, file, place)
            content = place.read_bytes()
            end = content.rfind(b"\n") + 1  # of a line that is being written the rest comes later
            for line in content[read:end].decode(errors="replace").splitlines():
                on_line(line)
                event = _parse(line)
                if event.get("section") == "error":
                    raise _own_error(device, event)
                if event.get("section") == "end":
                    return
            read, seen = end, len(content)


def _own_error(device: Device, event: Mapping[str, Any]) -> DeviceError:
    message = str(event.get("message"))
    if message.startswith(_TIMED_OUT):
        return ProbeTimeoutError(f"{device}: {message}", _TOO_SLOW)
    hint = event.get("hint")
    return DeviceError(f"{device}: the app gave up: {message}", str(hint) if hint else None)


def _parse(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _properties(content: bytes | None) -> dict[str, str]:
    """Of java.util.Properties what a key of letters and dots and a value without escapes need; {} for no file."""
    lines = (content or b"").decode("ascii", errors="replace").splitlines()
    return {key: value for key, equals, value in (line.partition("=") for line in lines) if equals}
