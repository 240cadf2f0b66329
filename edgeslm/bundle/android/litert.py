"""LiteRT for Android: its Maven coordinate, and the .aar files of it that a user puts in instead.

LiteRT's Android library is on Google's Maven repository and in no package of Python's; with --litert-aar a developer
hands over the files, and what is emitted needs no repository for it. What is read here is a stranger's zip: bounded.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final

from edgeslm.errors import ConfigError
from edgeslm.formats.archive import BROKEN_ZIP
from edgeslm.formats.elf import read_shared_library

GROUP: Final = "com.google.ai.edge.litert"
ARTIFACT: Final = "litert"
VERSION: Final = "2.3.0"
"""As the ai-edge-litert that scores the model here."""
COORDINATE: Final = f"{GROUP}:{ARTIFACT}:{VERSION}"
ENTRY_CLASS: Final = "com/google/ai/edge/litert/CompiledModel.class"
"""What the library calls; of LiteRT 2.3.0 it is in litert-api, on which litert depends."""
NOT_RUN_HERE: Final = (
    "{title} is not run here: the library's Java is run on a JVM, and the model scored by LiteRT for Python; LiteRT's "
    "own Android library joins at the app's build, and nothing of it was on a phone"
)
"""What is said of every Android target."""
PAGE: Final = 16384
"""Bytes: Google Play asks of apps for Android 15 and later that their libraries can be loaded into such pages."""
MAX_MEMBERS: Final = 10_000
MAX_BYTES: Final = 512 << 20

_HINT = (
    f"--litert-aar takes {ARTIFACT}-{VERSION}.aar and what it depends on, {ARTIFACT}-api-{VERSION}.aar: one flag each"
)


@dataclass(frozen=True)
class LiteRtFiles:
    """What is merged: jars by name, native libraries by name, and rules for R8."""

    jars: dict[str, bytes] = field(default_factory=dict)
    natives: dict[str, bytes] = field(default_factory=dict)
    rules: bytes = b""
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.jars


def read_litert(paths: Sequence[Path], abi: str, machine: str) -> LiteRtFiles:
    """The classes of these .aar files and their libraries for `abi`, which are for `machine` as Linux names it.

    Nothing for no paths. Raises ConfigError for a file that is no .aar, for an ABI that is not there, for a library of
    another machine, and where LiteRT's classes or libraries are missing.
    """
    jars: dict[str, bytes] = {}
    natives: dict[str, bytes] = {}
    rules, abis = b"", set[str]()
    for path in paths:
        members = _read_aar(path)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip(".-") or ARTIFACT
        inner = {f"{name}.jar": members["classes.jar"]}
        inner |= {f"{name}-{Path(one).name}": members[one] for one in sorted(members) if one.startswith("libs/")}
        jars |= {one: content for one, content in inner.items() if _class_names(content, f"{path}: {one}")}
        for one, content in sorted(members.items()):
            found = re.fullmatch(r"jni/([^/]+)/([A-Za-z0-9_.+-]+\.so)", one)
            if found:
                abis.add(found[1])
                if found[1] == abi:
                    natives[found[2]] = content
        rules += members.get("proguard.txt", b"")
    if not paths:
        return LiteRtFiles()
    given = ", ".join(str(path) for path in paths)
    if not any(ENTRY_CLASS in _class_names(content, name) for name, content in jars.items()):
        raise ConfigError(f"{given}: there is no class {ENTRY_CLASS.removesuffix('.class')}", _HINT)
    if not natives and abis:
        raise ConfigError(f"{given}: there are libraries for {', '.join(sorted(abis))}, and none for {abi}", _HINT)
    if not natives:
        raise ConfigError(f"{given}: there is no native library (jni/{abi}/*.so)", _HINT)
    return LiteRtFiles(jars, natives, rules, tuple(_check(natives, given, machine)))


def _check(natives: dict[str, bytes], given: str, machine: str) -> list[str]:
    warnings = []
    for name, content in natives.items():
        library = read_shared_library(content, f"{given}: {name}")
        if library.machine != machine:
            raise ConfigError(f"{given}: {name} is for {library.machine}, not for {machine}", _HINT)
        if library.page < PAGE:
            warnings.append(
                f"{name} of {given} can be loaded into memory pages of {library.page:,} bytes and no larger ones: "
                f"phones with pages of {PAGE:,} refuse it, and Google Play apps with it for Android 15 and later"
            )
    return warnings


def _read_aar(path: Path) -> dict[str, bytes]:
    """Member -> content of what is taken from it."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            wanted = [one for one in listed if _is_wanted(one.filename)]
            if len(listed) > MAX_MEMBERS or sum(one.file_size for one in wanted) > MAX_BYTES:
                raise ConfigError(
                    f"{path} is larger than any LiteRT: more than {MAX_BYTES >> 20} MiB or members", _HINT
                )
            members = {one.filename: _bounded(archive, one) for one in wanted}
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}", _HINT) from None
    except BROKEN_ZIP as error:
        raise ConfigError(f"{path} is no .aar: it cannot be read as a zip file ({error})", _HINT) from None
    if not {"AndroidManifest.xml", "classes.jar"} <= set(members):
        raise ConfigError(f"{path} is no .aar: it has no AndroidManifest.xml and classes.jar", _HINT)
    return members


def _bounded(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Its content; no more than it says to have, whatever is compressed in it."""
    with archive.open(member) as source:
        content = source.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise ValueError(f"member {member.filename} is not as long as it should be")
    return content


def _is_wanted(name: str) -> bool:
    if name in ("AndroidManifest.xml", "classes.jar", "proguard.txt"):
        return True
    return bool(re.fullmatch(r"libs/[A-Za-z0-9_.+-]+\.jar|jni/[^/]+/[A-Za-z0-9_.+-]+\.so", name))


def _class_names(jar: bytes, where: str) -> set[str]:
    try:
        with zipfile.ZipFile(BytesIO(jar)) as archive:
            return {name for name in archive.namelist() if name.endswith(".class")}
    except BROKEN_ZIP as error:
        raise ConfigError(f"{where} is no jar ({error})", _HINT) from None
