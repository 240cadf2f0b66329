"""The demo app as a signed APK: manifest, resources, code, signature, and how the model lies in it."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

import pytest

from edgeslm.bundle.android.litert import read_litert
from tests.android.apk import (
    APP,
    MIN_SDK,
    PAGE,
    REFERENCE,
    TARGET_SDK,
    TOOLS,
    Apk,
    assemble_apk,
    missing_types,
    problem,
    run,
)
from tests.android.jvm import HERE, TEMPLATE, Classes
from tests.unit.android_files import litert_aar, shared_library

MODEL = "edgeslm/int8/model.tflite"
ASSETS = {
    "edgeslm/models.properties": b"default=int8\nmodels=int8\n",
    "edgeslm/int8/model.properties": b"format=1\n",
    MODEL: b"\x1c\0\0\0TFL3" + b"0" * 100_000,  # compresses well, and must not be
    "edgeslm/int8/tokenizer.edgetok": b"1" * 10_001,
}
NEWER = {"PowerManager.getCurrentThermalStatus": 29, "Build.SOC_MANUFACTURER": 31, "Build.SOC_MODEL": 31}
"""Of Android's, newer than the oldest version that the library runs on: API level."""


@pytest.fixture(scope="module")
def apk(android_classes: Classes, tmp_path_factory: pytest.TempPathFactory) -> Apk:
    missing = problem()
    if missing:
        pytest.skip(missing)
    assets = tmp_path_factory.mktemp("assets")
    for name, content in ASSETS.items():
        (assets / name).parent.mkdir(parents=True, exist_ok=True)
        (assets / name).write_bytes(content)
    litert = litert_aar(assets.parent / "litert.aar")  # made up: Google's own is not at hand
    natives = read_litert([litert], "arm64-v8a", "aarch64").natives
    return assemble_apk(tmp_path_factory.mktemp("apk"), android_classes, assets, natives)


@pytest.fixture(scope="module")
def dump(apk: Apk) -> str:
    return run("dexdump", "-d", apk.dex)


def test_it_is_signed_by_schemes_2_and_3(apk: Apk) -> None:
    told = run("apksigner", "verify", "--verbose", "--min-sdk-version", MIN_SDK, apk.path)
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in told
    assert "Verified using v3 scheme (APK Signature Scheme v3): true" in told


def test_a_changed_byte_breaks_the_signature(apk: Apk, tmp_path: Path) -> None:
    changed = tmp_path / "changed.apk"
    content = bytearray(apk.path.read_bytes())
    content[content.index(b"TFL3")] ^= 1
    changed.write_bytes(content)
    with pytest.raises(AssertionError, match=r"DOES NOT VERIFY"):
        run("apksigner", "verify", "--min-sdk-version", MIN_SDK, changed)


def test_model_and_tokenizer_lie_in_it_as_they_are(apk: Apk) -> None:
    with zipfile.ZipFile(apk.path) as package:
        for name, content in ASSETS.items():
            assert package.read(f"assets/{name}") == content
        for name in (MODEL, "edgeslm/int8/tokenizer.edgetok"):
            entry = package.getinfo(f"assets/{name}")
            assert entry.compress_type == zipfile.ZIP_STORED
            begin = apk.path.read_bytes().index(ASSETS[name])
            assert begin % 4 == 0
            assert begin > entry.header_offset
    run("zipalign", "-c", "-p", "4", apk.path)


def test_native_libraries_begin_where_pages_of_16_kib_do(apk: Apk) -> None:
    with zipfile.ZipFile(apk.path) as package:
        assert package.getinfo("lib/arm64-v8a/libLiteRt.so").compress_type == zipfile.ZIP_STORED
    assert apk.path.read_bytes().index(shared_library()) % PAGE == 0


def test_its_badge(apk: Apk) -> None:
    badge = run("aapt", "dump", "badging", apk.path)
    assert "package: name='org.edgeslm.demo' versionCode='1' versionName='1.0'" in badge
    assert f"sdkVersion:'{MIN_SDK}'" in badge
    assert f"targetSdkVersion:'{TARGET_SDK}'" in badge
    assert "launchable-activity: name='org.edgeslm.demo.MainActivity'" in badge
    assert "application-label:'edgeslm demo'" in badge
    assert "application: label='edgeslm demo' icon='res/drawable/ic_launcher.xml'" in badge
    assert "uses-permission" not in badge  # nothing that is typed can leave the phone by this app
    assert "supports-screens: 'small' 'normal' 'large' 'xlarge'" in badge


