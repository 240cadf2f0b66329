"""Open a bundle, packed or unpacked, and believe nothing in it that its digests do not bear out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgeslm.bundle.manifest import MANIFEST, MAX_BYTES, FilePart, Manifest, parse_manifest
from edgeslm.errors import BundleError
from edgeslm.formats.archive import Archive, open_archive
from edgeslm.formats.image_digest import tells_digest

HINT = "it was changed after it was built: copy or build it again"


@dataclass(frozen=True)
class Inspection:
    """A bundle whose every digest was right. `bytes` are those of the file, or of all files in the folder."""

    path: Path
    digest: str
    manifest: Manifest
    files: tuple[str, ...]
    bytes: int
    unpacked: bool


def inspect_bundle(path: Path) -> Inspection:
    """Verify every digest and that nothing else lies inside. Raises BundleError naming the member."""
    with open_archive(path) as archive:
        manifest = read_manifest(archive)
        listed, there = set(manifest.files), set(archive.sizes) - {MANIFEST}
        if listed - there:
            raise BundleError(f"{path}: member {min(listed - there)} is missing", HINT)
        if there - listed:
            raise BundleError(f"{path}: member {min(there - listed)} is not listed in {MANIFEST}", HINT)
        _require_described(path, manifest)
        for name, expected in manifest.files.items():
            _verify(archive, name, expected)
        _verify_image(archive, manifest)
        unpacked = path.is_dir()
        size = sum(archive.sizes.values()) if unpacked else path.stat().st_size
    return Inspection(path, manifest.digest, manifest, (MANIFEST, *sorted(listed)), size, unpacked)


def read_manifest(archive: Archive) -> Manifest:
    """The manifest of an opened bundle; the members it lists are not verified yet."""
    if MANIFEST not in archive.sizes:
        raise BundleError(f"{archive.path} is no bundle: it has no {MANIFEST}", "edgeslm build makes one")
    return parse_manifest(archive.read(MANIFEST, MAX_BYTES), str(archive.path))


def _require_described(path: Path, manifest: Manifest) -> None:
    """The files a runtime opens are among those whose digests are known."""
    wanted = [*manifest.model.files, *([manifest.tokenizer.file] if manifest.tokenizer else [])]
    if manifest.firmware:
        wanted += [manifest.firmware.elf, manifest.firmware.binary, manifest.firmware.hex]
        wanted += [manifest.firmware.uf2] if manifest.firmware.uf2 else []
    if manifest.android:
        wanted += [manifest.android.library, manifest.android.pom]
        wanted += [name for one in manifest.android.models for name in (one.properties, one.table, *one.model.files)]
    for name in wanted:
        if name not in manifest.files:
            raise BundleError(f"{path}: {MANIFEST} speaks of {name} and does not list it", HINT)


def _verify(archive: Archive, name: str, expected: FilePart) -> None:
    size = archive.sizes[name]
    if size != expected.bytes:
        raise BundleError(f"{archive.path}: member {name} has {size:,} bytes instead of {expected.bytes:,}", HINT)
    digest = hashlib.sha256()
    for chunk in archive.chunks(name):
        digest.update(chunk)
    if digest.hexdigest() != expected.sha256:
        raise BundleError(f"{archive.path}: the content of member {name} does not match its digest", HINT)


def _verify_image(archive: Archive, manifest: Manifest) -> None:
    """The image has the digest that its manifest names, and tells it once it runs."""
    firmware = manifest.firmware
    if firmware is None or firmware.digest is None:
        return
    content = archive.read(firmware.binary, manifest.files[firmware.binary].bytes)
    if not tells_digest(content, firmware.digest):
        raise BundleError(f"{archive.path}: {firmware.binary} does not tell the digest that {MANIFEST} names", HINT)
