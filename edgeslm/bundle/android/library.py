"""The finished library: an .aar, a zip of a manifest, compiled classes and assets, aligned and with nothing compressed.

Source of its layout: Android Studio user guide, "Create an Android library", anatomy of an AAR file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgeslm.bundle.android.litert import PAGE, LiteRtFiles
from edgeslm.formats.stored_zip import write_stored

NAMESPACE: Final = "org.edgeslm"
CLASSES: Final = Path(__file__).with_name("classes.jar")
"""The template's Java, compiled by scripts/android_classes.py."""
RULES: Final = Path(__file__).parent / "template" / "edgeslm" / "consumer-rules.pro"
ASSET_ALIGNMENT: Final = 4096
"""Bytes: of a page of memory, so that what is mapped begins where the asset does."""
ALIGNMENT: Final = 4

_METADATA = "META-INF/com/android/build/gradle/aar-metadata.properties"
# minCompileSdk: nothing above the API level that the library asks of the phone is called.
_METADATA_TEXT = (
    "aarFormatVersion=1.0\naarMetadataVersion=1.0\nminCompileSdk={sdk}\nminAndroidGradlePluginVersion=4.1.0\n"
)
_MANIFEST_TEXT = """\
<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{namespace}">
    <uses-sdk android:minSdkVersion="{sdk}" />
</manifest>
"""


@dataclass(frozen=True)
class AndroidLibrary:
    """The .aar in folder `root`. `parent`: the digest of what went into it."""

    root: Path = field(compare=False)
    digest: str
    parent: str
    file: str = "library.aar"

    @property
    def path(self) -> Path:
        return self.root / self.file


def library_members(
    assets: Mapping[str, bytes | Path], litert: LiteRtFiles, abi: str, min_sdk: int
) -> dict[str, bytes | Path]:
    """Members of the .aar by name. `assets`: by their names in an app's assets."""
    members: dict[str, bytes | Path] = {
        "AndroidManifest.xml": _MANIFEST_TEXT.format(namespace=NAMESPACE, sdk=min_sdk).encode(),
        "R.txt": b"",  # it has no resources
        "classes.jar": CLASSES,
        "proguard.txt": RULES.read_bytes() + litert.rules,
        _METADATA: _METADATA_TEXT.format(sdk=min_sdk).encode(),
    }
    members |= {f"assets/{name}": content for name, content in assets.items()}
    members |= {f"libs/{name}": content for name, content in litert.jars.items()}
    return members | {f"jni/{abi}/{name}": content for name, content in litert.natives.items()}


def write_library(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write the .aar: the same bytes for the same members."""
    write_stored(path, members, sorted(members), _alignment)


def _alignment(name: str) -> int:
    if name.endswith(".so"):
        return PAGE
    return ASSET_ALIGNMENT if name.startswith("assets/") else ALIGNMENT
