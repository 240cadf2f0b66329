"""A bundle, opened read-only: its manifest, checked as far as the device needs it, and its files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BundleError
from .files import BROKEN_ZIP, Expected, Files, FolderFiles, ZipFiles, damaged

SCHEMA_VERSIONS = (1, 2, 5)
"""3 and 4 are firmware's, which no Python runs; 5 is an Android library's, whose model is run as any other."""
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 8 << 20


@dataclass(frozen=True)
class Container:
    path: Path
    manifest: Mapping[str, Any]
    files: Files


def open_container(path: str | Path) -> Container:
    """Open a bundle's file or unpacked folder. Raises BundleError.

    What lies in it is checked against the manifest when it is opened, not here.
    """
    path = Path(path)
    if path.is_dir():
        content = _folder_manifest(path)
    elif path.exists():
        content = _zip_manifest(path)
    else:
        raise BundleError(f"there is no bundle {path}", "edgeslm build makes one")
    manifest = _parse(path, content)
    expected = _expected(path, manifest)
    files = FolderFiles(path, expected) if path.is_dir() else ZipFiles(path, expected)
    return Container(path, manifest, files)


def _folder_manifest(path: Path) -> bytes:
    try:
        with (path / MANIFEST).open("rb") as source:
            return source.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        raise BundleError(
            f"{path} is no bundle: it has no {MANIFEST}", "name the folder a bundle was unpacked to"
        ) from None
    except OSError as error:
        raise damaged(path, f"{MANIFEST} cannot be read ({error.strerror})") from None


def _zip_manifest(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(MANIFEST) as source:
            return source.read(MAX_MANIFEST_BYTES + 1)
    except KeyError:
        raise BundleError(f"{path} is no bundle: it has no {MANIFEST}", "edgeslm build makes one") from None
    except PermissionError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from None
    except BROKEN_ZIP as error:
        raise damaged(path, f"it is no zip file, or one that is cut short ({error})") from None


def _parse(path: Path, content: bytes) -> Mapping[str, Any]:
    if len(content) > MAX_MANIFEST_BYTES:
        raise damaged(path, f"{MANIFEST} has more than {MAX_MANIFEST_BYTES:,} bytes")
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"{MANIFEST} is no JSON ({error})") from None
    if not isinstance(manifest, dict):
        raise damaged(path, f"{MANIFEST} is no JSON object")
    version = manifest.get("schema_version")
    if isinstance(version, int) and version not in SCHEMA_VERSIONS:
        raise BundleError(
            f"{path} has schema version {version}; this device package reads {', '.join(map(str, SCHEMA_VERSIONS))}",
            f"run it with the edgeslm_device inside it, or with edgeslm {manifest.get('edgeslm')} or newer",
        )
    problem = _problem(manifest)
    if problem:
        raise damaged(path, f"{MANIFEST}: {problem}")
    return manifest


# What the device reads of a manifest, and the types it relies on.
_FIELDS = {"schema_version": int, "name": str, "task": str, "model": dict, "labels": list, "files": dict}
_MODEL_FIELDS = {
    "runtime": str,
    "files": list,
    "digest": str,
    "pad_id": int,
    "lengths": list,
    "signatures": dict,
    "inputs": list,
    "outputs": list,
}
_TOKENIZER_FIELDS = {"file": str, "max_length": int}


def _problem(manifest: Mapping[str, Any]) -> str | None:
    tokenizer = manifest.get("tokenizer")
    parts = [("", manifest, _FIELDS), ("model.", manifest.get("model"), _MODEL_FIELDS)]
    if tokenizer is not None:
        parts.append(("tokenizer.", tokenizer, _TOKENIZER_FIELDS))
    for prefix, part, fields in parts:
        for name, kind in fields.items():
            if not isinstance(part, dict) or not isinstance(part.get(name), kind):
                return f"{prefix}{name} is missing or of the wrong type"
    model = manifest["model"]
    if not model["files"] or not all(isinstance(name, str) for name in model["files"]):
        return "model.files is no list of names"
    for tensor in (*model["inputs"], *model["outputs"]):
        if not isinstance(tensor, dict) or not {"name", "dtype", "shape"} <= set(tensor):
            return "model.inputs or model.outputs describes no tensor"
    if not all(isinstance(length, int) and length > 0 for length in model["lengths"]):
        return "model.lengths holds something else than lengths"
    return None


def _expected(path: Path, manifest: Mapping[str, Any]) -> Mapping[str, Expected]:
    try:
        return {name: Expected(str(part["sha256"]), int(part["bytes"])) for name, part in manifest["files"].items()}
    except (TypeError, KeyError, ValueError):
        raise damaged(path, f"{MANIFEST}: files gives no sha256 and bytes") from None
