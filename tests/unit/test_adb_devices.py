"""What adb and a device say of themselves, read: states, serial numbers, properties; what an emulator does not tell."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.adb.client import find_adb
from edgeslm.adb.device import Device
from edgeslm.adb.devices import Seen, choose, parse_devices
from edgeslm.adb.facts import parse_facts, require_fit, require_room
from edgeslm.emulator.parcels import EXTENSIONS_LEFT_OUT, LEFT_OUT, PACKAGE_LEFT_OUT
from edgeslm.errors import EdgeslmError, MissingToolError
from edgeslm.formats.parcel import open_parcel, write_tar
from edgeslm.probe.emulated import without_times

LISTED = """* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
emulator-5554          device product:sdk_gphone64_arm64 model:sdk_gphone64_arm64 device:emu64a transport_id:1
R58M123ABC             device usb:1-1 product:beyond1 model:SM_G973F device:beyond1 transport_id:2
127.0.0.1:5556         offline transport_id:3
ZY22                   unauthorized usb:1-2 transport_id:4
????????????           no permissions (user in plugdev group; are your udev rules wrong?); see [http://x] usb:1-3
TABLET                 recovery transport_id:9

"""
FACTS = """[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.hardware]: [shiba]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8]
[persist.odd]: []
[persist.lines]: [one
two]
edgeslm-machine aarch64
edgeslm-writable
Filesystem      1K-blocks    Used Available Use% Mounted on
/dev/block/dm-5 110000000 9000000   1000000   9% /data/user/0
"""


@pytest.fixture(autouse=True)
def no_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)


def test_every_state_is_read() -> None:
    assert parse_devices(LISTED) == [
        Seen("emulator-5554", "device", "sdk gphone64 arm64"),
        Seen("R58M123ABC", "device", "SM G973F"),
        Seen("127.0.0.1:5556", "offline"),
        Seen("ZY22", "unauthorized"),
        Seen("????????????", "no permissions"),
        Seen("TABLET", "recovery"),
    ]
    assert parse_devices("List of devices attached\n\n") == []
    assert parse_devices("error: cannot connect to daemon") == []


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    assert all(seen.serial for seen in parse_devices("List of devices attached\n" + text))
    parse_facts(text)


@pytest.mark.parametrize(
    ("serial", "words"),
    [
        ("127.0.0.1:5556", "is offline"),
        ("ZY22", "does not know this machine's key"),
        ("????????????", "may not be opened by this user"),
        ("TABLET", "has not started Android (adb: recovery)"),
        ("R58M", "adb sees no device R58M; it sees emulator-5554 (sdk gphone64 arm64), R58M123ABC (SM G973F), "),
        (None, "adb sees 6 devices"),
    ],
)
def test_a_device_that_will_not_do_is_told_with_its_state(serial: str | None, words: str) -> None:
    with pytest.raises(EdgeslmError) as refused:
        choose(parse_devices(LISTED), serial)
    assert words in refused.value.message
    assert refused.value.hint


def test_a_serial_number_may_come_from_adb_s_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_SERIAL", "R58M123ABC")
    assert choose(parse_devices(LISTED), None).model == "SM G973F"
    assert choose(parse_devices(LISTED), "emulator-5554").serial == "emulator-5554"


def test_facts_of_a_phone_and_of_an_emulator() -> None:
    facts = parse_facts(FACTS)
    assert (facts.title, facts.sdk, facts.abis) == ("Google Pixel 8", 34, ("arm64-v8a", "armeabi-v7a"))
    assert (facts.free_bytes, facts.writable, facts.emulator) == (1000000 << 10, True, False)
    assert parse_facts(FACTS.replace("shiba", "ranchu")).emulator
    assert parse_facts("[ro.boot.qemu]: [1]\n" + FACTS).emulator
    assert parse_facts(FACTS.replace("Pixel 8", "Google Pixel 8")).title == "Google Pixel 8"


def test_everything_that_is_missing_is_said_at_once() -> None:
    device, facts = Device(Path("adb"), "R58M"), parse_facts(FACTS)
    require_fit(device, facts, "arm64-v8a")
    require_room(device, facts, 800_000_000)
    old = parse_facts(FACTS.replace("[34]", "[25]").replace("arm64-v8a,", ""))
    with pytest.raises(EdgeslmError) as refused:
        require_fit(device, old, "arm64-v8a")
    assert "it runs armeabi-v7a, and the bundle is for arm64-v8a" in refused.value.message
    assert "it has API level 25 (Android 14), and 26 is the least" in refused.value.message
    with pytest.raises(EdgeslmError, match="has 1024 MB free, and 1067 MB are needed"):
        require_room(device, facts, 1_000_000_000)


def test_adb_is_found_in_the_sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGESLM_ADB", raising=False)
    monkeypatch.delenv("ANDROID_SDK_ROOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path))
    with pytest.raises(MissingToolError, match="nor in ANDROID_HOME or ANDROID_SDK_ROOT"):
        find_adb()
    program = tmp_path / "platform-tools/adb"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_adb() == program


def test_an_emulator_s_event_has_no_times_left() -> None:
    length = {"section": "length", "tokens": 16, "samples_ms": [1.0], "discarded": 2, "counted_runs": 0}
    assert without_times(length) == {**length, "samples_ms": [], "discarded": 0}
    assert without_times({"section": "bandwidth", "read_mib_s": 9.0}) is None
    assert without_times({"section": "throughput", "texts_per_s": 9.0}) is None
    energy = without_times({"section": "energy", "measured": True, "joules_per_inference": 1.0})
    assert energy is not None
    assert energy["measured"] is False
    profile = without_times({"section": "profile", "tokens": 4, "operators": [{"microseconds": [3]}], "runs": 5})
    assert profile is not None
    assert profile["operators"] == []
    step = {"section": "decode", "depth": 4, "samples_ms": [1.0], "discarded": 0, "outside_ms": 0.1}
    assert without_times(step) == {**step, "samples_ms": [], "outside_ms": None}


def test_a_parcel_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    members: dict[str, bytes | Path] = {"b/program": tmp_path / "file", "a": b"content"}
    for name in ("one.tar", "two.tar"):
        write_tar(tmp_path / name, members)
    one, two = open_parcel(tmp_path / "one.tar", "bundle"), open_parcel(tmp_path / "two.tar", "bundle")
    assert (one.digest, one.folder) == (two.digest, f"bundle-{one.digest[:16]}")
    assert one.unpacked_bytes == 2 * 4096 + 2 * 4096 + 4096
    with tarfile.open(one.path) as opened:
        assert [(member.name, member.mode, member.mtime) for member in opened] == [
            ("a", 0o755, 0),
            ("b/program", 0o755, 0),
        ]
    with pytest.raises(ValueError, match="name is too long"):
        write_tar(tmp_path / "long.tar", {"x" * 300: b""})


def test_what_a_probe_imports_is_not_left_out() -> None:
    needed = ["os.py", "json/decoder.py", "importlib/metadata/__init__.py", "unittest/case.py"]
    assert not [name for name in needed if LEFT_OUT.match(name)]
    assert LEFT_OUT.match("test/support/__init__.py")
    assert not EXTENSIONS_LEFT_OUT.match("_hashlib.cpython-311-aarch64-linux-gnu.so")
    assert not PACKAGE_LEFT_OUT.fullmatch("ai_edge_litert/compiled_model.py")
    assert not PACKAGE_LEFT_OUT.fullmatch("numpy/testing/__init__.py")
    assert PACKAGE_LEFT_OUT.fullmatch("numpy/lib/tests/test_io.py")
