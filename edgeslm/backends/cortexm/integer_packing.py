"""What the C kernels of static int8 graphs are given: matrices, tables, sizes of scratch, strides of broadcasts.

`firmware_templates/kernels/edgeslm_integers.h` says what kernels do with them. Sizes are bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.packed_blocks import BLOCK, Layout, head_of, pack_blocks, padded
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import UnsupportedError
from edgeslm.ir.fixed_point import Multiplier, exp_negative, scaled
from edgeslm.ir.graph import Tensor
from edgeslm.ir.requantize import SOFTMAX_BITS, SumScaling, softmax_scaling

MOST_PAIRED_COLUMNS = 512
"""Of rows that share loads of weights in pairs: odd rows' sums have 23 bits."""
MOST_SHIFT = 22
"""To the right: 8 bits of the zero point have their place above."""
MOST_SOFTMAX_COLUMNS = 4095
"""The denominator's 12 integer bits hold no more."""
HALF = Multiplier(1 << 30, 0)
DIMENSIONS = 3
"""Of an edgeslm_pair_shape."""


class Form(enum.IntEnum):
    """The kernels' EDGESLM_FORM_…"""

    ANY = 1
    DENSE_A = 2
    DENSE_B = 4
    NUMBER_A = 8
    NUMBER_B = 16
    OWN_B = 32
    OWN_A = 64


def pack_linear(
    weight: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    multipliers: Sequence[Multiplier],
    x_zero: int,
    variant: Variant,
    *,
    zero_point: int = 0,
) -> tuple[bytes, Multiplier] | None:
    """For edgeslm_linear_s8: the matrix, and the shape's `by`, which is 0 where each row has its own in the matrix.

    `weight` (rows, columns) and its `zero_point`, `bias` (rows), `multipliers`: one, or one for each row. None where
    there is no packed form, which edgeslm_matmul_s8 has to do without: of weights with a zero point or a -128, of
    factors of 1/2 and more, of sums of more than 30 bits, or of an output with a scale beyond all sums.
    """
    if zero_point != 0 or weight.min(initial=0) < -127:
        return None
    wide = weight.astype(np.int64)
    start = (np.zeros(len(weight), np.int64) if bias is None else bias) - x_zero * wide.sum(axis=1)
    most = int((np.abs(start) + 128 * np.abs(wide).sum(axis=1)).max(initial=0))
    short = [_short(one, most) for one in multipliers]
    factors = [one for one in short if one is not None]
    if most >= 1 << 30 or len(factors) < len(short):
        return None
    is_vectors = variant.layout is Layout.VECTORS
    heads = [head_of((start if is_vectors else 2 * start).astype(np.int32))]
    if len(set(factors)) == 1:
        return pack_blocks(weight, heads, variant.layout), factors[0]
    heads.append(head_of(np.array([one.mantissa for one in factors], np.int32)))
    # rows that fill up the last block must have a shift as well
    shifts = np.ones(padded(len(factors), BLOCK), np.int32)
    shifts[: len(factors)] = [-one.shift for one in factors]
    heads.append(head_of(-shifts if is_vectors else shifts))
    return pack_blocks(weight, heads, variant.layout), Multiplier(0, 0)


def _short(by: Multiplier, most: int) -> Multiplier | None:
    """One that gives the same products for numbers up to `most`, and shifts by 1 to 22 bits to the right."""
    if by.mantissa and -MOST_SHIFT <= by.shift < 0:
        return by
    if by.mantissa == 0 or (by.shift < 0 and (most * by.mantissa >> 31) + 1 < 1 << -by.shift - 1):
        return Multiplier(1, -MOST_SHIFT)  # all products are rounded to 0
    return None


def linear_scratch(variant: Variant, count: int, columns: int) -> int:
    """Of edgeslm_linear_s8 with `count` rows of x."""
    layout, together = variant.layout, 2 if count > 1 else 1
    wide = padded(columns, layout.columns_step)
    if layout is Layout.PAIRS:
        return 2 * wide * (together if columns <= MOST_PAIRED_COLUMNS else 1)
    if wide == columns:
        return 0
    return wide * (together if layout is Layout.VECTORS else 1)


