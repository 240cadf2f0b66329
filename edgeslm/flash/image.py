"""What is flashed: the image of a firmware bundle, believed as far as its digests go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.bundle.manifest import Manifest
from edgeslm.errors import BundleError, DoesNotFitError, UnsupportedError
from edgeslm.formats.archive import open_archive
from edgeslm.formats.image_digest import TOLD_DIGITS
from edgeslm.formats.uf2 import read_uf2
from edgeslm.target import Firmware, Target


@dataclass(frozen=True)
class FlashImage:
    """`content`: the bytes of flash from `address` on. `digest`: the image's, of which it tells the beginning."""

    name: str
    bundle_digest: str
    digest: str
    target: Target
    facts: Firmware
    content: bytes
    elf: bytes
    uf2: bytes | None

    @property
    def address(self) -> int:
        return self.facts.flash_origin

    @property
    def told(self) -> str:
        """What of the digest the board tells."""
        return self.digest[:TOLD_DIGITS]


def read_image(bundle: Path) -> FlashImage:
    """Raises BundleError for a bundle that was changed, UnsupportedError for one that is no firmware or too old,
    DoesNotFitError for an image that is larger than the target's flash."""
    inspection = inspect_bundle(bundle)
    manifest = inspection.manifest
    part, facts = manifest.firmware, manifest.target.firmware
    if manifest.android is not None:
        raise UnsupportedError(
            f"{manifest.name} was built for {manifest.target.title}: it is an Android library, and no firmware",
            f"{manifest.android.library} goes into an app; edgeslm build for a microcontroller makes firmware",
        )
    if part is None or facts is None:
        raise UnsupportedError(
            f"{manifest.name} was built for {manifest.target.title}, which runs Linux: there is no firmware in it",
            "edgeslm deploy installs it there; edgeslm build --target with a microcontroller makes firmware",
        )
    if part.digest is None:
        raise UnsupportedError(
            f"{bundle} is from before images told their digest: nobody could say whether the board runs it",
            "build it again",
        )
    image = FlashImage(
        name=manifest.name,
        bundle_digest=inspection.digest,
        digest=part.digest,
        target=manifest.target,
        facts=facts,
        content=_read(bundle, manifest, part.binary),
        elf=_read(bundle, manifest, part.elf),
        uf2=_read(bundle, manifest, part.uf2) if part.uf2 else None,
    )
    _require_room(image)
    _require_same_uf2(bundle, image)
    return image


def _read(bundle: Path, manifest: Manifest, member: str) -> bytes:
    with open_archive(bundle) as archive:
        return archive.read(member, manifest.files[member].bytes)


def _require_room(image: FlashImage) -> None:
    size, room = len(image.content), image.target.memory.storage_kib * 1024
    if size > room:
        raise DoesNotFitError(
            f"the image has {size:,} bytes; {image.target.name} has {room:,} bytes of flash",
            "a smaller model, or a target with more flash (edgeslm plan says which)",
        )


def _require_same_uf2(bundle: Path, image: FlashImage) -> None:
    """What a bootloader is given is what the other ways write, for the family of the target."""
    if image.uf2 is None:
        return
    carried = read_uf2(image.uf2, f"{bundle}: firmware.uf2")
    padded = image.content.ljust(len(carried.content), b"\0")
    if (carried.content, carried.address, carried.family) != (padded, image.address, image.facts.uf2_family):
        raise BundleError(
            f"{bundle}: firmware.uf2 carries {len(carried.content):,} bytes for {carried.address:#010x} of family "
            f"{carried.family:#010x}, which is not this bundle's image",
            "it was changed after it was built: copy or build it again",
        )
