"""Joules per inference, from whatever the device has to tell: RAPL, a battery, a power sensor, or a meter.

- rapl: counters of energy in Intel and AMD processors (powercap; usually readable by root only). Processor only.
- battery: /sys/class/power_supply, while it discharges. The whole device, screen included.
- hwmon: an INA219, INA226 or similar sensor with a kernel driver (Documentation/hwmon/ina2xx). What it is wired to.
- meter: lines from a serial port or TCP address (meter.py). What it is wired to.

The device idles first, so that what an inference adds can be told from what the device takes anyway.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..errors import NoEnergyError
from .meter import Meter

IDLE_S = 2.0
ACTIVE_S = 4.0
INTERVAL_S = 0.05
"""Between readings of a sensor's power. Counters are read at the two ends only."""
LEAST_READINGS = 5
SENSORS = ("ina219", "ina220", "ina226", "ina230", "ina231", "ina237", "ina238", "ina260", "ina2xx", "ina3221")


class Source(Protocol):
    """Something that tells energy. `name` is one of rapl, battery, hwmon, meter."""

    name: str

    def measure(self, action: Callable[[], None]) -> tuple[float, float]:
        """Run `action`; (joules it took, seconds). Raises NoEnergyError where the source falls silent."""


class Rapl:
    """Energy counters of all processor packages; they wrap."""

    name = "rapl"

    def __init__(self, zones: list[Path]) -> None:
        self._zones = zones

    def measure(self, action: Callable[[], None]) -> tuple[float, float]:
        before = [_read(zone / "energy_uj") for zone in self._zones]
        started = time.perf_counter()
        action()
        seconds = time.perf_counter() - started
        joules = 0.0
        for zone, first in zip(self._zones, before, strict=True):
            spent = _read(zone / "energy_uj") - first
            if spent < 0:
                spent += _read(zone / "max_energy_range_uj")
            joules += spent * 1e-6
        return joules, seconds


class Sampled:
    """Power read every INTERVAL_S in a thread of its own, and summed over time."""

    def __init__(self, name: str, watts: Callable[[], float]) -> None:
        self.name = name
        self._watts = watts

    def measure(self, action: Callable[[], None]) -> tuple[float, float]:
        readings: list[tuple[float, float]] = []
        done = threading.Event()
        failed: list[Exception] = []

        def read() -> None:
            try:
                while not done.is_set():
                    readings.append((time.perf_counter(), self._watts()))
                    done.wait(INTERVAL_S)
                readings.append((time.perf_counter(), self._watts()))
            except (OSError, ValueError, NoEnergyError) as error:
                failed.append(error)

        thread = threading.Thread(target=read, name="power", daemon=True)
        started = time.perf_counter()
        thread.start()
        try:
            action()
        finally:
            seconds = time.perf_counter() - started
            done.set()
            thread.join(timeout=5)
        if failed:
            raise NoEnergyError(f"{self.name} fell silent: {failed[0]}")
        if len(readings) < LEAST_READINGS:
            raise NoEnergyError(f"{self.name} gave {len(readings)} readings in {seconds:.1f} s, too few")
        return mean_power(readings) * seconds, seconds


def mean_power(readings: list[tuple[float, float]]) -> float:
    """Watts, averaged over time by the trapezoidal rule; `readings` are (seconds, watts) in order of time."""
    span = readings[-1][0] - readings[0][0]
    if span <= 0:
        return readings[-1][1]
    steps = itertools.pairwise(readings)
    return sum((t1 - t0) * (w0 + w1) / 2 for (t0, w0), (t1, w1) in steps) / span


def find_source(meter: str | None, root: Path = Path("/")) -> Source:
    """The best source here: the meter that was asked for, else a sensor, a battery in use, RAPL.

    Raises NoEnergyError saying what was looked for.
    """
    if meter is not None:
        return Sampled("meter", Meter(meter).watts)
    sensor = _sensor(root)
    if sensor is not None:
        return Sampled("hwmon", lambda: _read(sensor) * 1e-6)
    battery = _battery(root)
    if battery is not None:
        return Sampled("battery", battery)
    zones = sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]"))
    readable = [zone for zone in zones if _is_readable(zone / "energy_uj")]
    if readable:
        return Rapl(readable)
    if zones:
        raise NoEnergyError("RAPL's counters are readable by root only")
    raise NoEnergyError("this device has no RAPL, no battery in use and no INA219 or similar sensor; no --meter given")


def measure_energy(source: Source, run: Callable[[], object]) -> dict[str, Any]:
    """Joules of one `run`, averaged over ACTIVE_S of them. Raises NoEnergyError."""
    idle_joules, idle_seconds = source.measure(lambda: time.sleep(IDLE_S))
    inferences = 0

    def work() -> None:
        nonlocal inferences
        until = time.perf_counter() + ACTIVE_S
        while time.perf_counter() < until:
            run()
            inferences += 1

    joules, seconds = source.measure(work)
    idle_watts = idle_joules / idle_seconds
    if joules <= 0:
        raise NoEnergyError(f"{source.name} counted no energy while the model ran")
    return {
        "measured": True,
        "source": source.name,
        "joules_per_inference": joules / inferences,
        "above_idle": (joules - idle_watts * seconds) / inferences,
        "idle_watts": idle_watts,
        "active_watts": joules / seconds,
        "inferences": inferences,
    }


def _sensor(root: Path) -> Path | None:
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        with contextlib.suppress(OSError):
            power = folder / "power1_input"
            if (folder / "name").read_text().strip() in SENSORS and _is_readable(power):
                return power
    return None


def _battery(root: Path) -> Callable[[], float] | None:
    for folder in sorted((root / "sys/class/power_supply").glob("*")):
        with contextlib.suppress(OSError):
            if (folder / "type").read_text().strip() != "Battery":
                continue
            if (folder / "status").read_text().strip() != "Discharging":
                continue
            if _is_readable(folder / "power_now"):
                return lambda folder=folder: abs(_read(folder / "power_now")) * 1e-6  # type: ignore[misc]  # mypy cannot type a default
            if _is_readable(folder / "current_now") and _is_readable(folder / "voltage_now"):
                return lambda folder=folder: abs(_read(folder / "current_now")) * _read(folder / "voltage_now") * 1e-12  # type: ignore[misc]
    return None


def _is_readable(path: Path) -> bool:
    try:
        _read(path)
    except (OSError, ValueError):
        return False
    return True


def _read(path: Path) -> float:
    return float(path.read_text())