def matmul_scratch(variant: Variant, rows: int, terms: int) -> int:
    """Of edgeslm_matmul_s8."""
    if variant.layout is Layout.PAIRS:
        return 2 * padded(terms, 4) * (padded(rows, 2) + 2)
    if variant.layout is Layout.VECTORS:
        return padded(terms, 16) * (rows + 4) + 4 * rows
    return 0


def softmax_powers(x: Tensor, beta: float) -> NDArray[np.int32]:
    """(256 or fewer): exp of minus the index, in Q0. The last counts for all that is further away.

    What adds nothing to a sum of 19 fractional bits has no share either: it is left out, but for the first.
    """
    scaling = softmax_scaling(x, beta)
    below = -np.arange(256, dtype=np.int64)
    powers = exp_negative(np.minimum(scaled(np.maximum(below, -scaling.end), scaling.by), 0), SOFTMAX_BITS)
    powers = np.where((below >= -scaling.end) & (powers >= 1 << 11), powers, 0)
    length = min(int(np.flatnonzero(powers)[-1]) + 2, 256)
    return powers[:length].astype(np.int32)


def pair_form(function: str, a_stride: int, b_stride: int, scaling: SumScaling | Multiplier) -> Form:
    """What an edgeslm_pair_shape with these strides in its innermost dimension has as its form. `scaling` is a
    Multiplier for "mul"; other functions are "add", "sub" and "squared_difference"."""
    result = scaling if isinstance(scaling, Multiplier) else scaling.result
    strides = a_stride, b_stride
    if not -MOST_SHIFT <= result.shift < 0 or result.mantissa == 0:
        return Form.ANY
    if isinstance(scaling, Multiplier):
        return {(1, 1): Form.DENSE_A, (0, 1): Form.NUMBER_A, (1, 0): Form.NUMBER_B}.get(strides, Form.ANY)
    halves = [one == HALF for one in (scaling.first, scaling.second)]
    owns = [one.mantissa != 0 and -MOST_SHIFT <= one.shift < 0 for one in (scaling.first, scaling.second)]
    match strides:
        case (1, 1) if function != "squared_difference" and owns[0] and halves[1]:
            return Form.DENSE_A
        case (1, 1) if function != "squared_difference" and halves[0] and owns[1]:
            return Form.DENSE_B
        case (0, 1) if halves[1]:
            return Form.NUMBER_A
        case (1, 0) if halves[0]:
            return Form.NUMBER_B
        case (0, 1) if owns[1] and function != "sub":
            return Form.OWN_B
        case (1, 0) if owns[0]:
            return Form.OWN_A
    return Form.ANY


def broadcast_strides(
    shape: Sequence[int], a: Sequence[int], b: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Extents of the result and both operands' strides for an edgeslm_pair_shape, 3 each.

    `shape` is the result's, `a` and `b` (aligned at their last dimension) broadcast to it. Dimensions that may be
    walked as one are. Raises UnsupportedError where more than 3 are left.
    """
    first, second = _strides(shape, a), _strides(shape, b)
    kept: list[tuple[int, int, int]] = []  # from the innermost
    for extent, left, right in reversed(list(zip(shape, first, second, strict=True))):
        if extent == 1:
            continue
        if kept:
            inner, inner_left, inner_right = kept[-1]
            if left == inner_left * inner and right == inner_right * inner:
                kept[-1] = (inner * extent, inner_left, inner_right)
                continue
        kept.append((extent, left, right))
    if len(kept) > DIMENSIONS:
        raise UnsupportedError(f"operands of shapes {tuple(a)} and {tuple(b)} broadcast in more than 3 ways")
    kept += [(1, 0, 0)] * (DIMENSIONS - len(kept))
    extents, lefts, rights = (list(column) for column in zip(*reversed(kept), strict=True))
    return extents, lefts, rights


def _strides(shape: Sequence[int], operand: Sequence[int]) -> list[int]:
    """Of a dense operand, 0 where it is repeated."""
    strides, step = [], 1
    for _, extent in zip_longest(reversed(shape), reversed(operand), fillvalue=1):
        strides.append(0 if extent == 1 else step)
        step *= extent
    return strides[::-1]