def test_only_what_must_be_is_exported(apk: Apk) -> None:
    """The screen for everybody, the probe for adb's shell, which has DUMP; nothing else is there at all."""
    tree = run("aapt", "dump", "xmltree", apk.path, "AndroidManifest.xml")
    activities = [part for part in re.split(r"\n\s+E: ", tree) if part.startswith("activity ")]
    found = {re.search(r'android:name[^"]*"([^"]+)"', part)[1]: part for part in activities}  # type: ignore[index]
    assert set(found) == {"org.edgeslm.demo.MainActivity", "org.edgeslm.demo.ProbeActivity"}
    assert all("android:exported(0x01010010)=(type 0x12)0xffffffff" in part for part in activities)
    assert 'android:permission(0x01010006)="android.permission.DUMP"' in found["org.edgeslm.demo.ProbeActivity"]
    assert "android:permission" not in found["org.edgeslm.demo.MainActivity"]
    assert not re.search(r"E: (service|receiver|provider|uses-permission) ", tree)


def test_resources_are_those_that_the_code_was_compiled_with(apk: Apk) -> None:
    assert apk.made_r.read_text() == (HERE / "app/org/edgeslm/demo/R.java").read_text()


def test_the_screen_has_what_it_needs(apk: Apk) -> None:
    """There is no emulator here to look at it; this is what aapt compiled of its layout."""
    tree = run("aapt", "dump", "xmltree", apk.path, "res/layout/main.xml")
    views = re.split(r"\n\s+E: ", tree)
    buttons = [view for view in views if view.startswith("Button ")]
    assert len(buttons) == 4
    assert all("android:contentDescription" in button and "android:minHeight" in button for button in buttons)
    (prompt,) = (view for view in views if view.startswith("EditText "))
    assert "android:hint" in prompt
    assert sum("android:accessibilityLiveRegion" in view for view in views) == 1
    literal = re.findall(r'android:(?:text|hint|contentDescription)\([^)]*\)="', tree)
    assert not literal  # every word is a resource, which can be translated


def test_dark_and_light(apk: Apk) -> None:
    told = run("aapt", "dump", "resources", apk.path)
    assert re.search(r"config night-v8:\n\s+resource 0x7f\w+ org.edgeslm.demo:style/Demo", told)


def test_every_text_is_used() -> None:
    named = set(re.findall(r'<(?:string|dimen) name="(\w+)"', "".join(_texts("res/values/*.xml"))))
    text = "".join(_texts("java/**/*.java", "res/**/*.xml", "*.xml"))
    used = set(re.findall(r"(?:R\.string\.|@string/|@dimen/)(\w+)", text))
    assert named == used


def test_no_class_is_missing(dump: str) -> None:
    assert list(missing_types(dump)) == []
    others = {name for name in REFERENCE.findall(dump) if not name.startswith("Lorg/edgeslm/")}
    assert {name.split("/")[0] for name in others} <= {"Ljava", "Landroid", "Lcom"}
    litert = {name for name in others if name.startswith("Lcom/")}
    assert litert
    assert all(name.startswith("Lcom/google/ai/edge/litert/") for name in litert)  # the only library it needs


def test_a_missing_class_would_be_seen(dump: str) -> None:
    without = dump.replace("Class descriptor  : 'Lorg/edgeslm/EdgeSlm;'", "")
    assert list(missing_types(without)) == ["Lorg/edgeslm/EdgeSlm;"]


def test_every_source_is_in_it(dump: str) -> None:
    sources = [*(TEMPLATE / "edgeslm/src/main/java").rglob("*.java"), *(APP / "java").rglob("*.java")]
    for source in sources:
        name = source.as_posix().partition("/java/")[2].removesuffix(".java")
        assert f"Class descriptor  : 'L{name};'" in dump


def test_what_is_newer_than_the_oldest_android_is_asked_for_first() -> None:
    """Each member that API 26 has not is used behind a look at SDK_INT, in the same method."""
    text = (TEMPLATE / "edgeslm/src/main/java/org/edgeslm/probe/AndroidPlatform.java").read_text()
    for member, level in NEWER.items():
        name = member.split(".")[1]
        (method,) = (part for part in text.split("@Override") if name in part)
        assert f"SDK_INT < {level}" in method


def test_tools_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    told = problem()
    assert told is not None
    assert all(tool in told for tool in TOOLS)
    assert "apt-get install aapt" in told


def _texts(*patterns: str) -> list[str]:
    return [path.read_text() for pattern in patterns for path in sorted(APP.glob(pattern))]
