"""This machine: the bundle's own device package in a Python process of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from edgeslm.cache import cache_folder
from edgeslm.errors import ToolFailedError
from edgeslm.probe.endings import explain_ending
from edgeslm.probe.settings import GRACE_S, OnEvent, ProbeSettings, device_arguments, on_line
from edgeslm.toolchain import stream_tool


def measure(
    bundle: Path,
    settings: ProbeSettings,
    announce: Callable[[str], AbstractContextManager[None]],
    on_event: OnEvent,
) -> None:
    """Hand over each section as it is measured. The device package comes out of the bundle, the runtime from here.

    Raises ProbeTimeoutError and DeviceError; what was handed over until then stands.
    """
    log = cache_folder() / "logs" / "probe-local.log"
    command = [sys.executable, *device_arguments(bundle.resolve(), settings)]
    with announce("run on this machine"), tempfile.TemporaryDirectory(prefix="edgeslm-probe-") as cache:
        # A cache of its own: the first load is a first load, and nothing is left behind.
        env = {**os.environ, "PYTHONPATH": str(bundle.resolve()), "EDGESLM_DEVICE_CACHE": cache}
        try:
            stream_tool(command, on_line(on_event), log, env=env, timeout_s=settings.time_limit_s + GRACE_S)
        except ToolFailedError as error:
            raise explain_ending(log.read_text(errors="replace"), error.status, settings) from None
