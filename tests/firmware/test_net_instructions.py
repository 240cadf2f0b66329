"""Instructions and flash of whole nets are what the golden file says, as long as the compiler is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.bench_mcu_nets import net_changes, net_counts
from scripts.mcu_figures import NET_FLASH, NETS, NETS_GOLDEN
from tests.firmware.host_program import require_tool
from tests.firmware.kernel_programs import compiler_version


def test_nets_take_as_many_instructions_as_before(tmp_path: Path) -> None:
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    require_tool("qemu-system-arm", "qemu-system-arm")
    golden = json.loads(NETS_GOLDEN.read_text())
    if compiler_version() != golden["compiler"]:
        pytest.skip(f"counts are pinned for arm-none-eabi-gcc {golden['compiler']}, here is {compiler_version()}")
    assert list(net_changes(golden, net_counts(tmp_path))) == []


def test_figures_that_are_wanted_are_reached() -> None:
    """The golden file may only be updated within these."""
    golden = json.loads(NETS_GOLDEN.read_text())
    for (net, core), figure in NETS.items():
        assert golden[net][core]["instructions"] <= figure.must, figure.name
    for net, figure in NET_FLASH.items():
        assert max(found["flash"] for found in golden[net].values()) <= figure.must, figure.name
