"""A compiled net against the reference for int8: every number, on random inputs and on the ends of what there is.

There is no PyTorch behind a net that came quantized. What must be the same is what its file means: TensorFlow Lite
Micro's arithmetic, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Fidelity, Gate, OutputScore, TensorSpec
from edgeslm.fidelity.score import Scores, cosine, max_abs_error, round_down, round_significant

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Run: TypeAlias = Callable[[Arrays], Arrays]
REFERENCE = "edgeslm's reference for int8, which computes TensorFlow Lite Micro's bits in numpy (GELU: LiteRT's)"
SAMPLES = 16
ENDS = 4
"""Of them, those that are no random numbers: all least, all greatest, both mixed, a ramp."""
DESCRIBED = f"{SAMPLES - ENDS} random inputs, {ENDS} of the ends of their types"
GATE = "identical numbers"


def score_net(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], compiled: Run, reference: Run) -> Scores:
    """Run every sample by both."""
    given = [sample(inputs, number) for number in range(SAMPLES)]
    made, wanted = [compiled(one) for one in given], [reference(one) for one in given]
    scores = [
        _score(spec.name, [one[spec.name] for one in wanted], [one[spec.name] for one in made]) for spec in outputs
    ]
    return Scores(DESCRIBED, SAMPLES, tuple(scores))


def judge_net(scores: Scores) -> Fidelity:
    """The one gate: all numbers of all outputs are the same."""
    share = min(score.identical or 0.0 for score in scores.outputs)
    gate = Gate(GATE, share, 1.0, share >= 1.0)
    return Fidelity(scores.texts, scores.samples, scores.outputs, (gate,), reference=REFERENCE)


def sample(inputs: Sequence[TensorSpec], number: int) -> dict[str, NDArray[Any]]:
    """Inputs of the net: ids that name rows, floats a little beyond what their int8 stand for."""
    random = np.random.default_rng(number)
    return {spec.name: _numbers(spec, number, random) for spec in inputs}


def _numbers(spec: TensorSpec, number: int, random: np.random.Generator) -> NDArray[Any]:
    if spec.dtype == "float32":
        return (random.standard_normal(spec.shape) * 10.0 ** random.integers(-2, 3)).astype(np.float32)
    if spec.dtype == "bool":
        return random.integers(0, 2, spec.shape).astype(bool)
    limits = np.iinfo(spec.dtype)
    least, most = (limits.min, limits.max) if spec.ids is None else (0, spec.ids - 1)
    if number < 2:
        return np.full(spec.shape, (least, most)[number], spec.dtype)
    if number == 2:
        return random.choice(np.array([least, most], spec.dtype), spec.shape)
    if number == 3:
        ramp = np.arange(int(np.prod(spec.shape)), dtype=np.int64) % (most - least + 1) + least
        return ramp.astype(spec.dtype).reshape(spec.shape)
    return random.integers(least, most + 1, spec.shape, dtype=np.int64).astype(spec.dtype)


def _score(name: str, wanted: Sequence[NDArray[Any]], made: Sequence[NDArray[Any]]) -> OutputScore:
    cosines = [cosine(one, other) for one, other in zip(wanted, made, strict=True)]
    errors = [max_abs_error(one, other) for one, other in zip(wanted, made, strict=True)]
    return OutputScore(
        output=name,
        cosine_min=round_down(min(cosines)),
        cosine_mean=round_down(sum(cosines) / len(cosines)),
        max_abs_error=round_significant(max(errors)),
        identical=_share(wanted, made),
    )


def _share(wanted: Sequence[NDArray[Any]], made: Sequence[NDArray[Any]]) -> float:
    """Of numbers with the same bits; 1 only where all are."""
    same = [_bits(one) == _bits(other) for one, other in zip(wanted, made, strict=True)]
    share = float(np.concatenate(same).mean())
    return share if all(one.all() for one in same) else min(round_down(share), 1 - 1e-6)


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values).reshape(-1).view(f"u{values.dtype.itemsize}")
