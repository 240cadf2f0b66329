"""The adb client on this machine: where it is, and its server, which holds the devices' connections."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edgeslm.cache import cache_folder
from edgeslm.errors import MissingToolError, ToolFailedError
from edgeslm.toolchain import run_tool, stream_tool

PROGRAM = "EDGESLM_ADB"
SDKS = ("ANDROID_HOME", "ANDROID_SDK_ROOT")
INSTALL = "apt-get install adb, Android's platform-tools, or EDGESLM_ADB=FILE"
SERVER_S = 30.0
"""For the server to start, and for what it answers without asking a device."""


def find_adb() -> Path:
    """EDGESLM_ADB, else `adb` on PATH, else platform-tools/adb of the SDK. Raises MissingToolError."""
    override = os.environ.get(PROGRAM)
    if override:
        found = shutil.which(override)
        if found is None:
            raise MissingToolError(f"{PROGRAM} names {override}, which is no program", INSTALL)
        return Path(found)
    folders = [os.environ["PATH"]] if "PATH" in os.environ else []
    folders += [str(Path(os.environ[name], "platform-tools")) for name in SDKS if os.environ.get(name)]
    found = shutil.which("adb", path=os.pathsep.join(folders))
    if found is None:
        raise MissingToolError(f"adb is not on PATH, nor in {' or '.join(SDKS)}", INSTALL)
    return Path(found)


def ask_devices(adb: Path) -> str:
    """What `adb devices -l` prints. Starts adb's server where none runs; it stays, as after any adb command."""
    log = cache_folder() / "logs" / "adb.log"
    lines: list[str] = []
    try:
        # By itself: the server would otherwise belong to a command whose children are ended with it.
        run_tool([str(adb), "start-server"], log, timeout_s=SERVER_S)
        stream_tool([str(adb), "devices", "-l"], lines.append, log, timeout_s=SERVER_S)
    except ToolFailedError as error:
        error.hint = f"adb's server does not start: is another adb at its port? The whole log is in {log}"
        raise
    return "\n".join(lines)
