"""Bundles run where they are meant to: unchanged, by their own device package, on an arm64 userland's Python.

The outputs must be those of x86-64; kernels differ, so they agree to a tolerance and not to the bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm import api
from edgeslm.backends import load_backend
from tests.arm64.userland import problem, run_python

pytestmark = pytest.mark.skipif(problem() is not None, reason=problem() or "")

SITES = {"tflite": "litert", "openvino": "openvino"}
TEXTS = ("A cat runs.", "How do I reset my password?", "The small blue house by the river was sold last week. " * 3)
TOLERANCE = 1e-4
"""Largest difference of an element: float32 sums in another order differ by some 1e-7."""


@pytest.fixture
def tflite() -> None:
    require_backend("tflite")


def require_backend(name: str) -> None:
    missing = load_backend(name).missing()
    if missing:
        pytest.skip(f"{name}: {missing}")


Build = Callable[[str, str, str | Path], Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """build(backend, scheme, model) -> the bundle for a Raspberry Pi 4."""

    def make(backend: str, scheme: str, model: str | Path) -> Path:
        return api.build("rpi4", str(model), scheme=scheme, backend=backend, out=tmp_path).bundle.path

    return make


@pytest.fixture
def tiny(checkpoint_of: Callable[..., Path]) -> Path:
    """A checkpoint of two small layers: under an emulator, the size is the time."""
    return checkpoint_of("minilm")


def arguments() -> list[str]:
    return ["-m", "edgeslm_device", "run", *(part for text in TEXTS for part in ("--text", text)), "--json"]


def run_on_pi(bundle: Path, site: str, cache: Path, core: str = "cortex-a72") -> NDArray[np.float32]:
    """What the bundle's own device package answers there: Python imports it out of the bundle itself."""
    env = {"EDGESLM_DEVICE_CACHE": str(cache)}
    return embeddings(run_python(core, arguments(), site=site, env=env, path=[bundle]).stdout)


def run_here(bundle: Path, cache: Path) -> NDArray[np.float32]:
    env: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(bundle), "EDGESLM_DEVICE_CACHE": str(cache)}
    done = subprocess.run([sys.executable, *arguments()], env=env, stdout=subprocess.PIPE, text=True, check=True)
    return embeddings(done.stdout)


def embeddings(document: str) -> NDArray[np.float32]:
    results: list[dict[str, Any]] = json.loads(document)["results"]
    assert [result["text"] for result in results] == list(TEXTS)
    return np.array([result["embedding"] for result in results], np.float32)


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    product: NDArray[np.float32] = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return product


@pytest.mark.parametrize(
    ("backend", "scheme"),
    [
        ("tflite", "fp32"),
        ("openvino", "int8"),
        # What stays in floats at int8 is computed above; whole models of floats, test_language.py's text.
        pytest.param("openvino", "fp32", marks=pytest.mark.deep),
    ],
)
def test_a_bundle_gives_the_numbers_of_x86(backend: str, scheme: str, build: Build, tiny: Path, tmp_path: Path) -> None:
    require_backend(backend)
    bundle = build(backend, scheme, tiny)
    there = run_on_pi(bundle, SITES[backend], tmp_path / "pi")
    np.testing.assert_allclose(there, run_here(bundle, tmp_path / "x86"), atol=TOLERANCE)
    assert cosines(there[:1], there[1:2]).item() < 0.999  # the texts are told apart at all


@pytest.mark.usefixtures("tflite")
@pytest.mark.parametrize("core", [pytest.param("cortex-a53", marks=pytest.mark.deep), "cortex-a76"])
def test_older_and_newer_cores_run_the_same_bundle(core: str, build: Build, tiny: Path, tmp_path: Path) -> None:
    """The cores of a Raspberry Pi 3 and Zero 2 W, and of a 5; LiteRT has other kernels for each. The older one has the
    instructions of a Pi 4's, on which the other tests run."""
    bundle = build("tflite", "int8", tiny)
    there = run_on_pi(bundle, "litert", tmp_path / "pi", core)
    np.testing.assert_allclose(there, run_here(bundle, tmp_path / "x86"), atol=TOLERANCE)


@pytest.mark.parametrize("backend", ["tflite", pytest.param("openvino", marks=pytest.mark.deep)])
def test_the_demo_model_in_int8_is_the_model_of_x86(backend: str, build: Build, tmp_path: Path) -> None:
    require_backend(backend)
    bundle = build(backend, "int8", "demo")
    there, here = run_on_pi(bundle, SITES[backend], tmp_path / "pi"), run_here(bundle, tmp_path / "x86")
    assert there.shape == (len(TEXTS), 384)
    assert cosines(there, here).min() >= 0.999
    assert cosines(there[:1], there[1:2]).item() < 0.9


@pytest.mark.usefixtures("tflite")
class TestTfliteRuntime:
    """tflite_runtime 2.14, the last of its name: what older Raspberry Pi images carry."""

    def test_a_float_encoder_runs(self, build: Build, tiny: Path, tmp_path: Path) -> None:
        bundle = build("tflite", "fp32", tiny)
        there = run_on_pi(bundle, "tflite", tmp_path / "pi")
        np.testing.assert_allclose(there, run_here(bundle, tmp_path / "x86"), atol=TOLERANCE)

    @pytest.mark.parametrize("scheme", ["int8", pytest.param("int8-weight-only", marks=pytest.mark.deep)])
    def test_what_it_would_compute_wrongly_it_refuses(
        self, scheme: str, build: Build, tiny: Path, tmp_path: Path
    ) -> None:
        """It knows one scale where we have one per channel or row, and would answer nonsense."""
        bundle = build("tflite", scheme, tiny)
        with pytest.raises(RuntimeError, match="pip install ai-edge-litert"):
            run_on_pi(bundle, "tflite", tmp_path / "pi")
