"""Rounding weights: error feedback is better where it counts, and never worse than it may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.quantize import feedback, symmetric
from edgeslm.quantize.feedback import feedback_factor
from edgeslm.quantize.symmetric import (
    DAMPING,
    LARGEST,
    Floats,
    Rounded,
    round_with_feedback,
    rounding_error,
    search_scales,
)


def matrix(rows: int, columns: int, seed: int) -> Floats:
    values: Floats = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    return values


def factor(moments: Floats) -> Floats:
    return feedback_factor(moments, DAMPING)


def correlated(rows: int, columns: int, seed: int) -> Floats:
    """Inputs of a few directions mostly, as activations are."""
    directions = matrix(rows, 4, seed) @ matrix(4, columns, seed + 1)
    return directions + matrix(rows, columns, seed + 2) * np.float32(0.1)


def expand(rounded: Rounded, group: int | None) -> Floats:
    codes = rounded.codes.astype(np.float32)
    blocks = codes.reshape(len(codes), -1, group or codes.shape[1])
    values: Floats = (blocks * rounded.scales[:, :, None]).reshape(codes.shape)
    return values


def row_scales(weights: Floats, bits: int) -> Floats:
    scales: Floats = np.abs(weights).max(axis=1, keepdims=True) / np.float32(LARGEST[bits])
    return scales


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.sampled_from([1, 5, 32, 130]), st.integers(0, 1000))
def test_codes_are_in_range_and_errors_bounded(rows: int, columns: int, seed: int) -> None:
    weights = matrix(rows, columns, seed)
    moments = np.eye(columns, dtype=np.float32)
    rounded = round_with_feedback(weights, np.diagonal(moments), factor(moments), 8, rows=row_scales(weights, 8))
    assert np.abs(rounded.codes.astype(int)).max() <= 127
    # Without correlations there is nothing to make good for: plain rounding.
    assert (np.abs(expand(rounded, None) - weights) <= rounded.scales / 2 + 1e-6).all()


@pytest.mark.parametrize(("bits", "group"), [(8, None), (4, 32)])
def test_feedback_lessens_the_error_of_what_comes_out(bits: int, group: int | None) -> None:
    weights, inputs = matrix(24, 128, 1), correlated(400, 128, 2)
    moments = inputs.T @ inputs
    rows = None if group else row_scales(weights, bits)
    fed = round_with_feedback(weights, np.diagonal(moments), factor(moments), bits, group=group, rows=rows)
    eye = np.eye(128, dtype=np.float32)
    plain = round_with_feedback(weights, np.diagonal(eye), factor(eye), bits, group=group, rows=rows)

    def error(rounded: Rounded) -> float:
        return float(np.square(inputs @ (expand(rounded, group) - weights).T).sum())

    assert error(fed) < 0.6 * error(plain)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-6, 1e4))
def test_searched_scales_are_no_worse_than_the_largest_weights(seed: int, size: float) -> None:
    block = matrix(6, 32, seed) * np.float32(size)
    plain = np.abs(block).max(axis=1, keepdims=True) / 7

    def error(scales: Floats) -> Floats:
        stored = scales.astype(np.float16).astype(np.float32)
        stored = np.maximum(stored, np.float32(6e-8))
        wrong: Floats = np.square(np.clip(np.rint(block / stored), -8, 7) * stored - block).sum(axis=1)
        return wrong

    scales = search_scales(block, 4)
    assert (scales == scales.astype(np.float16)).all()
    assert (error(scales) <= error(plain) * 1.0001).all()


def test_rows_are_searched_alike_however_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    block, importance = matrix(50, 64, 4), np.square(matrix(1, 64, 5))[0]
    together = search_scales(block, 4, importance)
    monkeypatch.setattr(symmetric, "AT_ONCE", 1)
    assert (search_scales(block, 4, importance) == together).all()


def test_choices_for_one_tensor_share_a_factor_as_long_as_its_moments_are_there() -> None:
    inputs = correlated(40, 64, 6)
    moments = inputs.T @ inputs
    first = factor(moments)
    moments[0] *= 2  # may change, so nothing is kept
    moments[:, 0] *= 2
    changed = factor(moments)
    assert not np.allclose(first, changed)
    moments.flags.writeable = False
    kept = factor(moments)
    assert factor(moments) is kept
    assert (kept == changed).all()
    assert feedback_factor(moments, 2 * DAMPING) is not kept
    del moments
    assert not feedback._last


def test_weights_of_zero_stay_zero() -> None:
    zeros = np.zeros((3, 64), dtype=np.float32)
    moments = np.zeros((64, 64), dtype=np.float32)  # inputs that were always zero
    rounded = round_with_feedback(zeros, np.diagonal(moments), factor(moments), 4, group=32)
    assert not rounded.codes.any()
    assert np.isfinite(rounded.scales).all()


def test_the_estimate_of_rounding_counts_padded_blocks() -> None:
    weights = matrix(8, 40, 3)
    importance = np.ones(40, dtype=np.float32)
    coarse, fine = (rounding_error(weights, importance, bits, 32) for bits in (4, 8))
    assert 0 < fine < coarse / 50
