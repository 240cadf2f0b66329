"""What the tests of flashing share."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeslm.flash.image import FlashImage, read_image
from tests.firmware.flashing.variants import build
from tests.firmware.host_program import require_tool


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stub model for a board of one's own."""
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    return build(tmp_path_factory.mktemp("flashed"))


@pytest.fixture(scope="session")
def image(bundle: Path) -> FlashImage:
    return read_image(bundle)
