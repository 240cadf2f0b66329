"""Whether a lowered model still computes what its ONNX graphs do, on random inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import OnnxModel, TensorSpec

CLOSE = 1e-3
"""Largest difference allowed, as a share of an output's largest value: conversion keeps 1e-6, mistakes are far off."""
LARGEST_ID = 64  # ids below this are in every vocabulary


def same_results(model: OnnxModel, path: Path, signatures: Mapping[int, str]) -> bool:
    """Compare the shortest and the longest graph: a wrong conversion is wrong at every length."""
    return all(_same(model, path, length, signatures[length]) for length in sorted({min(signatures), max(signatures)}))


def random_inputs(specs: tuple[TensorSpec, ...], length: int) -> dict[str, NDArray[Any]]:
    """A text of two thirds of the length with padding behind it, or whatever a plain module takes."""
    generator = np.random.default_rng(length)
    inputs: dict[str, NDArray[Any]] = {}
    for spec in specs:
        shape = [length if extent == -1 else extent for extent in spec.shape]
        if spec.dtype.startswith("float"):
            inputs[spec.name] = generator.standard_normal(shape).astype(spec.dtype)
        elif length and spec.name == "attention_mask":
            inputs[spec.name] = np.broadcast_to(np.arange(shape[-1]) < max(1, 2 * length // 3), shape).astype(
                spec.dtype
            )
        else:
            inputs[spec.name] = generator.integers(0, LARGEST_ID if spec.name == "input_ids" else 2, shape).astype(
                spec.dtype
            )
    return inputs


def _same(model: OnnxModel, path: Path, length: int, signature: str) -> bool:
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # the package has no types

    inputs = random_inputs(model.inputs, length)
    names = [spec.name for spec in model.outputs]
    session = onnxruntime.InferenceSession(str(model.path(length)), providers=["CPUExecutionProvider"])
    wanted = session.run(names, inputs)
    made = Interpreter(model_path=str(path), num_threads=2).get_signature_runner(signature)(**inputs)
    return all(_close(expected, made[name]) for name, expected in zip(names, wanted, strict=True))


def _close(expected: NDArray[Any], got: NDArray[Any]) -> bool:
    limit = CLOSE * max(float(np.abs(expected).max(initial=0.0)), 1e-6)
    return expected.shape == got.shape and bool((np.abs(expected - got) <= limit).all())
