"""What flows into each matrix product over calibration samples: second moments, range, and a few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.installed import import_openvino

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

Moments = NDArray[np.float64]
Source = tuple[Any, int, list[str]]
"""What several products read: the value, its width, and the names of their weights."""
SAMPLES_AT_ONCE = 16  # one product over the rows of several samples costs far less than one of each
EXAMPLES = 3  # rows of a sample that are kept
BYTES_AT_ONCE = 1 << 29  # of moments held while the samples run: a BERT-base needs two runs


@dataclass(frozen=True)
class Seen:
    """What flows into a weight's products: xᵀx [columns, columns], summed over `rows` rows x, each counted as its
    sample is. `low`, `high`: the least and the largest x of each column; `examples` are some of the rows, and `counts`
    how much each of those stands for."""

    moments: Moments
    rows: float
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    examples: NDArray[np.float32]
    counts: NDArray[np.float32]

    def joined(self, other: Seen) -> Seen:
        return Seen(
            self.moments + other.moments,
            self.rows + other.rows,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            np.concatenate([self.examples, other.examples]),
            np.concatenate([self.counts, other.counts]),
        )


def input_moments(
    model: openvino.Model,
    weights: Mapping[str, Any],
    samples: Sequence[Mapping[str, NDArray[Any]]],
    counts: Sequence[float] | None = None,
) -> dict[str, Seen]:
    """By the name of a weight, over all rows that its MatMul reads. `counts`: how much the rows of each sample count,
    1 unless given.

    `weights`: the constants to look at; those that no MatMul has as its second factor are left out.
    """
    sources: dict[tuple[str, int], Source] = {}
    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "MatMul" or operation.get_attributes()["transpose_a"]:
            continue
        left, right = operation.input_value(0), operation.input_value(1).get_node()
        name, rank = right.get_friendly_name(), left.get_partial_shape().rank
        if name not in weights or rank.is_dynamic or left.get_partial_shape()[rank.get_length() - 1].is_dynamic:
            continue
        width = left.get_partial_shape()[rank.get_length() - 1].get_length()
        key = (left.get_node().get_friendly_name(), left.get_index())
        sources.setdefault(key, (left, width, []))[2].append(name)
    found: dict[str, Seen] = {}
    batch: list[Source] = []
    for source in sources.values():
        if batch and sum(8 * width * width for _, width, _ in [*batch, source]) > BYTES_AT_ONCE:
            _add_moments(found, model, batch, samples, counts)
            batch = []
        batch.append(source)
    if batch:
        _add_moments(found, model, batch, samples, counts)
    return found


def _add_moments(
    found: dict[str, Seen],
    model: openvino.Model,
    sources: Sequence[Source],
    samples: Sequence[Mapping[str, NDArray[Any]]],
    counts: Sequence[float] | None,
) -> None:
    openvino = import_openvino()
    probe = openvino.Model([left for left, _, _ in sources], model.get_parameters())
    # Sums end differently with another number of threads, and the same samples must give the same weights.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 2}
    request = openvino.Core().compile_model(probe, "CPU", settings).create_infer_request()
    sums = [np.zeros((width, width)) for _, width, _ in sources]
    many = [0.0 for _ in sources]
    ends = [(np.zeros(width, np.float32), np.zeros(width, np.float32)) for _, width, _ in sources]
    examples: list[list[NDArray[np.float32]]] = [[] for _ in sources]
    stand_for: list[list[float]] = [[] for _ in sources]
    waiting: list[list[NDArray[np.float32]]] = [[] for _ in sources]
    for number, sample in enumerate(samples, start=1):
        results = request.infer(dict(sample))
        for place, (_, width, _) in enumerate(sources):
            rows = np.array(results[place], dtype=np.float32).reshape(-1, width)
            low, high = ends[place]
            ends[place] = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
            count = 1.0 if counts is None else counts[number - 1]
            picked = np.unique(np.linspace(0, len(rows) - 1, EXAMPLES).round().astype(int))
            examples[place].append(rows[picked])
            stand_for[place] += [count * len(rows) / len(picked)] * len(picked)
            many[place] += count * len(rows)
            waiting[place].append(rows * np.float32(count**0.5))
        if number % SAMPLES_AT_ONCE == 0 or number == len(samples):
            for place, blocks in enumerate(waiting):
                block = np.concatenate(blocks)
                sums[place] += block.T @ block
                blocks.clear()
    for place, (_, _, names) in enumerate(sources):
        seen = Seen(
            sums[place],
            many[place],
            *ends[place],
            np.concatenate(examples[place]),
            np.array(stand_for[place], np.float32),
        )
        for name in names:  # a weight that several layers share sees the inputs of all of them
            found[name] = found[name].joined(seen) if name in found else seen
