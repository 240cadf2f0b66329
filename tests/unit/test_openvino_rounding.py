"""Rounding of weights: bounds on the error, exact zeros, packing, and that error feedback earns its time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgeslm.backends.openvino.feedback import round_with_feedback
from edgeslm.backends.openvino.rounding import pack_nibbles, pad_columns, round_blocks, round_rows

Floats = NDArray[np.float32]
GROUP = 32


def matrices(multiple: int = 1) -> st.SearchStrategy[Floats]:
    return st.tuples(st.integers(1, 6), st.integers(1, 4)).flatmap(
        lambda sides: hnp.arrays(
            np.float32, (sides[0], sides[1] * multiple), elements=st.floats(-4, 4, width=16).map(float)
        )
    )


def ranges(blocks: Floats) -> Floats:
    """Width of each block's range with zero in it, along the last axis."""
    width: Floats = np.maximum(blocks.max(-1), 0) - np.minimum(blocks.min(-1), 0)
    return width


@given(matrices())
def test_rows_keep_within_a_step(weights: Floats) -> None:
    error = np.abs(round_rows(weights).floats() - weights)
    # Half a step for the weight, half for the zero point, and what float16 takes from the scale over 255 steps.
    assert (error <= (ranges(weights) / 255 * 1.3 + 2e-5)[:, None]).all()


@given(matrices(GROUP))
def test_blocks_are_no_worse_than_plain_minimum_and_maximum(weights: Floats) -> None:
    blocks = weights.reshape(-1, GROUP)
    steps = np.maximum(ranges(blocks) / 15, 1e-7)[:, None]
    zeros = np.rint(-np.minimum(blocks.min(-1, keepdims=True), 0) / steps)
    plain = (np.clip(np.rint(blocks / steps) + zeros, 0, 15) - zeros) * steps
    searched = round_blocks(weights, GROUP).floats().reshape(-1, GROUP)
    allowed = np.sum((plain - blocks) ** 2, axis=1) * 1.05 + 1e-5 * ranges(blocks) ** 2 + 1e-9
    assert (np.sum((searched - blocks) ** 2, axis=1) <= allowed).all()


@given(matrices(GROUP))
def test_zero_stays_zero(weights: Floats) -> None:
    weights = weights.copy()
    weights[:, ::3] = 0
    assert (round_rows(weights).floats()[:, ::3] == 0).all()
    assert (round_blocks(weights, GROUP).floats()[:, ::3] == 0).all()


@given(matrices(), st.integers(2, 40))
def test_padding_fills_the_last_block_with_zeros(weights: Floats, group: int) -> None:
    padded = pad_columns(weights, group)
    assert padded.shape[1] % group == 0
    assert padded.shape[1] - weights.shape[1] < group
    assert np.array_equal(padded[:, : weights.shape[1]], weights)
    assert not padded[:, weights.shape[1] :].any()


@given(hnp.arrays(np.uint8, st.integers(0, 33), elements=st.integers(0, 15)))
def test_nibbles_can_be_unpacked(codes: NDArray[np.uint8]) -> None:
    packed = pack_nibbles(codes)
    assert packed.dtype == np.uint8
    assert packed.size == -(-codes.size // 2)
    unpacked = np.stack([packed & 15, packed >> 4], axis=1).ravel()
    assert np.array_equal(unpacked[: codes.size], codes)


@pytest.mark.parametrize("size", [1e-7, 1e-4, 1.0, 1e4])
def test_weights_of_any_size(size: float) -> None:
    weights = (np.random.default_rng(0).standard_normal((4, 64)) * size).astype(np.float32)
    for rounded, limit in ((round_rows(weights), 0.02), (round_blocks(weights, GROUP), 0.12)):
        error = np.linalg.norm(rounded.floats() - weights) / np.linalg.norm(weights)
        assert np.isfinite(rounded.floats()).all()
        if size >= 1e-4:  # below, float16 has no scale that small
            assert error < limit


def correlated_inputs(columns: int) -> Floats:
    """Rows that differ little from combinations of a few: as a layer's inputs do."""
    random = np.random.default_rng(1)
    directions = random.standard_normal((6, columns))
    rows = random.standard_normal((400, 6)) @ directions + 0.1 * random.standard_normal((400, columns))
    return rows.astype(np.float32)


@pytest.mark.parametrize("group", [GROUP, None])
def test_feedback_lowers_the_error_of_what_comes_out(group: int | None) -> None:
    weights = np.random.default_rng(0).standard_normal((24, 192)).astype(np.float32)
    inputs = correlated_inputs(192)
    plain = round_rows(weights) if group is None else round_blocks(weights, group)
    fed = round_with_feedback(weights, (inputs.T @ inputs).astype(np.float64), group)
    assert fed.codes.shape == plain.codes.shape
    assert fed.scales.shape == plain.scales.shape

    def error(floats: Floats) -> float:
        return float(np.linalg.norm(inputs @ (floats - weights).T))

    assert error(fed.floats()) < 0.7 * error(plain.floats())


@settings(max_examples=25, deadline=None)
@given(matrices(GROUP), st.integers(0, 3))
def test_feedback_survives_any_moments(weights: Floats, samples: int) -> None:
    """None or few samples, inputs that are always zero: weights stay finite and near."""
    columns = weights.shape[1]
    inputs = np.random.default_rng(samples).standard_normal((samples, columns))
    inputs[:, ::2] = 0
    rounded = round_with_feedback(weights, inputs.T @ inputs, GROUP).floats()
    assert np.isfinite(rounded).all()
    assert np.abs(rounded - weights).max() <= 4 * ranges(weights.reshape(1, -1)).max() + 1e-6


def test_feedback_leaves_added_columns_at_zero() -> None:
    weights = pad_columns(np.random.default_rng(0).standard_normal((3, 40)).astype(np.float32), GROUP)
    inputs = correlated_inputs(40)
    moments = np.pad((inputs.T @ inputs).astype(np.float64), (0, 24))
    assert not round_with_feedback(weights, moments, GROUP).floats()[:, 40:].any()
