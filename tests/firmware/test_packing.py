"""Packed matrices: what was packed comes out again, in as many bytes as were planned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.packing import CacheFormat, Layout

layouts = st.sampled_from(Layout)
sizes = st.integers(1, 70)


@given(layouts, sizes, sizes, st.booleans(), st.integers(0, 2**32 - 1))
def test_int8_comes_out_again(layout: Layout, rows: int, columns: int, biased: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.integers(-127, 128, (rows, columns)).astype(np.int8)
    scales, biases = random.random(rows).astype(np.float32), random.integers(-9, 9, rows).astype(np.int32)
    packed = packing.pack_i8(weights, scales, layout, biases if biased else None)
    assert len(packed) == packing.packed_bytes_i8(rows, columns, layout, bias=biased)
    again, scales_again, biases_again = packing.unpack_i8(
        packed, rows, columns, layout, bias=np.int32 if biased else None
    )
    np.testing.assert_array_equal(again, weights)
    np.testing.assert_array_equal(scales_again, scales)
    if biased:
        np.testing.assert_array_equal(biases_again, biases)
    row = seed % rows
    np.testing.assert_array_equal(
        packing.row_i8(packed, row, columns, layout, bias=biased), weights[row].astype(np.float32) * scales[row]
    )


@given(layouts, sizes, sizes, st.sampled_from([16, 32]), st.booleans(), st.integers(0, 2**32 - 1))
def test_int4_comes_out_again(layout: Layout, rows: int, columns: int, group: int, biased: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.integers(-8, 8, (rows, columns)).astype(np.int8)
    scales = random.random((rows, -(-columns // group))).astype(np.float16)
    biases = random.random(rows).astype(np.float32)
    packed = packing.pack_i4(weights, scales, group, layout, biases if biased else None)
    assert len(packed) == packing.packed_bytes_i4(rows, columns, group, bias=biased)
    again, scales_again, biases_again = packing.unpack_i4(
        packed, rows, columns, group, layout, bias=np.float32 if biased else None
    )
    np.testing.assert_array_equal(again, weights)
    np.testing.assert_array_equal(scales_again, scales)
    if biased:
        np.testing.assert_array_equal(biases_again, biases)
    row = seed % rows
    exact = weights[row].astype(np.float32) * scales[row].astype(np.float32).repeat(group)[:columns]
    np.testing.assert_array_equal(packing.row_i4(packed, row, columns, group, layout, bias=biased), exact)


@given(sizes, sizes, st.booleans())
def test_float32_comes_out_again(rows: int, columns: int, biased: bool) -> None:
    weights = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    biases = np.arange(rows, dtype=np.float32)
    packed = packing.pack_f32(weights, biases if biased else None)
    assert len(packed) == packing.packed_bytes_f32(rows, columns, bias=biased)
    again, biases_again = packing.unpack_f32(packed, rows, columns, bias=biased)
    np.testing.assert_array_equal(again, weights)
    if biased:
        np.testing.assert_array_equal(biases_again, biases)


@given(st.floats(1e-9, 100))
def test_a_multiplier_is_what_it_stands_for(value: float) -> None:
    multiplier, shift = packing.quantized_multiplier(value)
    assert 2**30 <= multiplier < 2**31
    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(value, rel=1e-9)


def test_weights_of_minus_128_are_refused() -> None:
    with pytest.raises(ValueError, match="symmetric"):
        packing.pack_i8(np.full((1, 4), -128, np.int8), np.ones(1, np.float32), Layout.PAIRS)


def test_buffers_are_as_large_as_the_header_says() -> None:
    assert packing.quantized_bytes(172, Layout.PAIRS) == 8 + 2 * 172
    assert packing.quantized_bytes(172, Layout.VECTORS) == 8 + 176
    assert packing.quantized_bytes(172, Layout.ROWS, 16) == 8 + 176 + 4 * 11
    assert packing.cache_bytes(4, 512, 8, CacheFormat.FLOAT32) == 65536
    assert packing.cache_bytes(3, 5, 7, CacheFormat.INT8) == 108 + 4 * 15
