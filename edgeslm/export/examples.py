"""Random inputs shaped like a plain module's example inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Checkpoint, Samples
from edgeslm.digest import file_digest
from edgeslm.export.plain_module import load_plain_module
from edgeslm.formats.samples import write_samples


def example_samples(checkpoint: Checkpoint, count: int, seed: int, out: Path) -> Samples:
    """`count` samples drawn from the examples' own range: floats as normal with their mean and deviation, integers
    evenly between their least and greatest value (ids stay valid), booleans evenly."""
    examples = {name: value.numpy() for name, value in load_plain_module(checkpoint.source).examples.items()}
    random = np.random.default_rng(seed)
    samples = [{name: _like(random, array) for name, array in examples.items()} for _ in range(count)]
    path = out / "samples.npz"
    write_samples(path, samples)
    return Samples(out, file_digest(path), f"{count} random inputs like the example (seed {seed})", count)


def _like(random: np.random.Generator, example: NDArray[Any]) -> NDArray[Any]:
    if example.dtype == np.bool_:
        return random.integers(0, 2, example.shape).astype(np.bool_)
    if np.issubdtype(example.dtype, np.integer):
        return random.integers(int(example.min()), int(example.max()) + 1, example.shape).astype(example.dtype)
    deviation = float(example.std()) if example.size > 1 else 1.0
    return (float(example.mean()) + (deviation or 1.0) * random.standard_normal(example.shape)).astype(example.dtype)
