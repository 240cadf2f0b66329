"""What the tests of firmware share: programs with all kernels, compiled once for all workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.firmware.kernel_programs import Programs


@pytest.fixture(scope="session")
def programs(shared_folder: Path) -> Programs:
    return Programs(shared_folder / "kernels")
