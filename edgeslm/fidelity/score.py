"""The compiled model against PyTorch, sample by sample, run by the very package that travels to the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import CompiledModel, OnnxModel, OutputScore, Samples
from edgeslm.errors import InternalError
from edgeslm.formats.description import describe_model
from edgeslm.formats.samples import read_samples

if TYPE_CHECKING:
    from edgeslm.device.runner import Engine

THREADS = 2  # fixed: another number of threads adds in another order, and the bundle's bytes hold the scores
COSINE_STEPS = 1_000_000  # to 1: six decimals
LABELLED = ("classification", "token-classification")
NOT_FINITE = float(np.finfo(np.float32).max)
"""Stands for an infinite or undefined error, which JSON cannot hold."""


@dataclass(frozen=True)
class Scores:
    """What was measured, before any gate judges it."""

    texts: str
    samples: int
    outputs: tuple[OutputScore, ...]


OpenEngine = Callable[[CompiledModel], "Engine"]
"""Opens what runs a compiled model, where that is no runtime of the device package."""


def score_model(
    compiled: CompiledModel,
    onnx: OnnxModel,
    scoring: Samples,
    reference: Samples,
    open_engine: OpenEngine | None = None,
) -> Scores:
    """Run every scoring sample and compare each output with the reference's. Samples are unpadded; the runner pads."""
    from edgeslm.device.runner import Runner, open_runner

    inputs, expected = read_samples(scoring.path), read_samples(reference.path)
    if not inputs or len(inputs) != len(expected):
        raise InternalError(f"{len(inputs)} scoring samples, but {len(expected)} reference answers")
    described = describe_model(compiled, onnx)
    runner = Runner(described, open_engine(compiled)) if open_engine else open_runner(described, compiled.root, THREADS)
    try:
        answers = [runner.run(sample) for sample in inputs]
    finally:
        runner.close()
    labelled = onnx.task in LABELLED
    outputs = tuple(
        score_output(name, [answer[name] for answer in expected], [answer[name] for answer in answers], labelled)
        for name in (spec.name for spec in onnx.outputs)
    )
    return Scores(scoring.described, len(inputs), outputs)


def score_output(
    name: str, expected: Sequence[NDArray[Any]], got: Sequence[NDArray[Any]], labelled: bool
) -> OutputScore:
    """Scores of one output over all samples; `expected[i]` and `got[i]` have the same shape.

    `labelled`: the last axis holds the scores of labels, so that the share of equal best labels means something
    (of texts, or of tokens where there are scores for each token).
    """
    for number, (one, other) in enumerate(zip(expected, got, strict=True)):
        if one.shape != other.shape:
            raise InternalError(f"output {name} of sample {number} has shape {other.shape}, PyTorch's has {one.shape}")
    cosines = [cosine(one, other) for one, other in zip(expected, got, strict=True)]
    errors = [max_abs_error(one, other) for one, other in zip(expected, got, strict=True)]
    agreement = label_agreement(expected, got) if labelled and expected[0].shape[-1] > 1 else None
    return OutputScore(
        output=name,
        cosine_min=round_down(min(cosines)),
        cosine_mean=round_down(sum(cosines) / len(cosines)),
        max_abs_error=round_significant(max(errors)),
        label_agreement=None if agreement is None else round_down(agreement),
    )


def cosine(expected: NDArray[Any], got: NDArray[Any]) -> float:
    """Cosine of the flattened arrays in [-1, 1]. -1 where either is not finite, so that every gate misses;
    two zero arrays agree (1), a zero array and another do not (0)."""
    one, other = expected.astype(np.float64).ravel(), got.astype(np.float64).ravel()
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return -1.0
    # Scaling first keeps the squares of very large and very small values within range.
    peaks = np.abs(one).max(initial=0.0), np.abs(other).max(initial=0.0)
    if 0.0 in peaks:
        return 1.0 if peaks == (0.0, 0.0) else 0.0
    one, other = one / peaks[0], other / peaks[1]
    value = float(one @ other / (math.sqrt(one @ one) * math.sqrt(other @ other)))
    return max(-1.0, min(1.0, value))


def max_abs_error(expected: NDArray[Any], got: NDArray[Any]) -> float:
    with np.errstate(invalid="ignore"):
        error = float(np.abs(expected.astype(np.float64) - got.astype(np.float64)).max(initial=0.0))
    return min(error, NOT_FINITE) if math.isfinite(error) else NOT_FINITE


def label_agreement(expected: Sequence[NDArray[Any]], got: Sequence[NDArray[Any]]) -> float:
    """Share of equal best labels along the last axis, over all samples (and tokens) together."""
    same = np.concatenate(
        [np.ravel(one.argmax(-1) == other.argmax(-1)) for one, other in zip(expected, got, strict=True)]
    )
    return float(same.mean())


def round_down(value: float) -> float:
    """To six decimals, never up: a gate is not passed by rounding. Less than 1e-9 below a step counts as the step,
    because float64 sums of equal vectors end a few ulps short of 1."""
    return math.floor(value * COSINE_STEPS + 1e-3) / COSINE_STEPS


def round_significant(value: float) -> float:
    """To three significant digits."""
    return float(f"{value:.2e}")
