"""Energy: sums over time, counters that wrap, sensors of a fake /sys, and meters that speak over a real tty and TCP."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.device.errors import NoEnergyError
from edgeslm.device.probe import energy
from edgeslm.device.probe.energy import Rapl, Sampled, find_source, mean_power, measure_energy
from edgeslm.device.probe.meter import MAX_LINE, Meter, parse_line


@given(
    st.lists(st.tuples(st.floats(0.01, 10), st.floats(-5, 50)), min_size=2, max_size=30), st.floats(-5, 5), st.data()
)
def test_mean_power_is_the_integral_over_time(
    steps: list[tuple[float, float]], slope: float, data: st.DataObject
) -> None:
    times = [sum(step for step, _ in steps[:number]) for number in range(len(steps))]
    readings = [(when, watts) for when, (_, watts) in zip(times, steps, strict=True)]
    assert min(w for _, w in readings) - 1e-9 <= mean_power(readings) <= max(w for _, w in readings) + 1e-9
    # A straight line's mean is its value in the middle, wherever the readings lie.
    line = [(when, 3 + slope * when) for when in times]
    assert mean_power(line) == pytest.approx(3 + slope * (times[0] + times[-1]) / 2, abs=1e-6)


@given(st.binary(max_size=200))
def test_any_line_is_watts_or_nothing(line: bytes) -> None:
    watts = parse_line(line)
    assert watts is None or -1000 < watts < 1000


@pytest.mark.parametrize(
    ("line", "watts"),
    [
        (b"W 3.5", 3.5),
        (b"W 3.5\r", 3.5),
        (b"VA 5.0 0.5", 2.5),
        (b"VA 5.0 -0.5", -2.5),
        (b"# W 3", None),
        (b"W", None),
        (b"W 1 2", None),
        (b"VA 5", None),
        (b"W nan", None),
        (b"W inf", None),
        (b"W 1e9", None),
        (b"W 3" + b" " * MAX_LINE, None),
        ("W ٣".encode(), None),
    ],
)
def test_the_line_protocol(line: bytes, watts: float | None) -> None:
    assert parse_line(line) == watts


@contextlib.contextmanager
def speaking(write: int, line: bytes) -> Iterator[None]:
    """Lines on a file descriptor, forty a second."""
    done = threading.Event()

    def speak() -> None:
        with contextlib.suppress(OSError):
            while not done.wait(0.025):
                os.write(write, line)

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "IDLE_S", 0.4)
    monkeypatch.setattr(energy, "ACTIVE_S", 0.6)


def test_a_meter_on_a_serial_port(monkeypatch: pytest.MonkeyPatch) -> None:
    short(monkeypatch)
    meter, device = pty.openpty()
    with speaking(meter, b"# an INA219\r\nnoise\r\nVA 5.0 0.8\r\n"):
        found = measure_energy(find_source(os.ttyname(device)), lambda: time.sleep(0.01))
    os.close(meter)
    os.close(device)
    assert found["source"] == "meter"
    assert found["active_watts"] == pytest.approx(4.0)
    assert found["idle_watts"] == pytest.approx(4.0)
    assert found["joules_per_inference"] == pytest.approx(4.0 * 0.6 / found["inferences"], rel=0.2)
    assert abs(found["above_idle"]) < 1e-6


def test_a_meter_behind_tcp_and_one_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    short(monkeypatch)
    server = socket.create_server(("127.0.0.1", 0))
    peers: list[socket.socket] = []
    threading.Thread(target=lambda: peers.append(server.accept()[0]), daemon=True).start()
    name = f"tcp://127.0.0.1:{server.getsockname()[1]}"

    def send_later() -> None:
        while not peers:
            time.sleep(0.01)
        peers[0].sendall(b"W 2.5\n")

    threading.Thread(target=send_later, daemon=True).start()
    source = find_source(name)
    with pytest.raises(NoEnergyError, match="fell silent"):
        source.measure(lambda: time.sleep(1.5))
    peers[0].close()
    server.close()


def test_a_meter_that_says_nothing_of_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeslm.device.probe.meter.FIRST_S", 0.3)
    meter, device = pty.openpty()
    with speaking(meter, b"hello\n"), pytest.raises(NoEnergyError, match=r"said nothing of power.*of another form"):
        Meter(os.ttyname(device))
    os.close(meter)
    os.close(device)


@pytest.mark.parametrize("name", ["/nowhere", "tcp://127.0.0.1", "tcp://127.0.0.1:1", "/dev/null@fast"])
def test_a_meter_that_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeslm.device.probe.meter.FIRST_S", 0.2)
    with pytest.raises(NoEnergyError):
        Meter(name)


def zone(root: Path, number: int, microjoules: int) -> Path:
    folder = root / f"sys/class/powercap/intel-rapl:{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("10000000\n")
    return folder


def test_rapl_counters_of_all_packages_wrap(tmp_path: Path) -> None:
    first, second = zone(tmp_path, 0, 9_000_000), zone(tmp_path, 1, 1_000_000)
    source = find_source(None, tmp_path)
    assert isinstance(source, Rapl)

    def work() -> None:
        (first / "energy_uj").write_text("500000\n")
        (second / "energy_uj").write_text("3000000\n")

    joules, seconds = source.measure(work)
    assert joules == pytest.approx(1.5 + 2.0)
    assert seconds > 0


def test_a_sensor_comes_before_a_battery_and_that_before_rapl(tmp_path: Path) -> None:
    zone(tmp_path, 0, 1)
    battery = tmp_path / "sys/class/power_supply/BAT0"
    battery.mkdir(parents=True)
    for name, content in {"type": "Battery", "status": "Charging", "current_now": "-500000"}.items():
        (battery / name).write_text(content + "\n")
    (battery / "voltage_now").write_text("8000000\n")
    assert find_source(None, tmp_path).name == "rapl"  # a battery that is charged tells nothing
    (battery / "status").write_text("Discharging\n")
    source = find_source(None, tmp_path)
    assert isinstance(source, Sampled)
    assert source.name == "battery"
    assert source.measure(lambda: time.sleep(0.5))[0] == pytest.approx(4.0 * 0.5, rel=0.1)
    sensor = tmp_path / "sys/class/hwmon/hwmon3"
    sensor.mkdir(parents=True)
    (sensor / "name").write_text("ina219\n")
    (sensor / "power1_input").write_text("2500000\n")
    source = find_source(None, tmp_path)
    assert source.name == "hwmon"
    assert source.measure(lambda: time.sleep(0.5))[0] == pytest.approx(2.5 * 0.5, rel=0.1)


def test_nothing_that_tells_energy_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoEnergyError, match="no RAPL, no battery"):
        find_source(None, tmp_path)


def test_a_few_readings_are_none() -> None:
    with pytest.raises(NoEnergyError, match="too few"):
        Sampled("hwmon", lambda: 1.0).measure(lambda: None)
