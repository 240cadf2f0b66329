"""Static ranges: what a limit loses by rounding and by saturation, against trying it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeslm.quantize.ranges import BIN_SHIFT, BINS, greatest_magnitude, least_error_magnitude, static_limit

Floats = NDArray[np.float32]


def counts_of(values: Floats) -> NDArray[np.int64]:
    return np.bincount(np.abs(values).view(np.uint32) >> BIN_SHIFT, minlength=BINS)


def error(values: Floats, limit: float) -> float:
    step = limit / 127
    stored = np.clip(np.rint(values / step), -128, 127) * step
    return float(np.square(values - stored).mean())


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.sampled_from([0, 1, 20]))
def test_no_other_limit_loses_much_less(seed: int, size: float, outliers: int) -> None:
    random = np.random.default_rng(seed)
    values = (random.standard_normal(4000) * size).astype(np.float32)
    values[:outliers] *= np.float32(30)
    counts = counts_of(values)
    greatest, limit = greatest_magnitude(counts), least_error_magnitude(counts)
    assert np.abs(values).max() <= greatest <= np.abs(values).max() * 1.04
    assert 0 < limit <= greatest
    for other in np.geomspace(greatest / 100, greatest, 40):
        assert error(values, limit) <= 1.05 * error(values, float(other))


def test_a_lone_outlier_is_not_what_a_range_is_for() -> None:
    values = np.append(np.random.default_rng(0).standard_normal(100_000), 8).astype(np.float32)
    assert least_error_magnitude(counts_of(values)) < 6


def test_heavy_tails_get_no_range() -> None:
    """Products of two normal numbers and a gate are such; normal numbers are not."""
    random = np.random.default_rng(0)
    normal = random.standard_normal(100_000).astype(np.float32)
    limit = static_limit(counts_of(normal))
    assert limit == least_error_magnitude(counts_of(normal))
    assert static_limit(counts_of((normal**3 * random.standard_normal(100_000)).astype(np.float32))) is None


@pytest.mark.parametrize("values", [[], [0.0, 0.0]])
def test_nothing_but_zeros(values: list[float]) -> None:
    counts = counts_of(np.array(values, np.float32))
    assert greatest_magnitude(counts) == 0
    assert least_error_magnitude(counts) == static_limit(counts) == 0


def test_one_number_is_its_own_limit() -> None:
    counts = counts_of(np.array([3.0, 0.0], np.float32))
    assert 3.0 <= least_error_magnitude(counts) < 3.1
