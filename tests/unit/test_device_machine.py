"""What a device tells of itself, read from a fake root: a Raspberry Pi 4, a PC, an emulator, and nonsense."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.device.probe.emulator import is_emulated, virtual_machine
from edgeslm.device.probe.machine import condition, describe_device, has_throttled
from edgeslm.device.probe.memory import memory
from edgeslm.device.probe.sections import reference_length
from edgeslm.device.probe.stopwatch import Stopwatch
from edgeslm.emulator.cores import MAIN_ID, cpuinfo


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def raspberry(root: Path, **changes: str) -> Path:
    return write(
        root,
        {
            "proc/cpuinfo": cpuinfo("cortex-a72"),
            "proc/meminfo": "MemTotal:        3884344 kB\nMemFree: 1 kB\nMemAvailable:    3000000 kB\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1500000\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "sys/class/thermal/thermal_zone0/temp": "48686\n",
            "sys/class/thermal/thermal_zone1/temp": "-274000\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n",
            **changes,
        },
    )


def test_a_raspberry_pi(tmp_path: Path) -> None:
    root = raspberry(tmp_path)
    device = describe_device(root)
    assert device["core"] == "cortex-a72"
    assert device["board"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert device["clock_max_mhz"] == 1500
    assert device["memory_mib"] == pytest.approx(3793.3, abs=0.1)
    assert device["system"] == "Debian GNU/Linux 12 (bookworm)"
    now = condition(root)
    assert (now["clock_mhz"], now["governor"], now["temperature_c"]) == (1500, "ondemand", pytest.approx(48.686))
    assert now["throttled_bits"] == 0x50000


@pytest.mark.parametrize("core", MAIN_ID)
def test_each_core_we_emulate_is_known_by_its_part(core: str, tmp_path: Path) -> None:
    assert describe_device(write(tmp_path, {"proc/cpuinfo": cpuinfo(core)}))["core"] == core


def test_throttling_shows_now_or_since_before(tmp_path: Path) -> None:
    def bits(value: str) -> dict[str, object]:
        return condition(raspberry(tmp_path, **{"sys/devices/platform/soc/soc:firmware/get_throttled": value}))

    assert has_throttled(bits("50000"), bits("50000")) is False  # long ago: since boot, not since we looked
    assert has_throttled(bits("0"), bits("50000")) is True
    assert has_throttled(bits("0"), bits("4")) is True
    assert has_throttled(bits("nonsense"), bits("nonsense")) is None

    def counted(number: int) -> dict[str, object]:
        folder = tmp_path / f"pc{number}"
        name = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
        return condition(write(folder, {name.format(0, "core"): f"{number}\n", name.format(0, "package"): "2\n"}))

    assert has_throttled(counted(5), counted(5)) is False
    assert has_throttled(counted(5), counted(6)) is True


def test_a_device_that_tells_nothing(tmp_path: Path) -> None:
    device, now = describe_device(tmp_path), condition(tmp_path)
    assert {device[name] for name in ("cpu", "core", "board", "clock_max_mhz", "memory_mib", "system")} == {None}
    assert {now[name] for name in now if name != "load_average"} == {None}
    assert has_throttled(now, now) is None


@given(st.binary(max_size=300))
def test_nonsense_is_nothing(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.mktemp("root")
    for name in ("proc/cpuinfo", "proc/meminfo", "sys/class/thermal/thermal_zone0/temp", "etc/os-release"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    describe_device(root)
    condition(root)


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + machine.to_bytes(2, "little") + bytes(44)


def test_an_emulator_is_known_by_what_really_runs(tmp_path: Path) -> None:
    executable = tmp_path / "proc/thread-self/exe"
    assert is_emulated(tmp_path, "aarch64") is False  # nothing to go by
    executable.parent.mkdir(parents=True)
    for content, machine, emulated in (
        (elf(62), "aarch64", True),
        (elf(183), "aarch64", False),
        (elf(183), "x86_64", True),
        (elf(62), "x86_64", False),
        (elf(62)[:10], "aarch64", False),
        (b"#!/bin/sh and so on, long enough", "aarch64", False),
        (elf(62), "riscv64", False),
    ):
        executable.write_bytes(content)
        assert is_emulated(tmp_path, machine) is emulated
    assert is_emulated() is False


def test_a_virtual_machine_says_so(tmp_path: Path) -> None:
    assert virtual_machine(tmp_path) is None
    write(tmp_path, {"proc/cpuinfo": "flags\t\t: fpu vme hypervisor lahf_lm\n"})
    assert virtual_machine(tmp_path) == "a hypervisor that does not give its name"
    write(tmp_path, {"sys/class/dmi/id/sys_vendor": "QEMU\n"})
    assert virtual_machine(tmp_path) == "QEMU"


def test_memory_counted_page_by_page_is_what_the_kernel_says() -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the two ways are compared where nothing is emulated")
    block = bytearray(64 << 20)
    block[::4096] = b"1" * (64 << 8)
    kernel, pages = memory(emulated=False), memory(emulated=True)
    for name in ("rss", "private"):
        told, counted = kernel[name], pages[name]
        assert told is not None
        assert counted is not None
        assert abs(told - counted) < 8 << 20
        assert counted > 64 << 20


def test_the_reference_length_is_the_nearest_to_64_tokens() -> None:
    assert reference_length([16, 32, 64, 128]) == 64
    assert reference_length([16, 256]) == 16
    assert reference_length([128]) == 128
    assert reference_length([None]) is None
    assert reference_length([]) is None


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50))
def test_a_stopwatch_never_tells_a_duration_below_zero(steps: list[int]) -> None:
    clock, readings = 0, []
    for step in steps:
        readings += [clock, clock + step]
        clock += step
    watch = Stopwatch(clock=iter(readings).__next__)
    samples, discarded = watch.sample(lambda: None, len(steps))
    assert discarded == sum(step <= 0 for step in steps)
    assert samples == [step / 1e6 for step in steps if step > 0]
