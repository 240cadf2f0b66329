"""An Android bundle of a few bytes, and files that pass for LiteRT's."""

from __future__ import annotations

import dataclasses
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeslm.artifacts import BuiltModel, Bundle, Fidelity, Gate, Turn
from edgeslm.bundle.android.assets import asset_members
from edgeslm.bundle.android.library import AndroidLibrary, library_members, write_library
from edgeslm.bundle.android.litert import ENTRY_CLASS, read_litert
from edgeslm.bundle.android.write import write_android_bundle
from edgeslm.digest import json_digest
from edgeslm.target import load_target
from tests.unit.tiny_build import TinyBuild, tiny_build

TABLE = b"a tokenizer's table"
TURN = Turn("<user> ", "\n<assistant>")


def android_models(folder: Path, schemes: Sequence[str] = ("int8", "fp32")) -> tuple[TinyBuild, list[BuiltModel]]:
    """A tiny build, and a model of it for each scheme."""
    tiny = tiny_build(folder, target="android-arm64")
    models = []
    for scheme in schemes:
        plan = dataclasses.replace(tiny.plan, scheme=scheme, digest=json_digest([tiny.plan.digest, scheme]))
        compiled = dataclasses.replace(tiny.compiled, scheme=scheme)
        models.append(BuiltModel(plan, tiny.onnx, compiled, tiny.fidelity))
    return tiny, models


def missed(fidelity: Fidelity) -> Fidelity:
    return dataclasses.replace(fidelity, gates=(Gate("cosine_min", 0.5, 0.997, False),))


def android_bundle(
    folder: Path, out: Path, schemes: Sequence[str] = ("int8", "fp32"), litert: Sequence[Path] = ()
) -> Bundle:
    """Written as a build writes it; what lies below `folder` is not needed afterwards."""
    tiny, models = android_models(folder, schemes)
    target = load_target("android-arm64")
    assert target.android is not None
    assets = asset_members(tiny.checkpoint, models, TABLE, TURN)
    files = read_litert(litert, target.android.abi, target.cpu.arch)
    library = AndroidLibrary(folder, json_digest("library"), json_digest("parent"))
    write_library(library.path, library_members(assets, files, target.android.abi, target.android.min_sdk))
    return write_android_bundle(tiny.checkpoint, models, target, assets, files, library, out, force=False)


def jar(*classes: str) -> bytes:
    return packed(dict.fromkeys(classes, b"\xca\xfe\xba\xbe"))


def packed(members: Mapping[str, bytes]) -> bytes:
    """A compressed zip, as LiteRT's own files are."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def litert_aar(path: Path, members: Mapping[str, bytes] | None = None) -> Path:
    """A file with LiteRT's entry class and an arm64 library, and `members` in place of or beside those."""
    content = {
        "AndroidManifest.xml": b"<manifest/>",
        "classes.jar": jar(ENTRY_CLASS),
        "jni/arm64-v8a/libLiteRt.so": shared_library(),
        "proguard.txt": b"-keep class a.B\n",
        "R.txt": b"",
    }
    path.write_bytes(packed(content | dict(members or {})))
    return path


def shared_library(machine: int = 183, pages: Sequence[int] = (16384, 65536), kind: int = 3) -> bytes:
    """The headers of an ELF file of 64 bits: System V ABI."""
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, len(pages) + 1, 0, 0, 0
    )
    programs = [struct.pack("<IIQQQQQQ", 6, 4, 64, 0, 0, 0, 0, 8)]  # PT_PHDR: not loaded
    programs += [struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, page) for page in pages]
    return header + b"".join(programs)
