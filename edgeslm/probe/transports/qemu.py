"""An emulated arm64 core on this machine: the very same bundle, and an exact count of instructions instead of times."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from edgeslm.cache import cache_folder
from edgeslm.emulator.command import emulated_python
from edgeslm.emulator.counts import read_counts
from edgeslm.emulator.plugin import build_plugin, find_qemu
from edgeslm.emulator.site import install_site
from edgeslm.emulator.userland import Userland, debian_userland, given_userland
from edgeslm.errors import ToolFailedError
from edgeslm.formats.archive import open_archive
from edgeslm.probe.endings import explain_ending
from edgeslm.probe.settings import GRACE_S, OnEvent, ProbeSettings, device_arguments, on_line
from edgeslm.toolchain import stream_tool

Announce = Callable[[str], AbstractContextManager[None]]
"""Called as announce(title) around what may take long."""


def measure(
    bundle: Path, core: str, settings: ProbeSettings, rootfs: Path | None, announce: Announce, on_event: OnEvent
) -> None:
    """Hand over each section as it is measured, and at the end the section `counts`.

    Raises MissingToolError, ToolFailedError, ProbeTimeoutError, DeviceError; what was handed over until then stands.
    """
    plugin = build_plugin(find_qemu())
    with announce("arm64 userland"):
        userland = given_userland(rootfs) if rootfs is not None else debian_userland()
    with announce("packages for it"), open_archive(bundle) as archive:
        site = install_site(archive, "aarch64", userland.python)
    with announce(f"run on an emulated {core}"), tempfile.TemporaryDirectory(prefix="edgeslm-probe-") as folder:
        _run(bundle.resolve(), userland, core, settings, site, plugin, Path(folder), on_event)


def _run(
    bundle: Path,
    userland: Userland,
    core: str,
    settings: ProbeSettings,
    site: Path,
    plugin: Path,
    folder: Path,
    on_event: OnEvent,
) -> None:
    log, counts = cache_folder() / "logs" / "probe-qemu.log", folder / "counts"
    command, env = emulated_python(
        userland,
        core,
        [*device_arguments(bundle, settings), "--counted"],
        path=[bundle, site],
        env={"EDGESLM_DEVICE_CACHE": str(folder / "cache")},
        plugin=f"{plugin},counts={counts}",
    )
    try:
        stream_tool(command, on_line(on_event), log, env=env, timeout_s=settings.time_limit_s + GRACE_S)
    except ToolFailedError as error:
        raise explain_ending(log.read_text(errors="replace"), error.status, settings) from None
    finally:
        if counts.exists():
            on_event({"section": "counts", **dataclasses.asdict(read_counts(counts))})
