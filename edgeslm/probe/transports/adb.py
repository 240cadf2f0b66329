"""A probe on an Android device behind adb, in one of two ways.

`app`: the demo app, which holds this bundle's model, measures itself: LiteRT's Android library, called from Java.
`pushed`: the bundle's device package measures, in a Python with glibc that is pushed beside it: no app is needed, and
its figures are those of the same code as on a Linux device, under adb's shell.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from edgeslm.adb import app
from edgeslm.adb.client import ask_devices, find_adb
from edgeslm.adb.device import Device
from edgeslm.adb.devices import choose, parse_devices
from edgeslm.adb.facts import Facts, ask_facts, require_fit
from edgeslm.bundle.manifest import Manifest
from edgeslm.data_folder import alone, data_folder
from edgeslm.errors import DeviceError, UnsupportedError
from edgeslm.probe.emulated import without_times
from edgeslm.probe.pushed import measure_pushed
from edgeslm.probe.settings import GRACE_S, AdbMode, Event, OnEvent, ProbeSettings, on_line
from edgeslm.target import ABI_OF

Announce = Callable[[str], AbstractContextManager[None]]


def measure(
    bundle: Path,
    manifest: Manifest,
    serial: str | None,
    mode: AdbMode,
    settings: ProbeSettings,
    announce: Announce,
    on_event: OnEvent,
    *,
    keep: bool,
) -> None:
    """Measure a bundle on the device with this serial number (None: the only one); hand over each event as it comes.

    What is brought to the device is removed at the end, unless `keep` says otherwise. Raises DeviceError and its kin,
    MissingToolError, UnsupportedError; what was handed over until then stands.
    """
    adb = find_adb()
    with announce("look at the device"):
        device = Device(adb, choose(parse_devices(ask_devices(adb)), serial).serial)
        facts = ask_facts(device)
        android = manifest.target.android
        abi = ABI_OF.get(manifest.target.cpu.arch, manifest.target.cpu.arch)
        require_fit(device, facts, abi, *([android.min_sdk] if android else []))
    with alone(data_folder() / f"adb-{re.sub(r'[^A-Za-z0-9.-]+', '-', device.serial)}"):
        model, notes = _find_model(device, manifest, mode)
        event = _described(facts, "pushed" if model is None else "app", notes)
        take = _believing(facts, event, on_event)
        if model is not None:
            with announce(f"run in the app on {facts.title}"):
                _measure_in_app(device, manifest, model, settings, take)
        else:
            measure_pushed(device, facts, bundle, manifest, settings, announce, take, keep=keep)


def _find_model(device: Device, manifest: Manifest, mode: AdbMode) -> tuple[str | None, list[str]]:
    """The id of this bundle's model in the installed app, None for the pushed way; and what is to be said about it."""
    if mode == "pushed" or (mode == "auto" and not manifest.target.is_android):
        return None, []
    digest = manifest.files[manifest.model.files[0]].sha256
    installed = app.find_app(device)
    model = installed.model(digest) if installed else None
    if model is not None:
        return model, []
    if installed is None:
        problem = f"{app.PACKAGE} is not installed on {device}"
    else:
        found = ", ".join(f"{name} ({sha[:12]})" for name, sha in installed.models.items()) or "none"
        problem = f"the demo app on {device} holds another model: {found}; this bundle's is {digest[:12]}"
    if mode == "app":
        raise DeviceError(
            problem,
            "build the app in this bundle and install it: `adb install` (docs/android.md); --adb-mode pushed needs no "
            "app",
        )
    return None, [problem] if installed else []


def _described(facts: Facts, mode: str, notes: list[str]) -> Event:
    """The section `android`, which comes from here: what adb tells of the device."""
    if mode == "pushed":
        notes = [
            *notes,
            "pushed mode: a Python process with glibc under adb's shell; an app's figures differ, which Android "
            "schedules, and where LiteRT's Android library runs the model",
        ]
    return {
        "section": "android",
        "mode": mode,
        "title": facts.title,
        "release": facts.release,
        "sdk": facts.sdk,
        "abis": list(facts.abis),
        "hardware": facts.hardware,
        "soc": facts.soc or None,
        "emulator": facts.emulator,
        "fingerprint": facts.fingerprint,
        "notes": notes,
    }


def _believing(facts: Facts, described: Event, on_event: OnEvent) -> OnEvent:
    """Hands events on as this device's: with what adb knows of it, and without times where it is an emulator."""

    def take(event: Event) -> None:
        if facts.emulator:
            kept = without_times(event)
            if kept is None:
                return
            event = kept
        if event["section"] == "device":
            system = f"Android {facts.release} (API {facts.sdk})"
            event = {**event, "board": facts.title, "system": system, "cpu": event.get("cpu") or facts.soc or None}
            on_event(described)
        on_event(event)

    return take


def _measure_in_app(device: Device, manifest: Manifest, model: str, settings: ProbeSettings, on_event: OnEvent) -> None:
    digest = manifest.files[manifest.model.files[0]].sha256
    if settings.meter:
        raise UnsupportedError("the app reads no power meter", "leave out --meter, or --adb-mode pushed")
    extras = {
        "model": model,
        "runs": str(settings.runs),
        "threads": str(settings.threads),
        "time_limit": f"{settings.time_limit_s:g}",
        **({"lengths": ",".join(map(str, settings.lengths))} if settings.lengths else {}),
    }

    def take(event: Event) -> None:
        ran = event.get("model_sha256", digest)
        if ran != digest:
            raise DeviceError(
                f"{device}: the app ran another model ({str(ran)[:12]}) than this bundle's ({digest[:12]})",
                "build the app in this bundle and install it",
            )
        if event["section"] != "error":  # that one becomes the error of the whole
            on_event(event)

    limit = settings.time_limit_s + 2 * GRACE_S  # by then the app has ended itself, and said so
    app.run_probe(device, secrets.token_hex(8), extras, on_line(take), time_limit_s=limit)
