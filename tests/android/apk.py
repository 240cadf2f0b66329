"""A signed APK of the demo app from Debian's tools, as far as they go: aapt, a dexer, apksigner, zipalign as a judge.

Android Studio's own build is another one (aapt2, R8, libraries from Maven); what both have in common is our part: the
manifest, the resources, the Java, and how the model lies in the package.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeslm.formats.stored_zip import write_stored
from tests.android.jvm import LIGHT, TEMPLATE, Classes

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
DEXER = Path(sys.prefix) / "share" / "dx.jar"
"""com.android.dx with its command line, put there by scripts/setup."""
TOOLS = ("aapt", "zipalign", "apksigner", "dexdump", "keytool")
APP = TEMPLATE / "app" / "src" / "main"
GRADLE = (TEMPLATE / "app" / "build.gradle").read_text()


def _setting(name: str) -> str:
    found = re.search(rf"^\s*{name} (.+)$", GRADLE, re.MULTILINE)
    assert found is not None, name
    return found[1]


MIN_SDK, TARGET_SDK = _setting("minSdk"), _setting("targetSdk")
PACKAGE = _setting("applicationId").strip("'")
STORED = re.findall(r"'(\w+)'", _setting("noCompress"))
"""Endings of names that lie in the package as they are."""
PAGE = 16384
"""Bytes of a page of memory on newer phones: where an uncompressed native library begins in its APK."""
REFERENCE = re.compile(r"L(?:java|javax|android|org|com|dalvik)/[\w/$]+;")
DEFINED = re.compile(r"Class descriptor\s+: '(L[^']+;)'")


def problem() -> str | None:
    """What keeps an APK from being assembled here, with the line that helps; None where nothing."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not FRAMEWORK.is_file():
        absent.append(FRAMEWORK.name)
    if absent:
        packages = "aapt zipalign apksigner dexdump android-framework-res openjdk-17-jdk-headless"
        return f"{', '.join(absent)} not found: apt-get install {packages}"
    if not DEXER.is_file():
        return f"{DEXER} not found: scripts/setup test puts a dexer there"
    return None


@dataclass(frozen=True)
class Apk:
    """What was made on the way to it."""

    path: Path
    dex: Path
    made_r: Path  # the R.java that aapt made


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """A tool's output. Raises AssertionError with its own words."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, errors="replace", check=False, cwd=cwd)
    assert done.returncode == 0, f"{command[0]}: {done.stderr or done.stdout}"
    return done.stdout


def java(jar: Path, main: str, *arguments: str | Path) -> str:
    return run("java", *LIGHT, "-cp", jar, main, *arguments)


def assemble_apk(folder: Path, classes: Classes, assets: Path, natives: Mapping[str, bytes]) -> Apk:
    """The demo app with `assets` and the native libraries `natives` of arm64, signed by a key made for it."""
    made, compiled, dex = folder / "made", folder / "classes", folder / "classes.dex"
    for each in (made, compiled):
        each.mkdir(parents=True)
    # Gradle takes the package's name from build.gradle; aapt wants it in the manifest.
    manifest = folder / "AndroidManifest.xml"
    words = (APP / "AndroidManifest.xml").read_text().replace("<manifest ", f'<manifest package="{PACKAGE}" ', 1)
    manifest.write_text(words)
    unaligned, aligned, signed = (folder / f"{name}.apk" for name in ("unaligned", "aligned", "signed"))
    run(
        "aapt", "package", "-f", "-m", "-J", made, "-M", manifest, "-S", APP / "res", "-A", assets, "-I", FRAMEWORK,
        *(word for ending in STORED for word in ("-0", ending)), "--min-sdk-version", MIN_SDK, "--target-sdk-version",
        TARGET_SDK, "--version-code", _setting("versionCode"), "--version-name", _setting("versionName").strip("'"),
        "-F", unaligned,
    )  # fmt: skip
    for part in (classes.library, classes.app):
        _copy_for_dx(part, compiled)
    java(DEXER, "com.android.dx.command.Main", "--dex", f"--output={dex}", compiled)
    run("aapt", "add", unaligned, dex.name, cwd=folder)
    _align(unaligned, aligned, natives)
    sign(aligned, signed, folder)
    return Apk(signed, dex, made / "org/edgeslm/demo/R.java")


def _align(unaligned: Path, aligned: Path, natives: Mapping[str, bytes]) -> None:
    """By the writer of libraries and bundles: Debian's zipalign knows no pages of 16 KiB."""
    members: dict[str, bytes | Path] = {f"lib/arm64-v8a/{name}": content for name, content in natives.items()}
    with zipfile.ZipFile(unaligned) as package:
        members |= {name: package.read(name) for name in package.namelist()}
    write_stored(aligned, members, members, lambda name: PAGE if name.endswith(".so") else 4)


def _copy_for_dx(classes: Path, to: Path) -> None:
    """Class files of Java 8 under the number of Java 7, all that dx reads; what is newer in them it would refuse."""
    for source in sorted(classes.rglob("*.class")):
        content = bytearray(source.read_bytes())
        assert content[4:8] == bytes((0, 0, 0, 52)), source
        content[7] = 51
        target = to / source.relative_to(classes)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def sign(aligned: Path, signed: Path, folder: Path) -> None:
    """With a key of its own, by the schemes that Android 8 and later read."""
    store, password = folder / "key.p12", "pass:edgeslm-test"
    run(
        "keytool", *(f"-J{option}" for option in LIGHT), "-genkeypair", "-keystore", store, "-storetype", "PKCS12",
        "-storepass", password[5:], "-alias", "test", "-keyalg", "EC", "-groupname", "secp256r1",
        "-dname", "CN=edgeslm test", "-validity", "2",
    )  # fmt: skip
    run(
        "apksigner", "sign", "--ks", store, "--ks-pass", password, "--ks-key-alias", "test",
        "--min-sdk-version", MIN_SDK, "--v1-signing-enabled", "false", "--v2-signing-enabled", "true",
        "--v3-signing-enabled", "true", "--out", signed, aligned,
    )  # fmt: skip


def missing_types(dump: str) -> Iterator[str]:
    """Types in `dexdump -d` that are ours and not defined there."""
    defined = set(DEFINED.findall(dump))
    for name in sorted(set(REFERENCE.findall(dump)) - defined):
        if name.startswith("Lorg/edgeslm/"):
            yield name
