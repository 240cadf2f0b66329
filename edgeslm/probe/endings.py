"""Why a device's probe ended early: its own words on stderr, as one of our errors."""

from __future__ import annotations

from edgeslm.errors import DeviceError, EdgeslmError, ProbeTimeoutError
from edgeslm.probe.settings import ProbeSettings

TIMED_OUT = 124
WATCHDOG = "Timeout ("
"""What the device's own watchdog (faulthandler) writes first."""
TOO_OLD = ("invalid choice: 'probe'", "No module named edgeslm_device.probe", "unrecognized arguments: --")


def explain_ending(stderr: str, status: int, settings: ProbeSettings) -> EdgeslmError:
    """`status` is the exit status of the device's Python, TIMED_OUT where it was ended from here."""
    if status == TIMED_OUT or WATCHDOG in stderr:
        return ProbeTimeoutError(
            f"the probe did not end within {settings.time_limit_s:g} s and was stopped{_place(stderr)}",
            "--time-limit S gives it longer; --runs N and --length N make it shorter",
        )
    if any(words in stderr for words in TOO_OLD):
        return DeviceError(
            "this bundle's device package does not know this probe: another edgeslm made it",
            "build the bundle again with this one",
        )
    told = [line for line in stderr.splitlines() if line.startswith("error: ")]
    if told:
        message, _, hint = told[-1].removeprefix("error: ").partition(" -> ")
        return DeviceError(f"the bundle's device package gave up: {message}", hint or None)
    tail = "\n".join(f"         {line}" for line in stderr.splitlines()[-8:])
    ending = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return DeviceError(f"the probe {ending}" + (f"; its last lines:\n{tail}" if tail else " without a word"))


def _place(stderr: str) -> str:
    """Where the watchdog found the main thread, innermost first."""
    for line in stderr.partition(WATCHDOG)[2].splitlines():
        place = line.strip()
        if place.startswith("File "):
            return f" (it was in {place.removeprefix('File ')})"
    return ""
