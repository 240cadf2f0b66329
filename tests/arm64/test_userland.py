"""The arm64 userland itself: an arm64 Python, the runtimes a device has, and the device's CPU instead of ours."""

from __future__ import annotations

import json

import pytest

from tests.arm64.userland import IMPORTS, problem, run_python

pytestmark = pytest.mark.skipif(problem() is not None, reason=problem() or "")

FACTS = """
import json, os, platform, numpy, {modules}
features = [line for line in open("/proc/cpuinfo") if line.startswith(("CPU part", "Model"))]
print(json.dumps([platform.machine(), platform.libc_ver()[1], os.cpu_count(), features[0], features[-1]]))
"""


@pytest.mark.parametrize("site", IMPORTS)
def test_each_runtime_imports_on_the_device_s_python(site: str) -> None:
    answer = run_python("cortex-a72", ["-c", FACTS.format(modules=IMPORTS[site])], site=site).stdout
    machine, libc, processors, part, board = json.loads(answer)
    assert (machine, libc, processors) == ("aarch64", "2.36", 4)
    assert "0xd08" in part
    assert "Raspberry Pi 4" in board


def test_an_error_on_the_device_is_told() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        run_python("cortex-a72", ["-c", "raise SystemExit('no such thing')"], site="litert")
