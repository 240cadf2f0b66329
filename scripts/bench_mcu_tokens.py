"""Instructions of a language model's tokens on emulated microcontrollers, and the memory that its firmware takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeslm.firmware.image import Image
from scripts.mcu_figures import CONTEXT, TOKEN_TARGETS
from tests.firmware.language_images import MODEL, Made, StoriesImages, token_instructions


def token_counts(folder: Path) -> dict[str, Any]:
    """{"compiler": version, "model": …, "positions": {core: [instructions at 0, 1, …]}, "flash": {core: bytes beyond
    weights and vocabulary}, "ram": {core: share of live set and KV cache}}. Raises FileNotFoundError without the model.
    """
    if not MODEL.is_dir():
        raise FileNotFoundError(f"{MODEL} is not here: tokens of it cannot be counted")
    images = StoriesImages(folder)
    built: dict[str, tuple[Made, Image]] = {}
    for core, target in TOKEN_TARGETS.items():
        made = images.make(target, "int8", CONTEXT)
        built[core] = made, images.image(made)
    return {
        "compiler": next(iter(built.values()))[1].compiler,
        "model": f"{MODEL.name}, int8",
        "positions": {
            core: list(token_instructions(image, made.target, CONTEXT)) for core, (made, image) in built.items()
        },
        "flash": {core: image.memory.code for core, (_, image) in built.items()},
        "ram": {core: round(image.memory.ram_bytes / made.needed, 4) for core, (made, image) in built.items()},
    }


def token_changes(golden: dict[str, Any], counts: dict[str, Any]) -> Iterator[str]:
    """What differs from the golden file, a line each."""
    for core, found in counts["positions"].items():
        before = golden["positions"].get(core, [])
        different = [place for place, pair in enumerate(zip(found, before, strict=False)) if pair[0] != pair[1]]
        if different or len(found) != len(before):
            place = different[0] if different else min(len(found), len(before))
            yield f"{core}: {len(different)} of {len(found)} positions changed, the first is {place}"
    for what in ("flash", "ram"):
        for core, found in counts[what].items():
            if golden[what].get(core) != found:
                yield f"{core} {what}: {found}, golden {golden[what].get(core)}"
