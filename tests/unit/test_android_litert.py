"""--litert-aar: what is taken of a stranger's files, and every wrong one named; the ELF headers they come with."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.bundle.android.litert import ENTRY_CLASS, LiteRtFiles, read_litert
from edgeslm.errors import ConfigError
from edgeslm.formats.elf import SharedLibrary, read_shared_library
from tests.unit.android_files import jar, litert_aar, packed, shared_library


def read(*paths: Path) -> LiteRtFiles:
    return read_litert(paths, "arm64-v8a", "aarch64")


def test_nothing_is_merged_of_nothing() -> None:
    assert read().is_empty


def test_classes_libraries_and_rules_are_taken_of_all_files(tmp_path: Path) -> None:
    """LiteRT 2.3.0: the libraries are in litert, the classes in litert-api."""
    runtime = litert_aar(tmp_path / "litert-2.3.0.aar", {"classes.jar": packed({"META-INF/MANIFEST.MF": b""}),
                                                         "libs/more.jar": jar("a/B.class"),
                                                         "jni/x86_64/libLiteRt.so": shared_library(62)})  # fmt: skip
    api = tmp_path / "litert-api-2.3.0.aar"
    api.write_bytes(packed({"AndroidManifest.xml": b"", "classes.jar": jar(ENTRY_CLASS)}))
    found = read(runtime, api)
    assert set(found.jars) == {"litert-2.3.0-more.jar", "litert-api-2.3.0.jar"}
    assert found.natives == {"libLiteRt.so": shared_library()}
    assert found.rules == b"-keep class a.B\n"
    assert found.warnings == ()


def test_small_pages_are_warned_of(tmp_path: Path) -> None:
    path = litert_aar(tmp_path / "litert.aar", {"jni/arm64-v8a/libLiteRt.so": shared_library(pages=(65536, 4096))})
    [warning] = read(path).warnings
    assert "libLiteRt.so" in warning
    assert "4,096 bytes" in warning
    assert "16,384" in warning


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"classes.jar": jar("a/B.class")}, "there is no class com/google/ai/edge/litert/CompiledModel"),
        ({"classes.jar": b"no zip"}, "classes.jar is no jar|litert.jar is no jar"),
        ({"jni/arm64-v8a/libLiteRt.so": shared_library(62)}, "libLiteRt.so is for x86_64, not for aarch64"),
        ({"jni/arm64-v8a/libLiteRt.so": shared_library(40)}, "libLiteRt.so is for arm, not for aarch64"),
        ({"jni/arm64-v8a/libLiteRt.so": b"text"}, "libLiteRt.so is no ELF file"),
        ({"jni/arm64-v8a/libLiteRt.so": shared_library()[:100]}, "libLiteRt.so is cut short"),
        ({"jni/arm64-v8a/libLiteRt.so": shared_library(kind=2)}, "libLiteRt.so is no shared library"),
        ({"jni/arm64-v8a/libLiteRt.so": shared_library(pages=())}, "libLiteRt.so has nothing to load"),
    ],
)
def test_what_is_wrong_inside_is_named(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(litert_aar(tmp_path / "litert.aar", members))


def test_another_abi_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "litert.aar"
    there = {"AndroidManifest.xml": b"", "classes.jar": jar(ENTRY_CLASS), "jni/x86/libLiteRt.so": b""}
    path.write_bytes(packed(there))
    with pytest.raises(ConfigError, match="there are libraries for x86, and none for arm64-v8a") as caught:
        read(path)
    assert "litert-api-2.3.0.aar" in (caught.value.hint or "")
    path.write_bytes(packed({name: there[name] for name in ("AndroidManifest.xml", "classes.jar")}))
    with pytest.raises(ConfigError, match=r"no native library \(jni/arm64-v8a/\*\.so\)"):
        read(path)


def test_what_is_no_aar_is_named(tmp_path: Path) -> None:
    path = tmp_path / "litert.aar"
    with pytest.raises(ConfigError, match=r"there is no file"):
        read(path)
    path.write_bytes(b"PK\3\4 and so on")
    with pytest.raises(ConfigError, match=r"is no \.aar: it cannot be read as a zip file"):
        read(path)
    path.write_bytes(jar("a/B.class"))
    with pytest.raises(ConfigError, match=r"it has no AndroidManifest\.xml and classes\.jar"):
        read(path)
    whole = litert_aar(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"is no \.aar"):
        read(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeslm.bundle.android.litert.MAX_BYTES", 1 << 20)
    path = litert_aar(tmp_path / "litert.aar", {"jni/arm64-v8a/libLiteRt.so": bytes(2 << 20)})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ConfigError, match="larger than any LiteRT"):
        read(path)


def test_the_least_alignment_counts_and_other_segments_do_not() -> None:
    assert read_shared_library(shared_library(62, (65536, 16384)), "a test") == SharedLibrary("x86_64", 16384)


@given(content=st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: shared_library()[:64] + tail))
def test_any_bytes_are_a_library_or_a_named_mistake(content: bytes) -> None:
    """Every other exception fails this test."""
    with contextlib.suppress(ConfigError):
        assert read_shared_library(content, "a test").page >= 0
