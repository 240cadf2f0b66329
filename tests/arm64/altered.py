"""A bundle changed and sealed again: its digests are right, whatever was done to it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeslm.formats.archive import write_archive

# Hangs where Python cannot interrupt it, with both of the device's own watchdogs off, deaf to SIGTERM, and with a
# child that holds on to its output.
HANG = """
import ctypes, faulthandler, signal, subprocess
def memory(emulated):
    faulthandler.cancel_dump_traceback_later()
    signal.alarm(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "1000"])
    ctypes.PyDLL(None).sleep(1000)
"""

# A fake of a device's clock: every third reading lies before the one it follows.
CLOCK_GOES_BACKWARDS = """
import itertools, time
_real, _readings = time.perf_counter_ns, itertools.count()
def _fake():
    return _real() - (10**9 if next(_readings) % 3 == 2 else 0)
time.perf_counter_ns = _fake
"""


def altered(bundle: Path, place: Path, files: Mapping[str, bytes | str | None], **manifest: Any) -> Path:
    """The bundle with other files (None removes one) and fields of its manifest, at `place`."""
    with zipfile.ZipFile(bundle) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    for name, content in files.items():
        if content is None:
            del members[name]
        else:
            members[name] = content.encode() if isinstance(content, str) else content
    document = json.loads(members.pop("manifest.json")) | manifest
    document["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in members.items()
    }
    sealed = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    write_archive(place, {**members, "manifest.json": sealed})
    return place


def without_wheels(bundle: Path, place: Path) -> Path:
    """The bundle as a build without --vendor-wheels leaves it."""
    with zipfile.ZipFile(bundle) as opened:
        return altered(bundle, place, {name: None for name in opened.namelist() if name.startswith("wheels/")})
