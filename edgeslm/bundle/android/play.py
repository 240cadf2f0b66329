"""What Google Play takes, against what a model weighs.

Source: Google Play Console help, "Optimize your app's size and stay within Google Play app size limits", 2026-11: a
base module of 200 MB, an asset pack of 1.5 GB, 4 GB in all. They hold for the compressed download, and the weights of a
model hardly compress.
"""

from __future__ import annotations

from typing import Final

MEGABYTE: Final = 1_000_000
BASE_MODULE_BYTES: Final = 200 * MEGABYTE
ASSET_PACK_BYTES: Final = 1500 * MEGABYTE


def play_warnings(name: str, model_bytes: int) -> tuple[str, ...]:
    """Both numbers and what to do, where an app with the model in its assets would not be taken; () otherwise."""
    if model_bytes <= BASE_MODULE_BYTES:
        return ()
    weighs = f"{name} has {_mb(model_bytes)} of models"
    if model_bytes <= ASSET_PACK_BYTES:
        return (
            f"{weighs}, and Google Play takes apps whose base module downloads {_mb(BASE_MODULE_BYTES)} at most: move "
            "edgeslm/src/main/assets/edgeslm into an install-time asset pack "
            f"({_mb(ASSET_PACK_BYTES)} at most), whose files an app opens as its own assets",
        )
    return (
        f"{weighs}, and Google Play takes base modules of {_mb(BASE_MODULE_BYTES)} and asset packs of "
        f"{_mb(ASSET_PACK_BYTES)} at most: fewer or smaller schemes make it fit an install-time asset pack",
    )


def _mb(count: int) -> str:
    return f"{count / MEGABYTE:,.0f} MB"
