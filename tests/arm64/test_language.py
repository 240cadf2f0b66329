"""A language model where it is meant to live: the text of an arm64 userland is the one its author published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeslm.api import build
from edgeslm.backends import load_backend
from tests.arm64.userland import problem, run_python
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared"
STORIES = SHARED / "models" / "stories260k"
SITES = {"tflite": "litert", "openvino": "openvino"}

pytestmark = [
    pytest.mark.skipif(problem() is not None, reason=problem() or ""),
    pytest.mark.skipif(not STORIES.is_dir(), reason=f"{STORIES} is not there"),
]


@pytest.mark.parametrize("backend", ["openvino", pytest.param("tflite", marks=pytest.mark.deep)])
def test_the_golden_text(backend: str, tmp_path: Path) -> None:
    """By LiteRT it is in test_serving.py as well."""
    missing = load_backend(backend).missing()
    if missing:
        pytest.skip(f"{backend}: {missing}")
    golden = json.loads((STORIES / "golden_ids.json").read_text())
    bundle = build("rpi4", str(STORIES), scheme="fp32", backend=backend, out=tmp_path).bundle.path
    arguments = ["-m", "edgeslm_device", "run", "--prompt", "", "--max-tokens", str(len(golden) - 1), "--json"]
    env = {"EDGESLM_DEVICE_CACHE": str(tmp_path / "pi")}
    said = run_python("cortex-a72", arguments, site=SITES[backend], env=env, path=[bundle])
    assert json.loads(said.stdout)["generation"]["tokens"] == golden[1:]
