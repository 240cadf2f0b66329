"""Matrices as the C kernels read them: `firmware_templates/kernels/edgeslm_kernels.h` draws every layout.

A packed matrix is one run of bytes, in blocks of four rows (filled up with zeros). `unpack_…` gives back what was
packed; `row_…` looks one row up, as a token's embedding is. Arrays are numpy's, sizes are bytes.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.packed_blocks import (
    BLOCK,
    Int8,
    block_bytes,
    from_nibbles,
    head_of,
    matrix_bytes,
    nibbles_of,
    pack_blocks,
    split_blocks,
    weights_of,
)
from edgeslm.backends.cortexm.packed_blocks import (
    Layout as Layout,
)
from edgeslm.backends.cortexm.packed_blocks import (
    padded as padded,
)

Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]
Float16 = NDArray[np.float16]

FIXED_ONE = 1 << 16
"""1.0 as a fixed-point number of cores without an FPU (EDGESLM_FIXED)."""


class CacheFormat(enum.IntEnum):
    """The kernels' EDGESLM_CACHE_…"""

    FLOAT32 = 0
    FLOAT16 = 1
    INT8 = 2


def to_fixed(values: NDArray[Any]) -> Int32:
    """Numbers with 16 fractional bits, saturated: what norms and biases are for EDGESLM_FIXED."""
    scaled = np.rint(np.asarray(values, np.float64) * FIXED_ONE)
    return np.clip(scaled, -(2**31), 2**31 - 1).astype(np.int32)


def frequencies(radians: NDArray[Any], *, fixed: bool) -> NDArray[Any]:
    """RoPE's angles per position (half a head): float32 radians, or turns with 32 fractional bits if `fixed`."""
    if not fixed:
        return np.asarray(radians, np.float32)
    turns = np.rint(np.asarray(radians, np.float64) / (2 * np.pi) * 2**32)
    return (turns.astype(np.int64) % 2**32).astype(np.uint32)


# ---- Sizes of buffers -----------------------------------------------------------------------------------------------


def quantized_bytes(columns: int, layout: Layout, group: int = 0) -> int:
    """Of an edgeslm_quantized row: EDGESLM_QUANTIZED_BYTES. `group`: 0 for int8 matrices, else 16 or 32."""
    groups = -(-columns // group) if group else 0
    values = groups * group if group else padded(columns, layout.columns_step)
    return 8 + values * layout.activation_bytes + 4 * groups


def cache_bytes(kv_heads: int, context: int, head_dim: int, cache: CacheFormat) -> int:
    """Of one layer's keys, or values: EDGESLM_CACHE_BYTES."""
    elements = kv_heads * context * head_dim
    if cache is CacheFormat.INT8:
        return padded(elements, 4) + 4 * kv_heads * context
    return elements * (2 if cache is CacheFormat.FLOAT16 else 4)


def packed_bytes_i8(rows: int, columns: int, layout: Layout, *, bias: bool = False) -> int:
    return matrix_bytes(rows, 32 if bias else 16, columns, layout)


def packed_bytes_requant(rows: int, columns: int, layout: Layout) -> int:
    return matrix_bytes(rows, 48, columns, layout)


def packed_bytes_i4(rows: int, columns: int, group: int, *, bias: bool = False) -> int:
    return -(-rows // BLOCK) * ((16 if bias else 0) + -(-columns // group) * (8 + 2 * group))


def packed_bytes_f32(rows: int, columns: int, *, bias: bool = False) -> int:
    return -(-rows // BLOCK) * ((16 if bias else 0) + 4 * BLOCK * columns)


# ---- int8 -----------------------------------------------------------------------------------------------------------


def pack_i8(weights: Int8, scales: Float32, layout: Layout, bias: NDArray[np.float32] | Int32 | None = None) -> bytes:
    """`weights` (rows, columns) in -127..127, `scales` (rows), `bias` (rows): float32, or int32 of `to_fixed`."""
    heads = [head_of(np.asarray(scales, np.float32))]
    if bias is not None:
        heads.append(head_of(np.asarray(bias)))
    return pack_blocks(weights, heads, layout)


def unpack_i8(
    packed: bytes, rows: int, columns: int, layout: Layout, *, bias: type[np.float32] | type[np.int32] | None = None
) -> tuple[Int8, Float32, NDArray[Any] | None]:
    """Weights, scales and biases. `bias`: the type of biases, if there are any."""
    head = 16 if bias is None else 32
    blocks = split_blocks(packed, rows, head, columns, layout)
    weights = weights_of(blocks[:, head:], columns, layout)[:rows]
    scales = np.ascontiguousarray(blocks[:, :16]).view(np.float32).reshape(-1)[:rows]
    if bias is None:
        return weights, scales, None
    return weights, scales, np.ascontiguousarray(blocks[:, 16:32]).view(bias).reshape(-1)[:rows]


def row_i8(packed: bytes, row: int, columns: int, layout: Layout, *, bias: bool = False) -> Float32:
    """(columns): weight * scale of one row. Reads its block only."""
    size = block_bytes(32 if bias else 16, columns, layout)
    start = row // BLOCK * size
    block = np.frombuffer(packed, np.uint8, size, start)[None]
    weights = weights_of(block[:, 32 if bias else 16 :], columns, layout)[row % BLOCK]
    scale = np.frombuffer(packed, np.float32, BLOCK, start)[row % BLOCK]
    answer: Float32 = weights.astype(np.float32) * scale
    return answer


# ---- int8 requantized -----------------------------------------------------------------------------------------------


def quantized_multiplier(value: float) -> tuple[int, int]:
    """A positive real as (multiplier, shift) = multiplier / 2^31 * 2^shift, the multiplier in 2^30 … 2^31.

    As QuantizeMultiplier of TensorFlow Lite (tensorflow/lite/kernels/internal/quantization_util.cc).
    """
    fraction, exponent = np.frexp(value)
    multiplier, shift = int(np.floor(float(fraction) * 2**31 + 0.5)), int(exponent)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def pack_requant(
    weights: Int8, bias: Int32, multipliers: Int32, shifts: Int32, input_zero_point: int, layout: Layout
) -> bytes:
    """`weights` (rows, columns) in -127..127; the others (rows), with TensorFlow Lite's meaning. The zero point of the
    input goes into the biases, that of the output is the kernel's argument."""
    sums = np.asarray(weights, np.int32).sum(axis=1, dtype=np.int64)
    folded = np.asarray(bias, np.int64) - input_zero_point * sums
    left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    byte = -right if layout is Layout.VECTORS else right
    words = (left + 1) | (byte & 0xFF) << 8 | np.where(right > 0, 1 << 31, 0)
    heads = [head_of(folded.astype(np.int32)), head_of(np.asarray(multipliers, np.int32))]
    return pack_blocks(weights, [*heads, head_of(words.astype(np.uint32))], layout)


# ---- int4 -----------------------------------------------------------------------------------------------------------


def pack_i4(
    weights: Int8, scales: Float16, group: int, layout: Layout, bias: NDArray[np.float32] | Int32 | None = None
) -> bytes:
    """`weights` (rows, columns) in -8..7, `scales` (rows, groups of 16 or 32 columns) ≥ 0, `bias` as in `pack_i8`."""
    rows, columns = weights.shape
    groups = -(-columns // group)
    full = np.zeros((padded(rows, BLOCK), groups * group), np.int8)
    full[:rows, :columns] = weights
    all_scales = np.zeros((full.shape[0], groups), np.float16)
    all_scales[:rows] = scales
    # (block, group, row, column)
    tiles = full.reshape(-1, BLOCK, groups, group).transpose(0, 2, 1, 3)
    payload = nibbles_of(tiles, layout).reshape(len(tiles), groups, 2 * group)
    heads = np.ascontiguousarray(all_scales.reshape(-1, BLOCK, groups).transpose(0, 2, 1)).view(np.uint8)
    blocks = np.concatenate([heads, payload], axis=2).reshape(len(tiles), -1)
    if bias is not None:
        blocks = np.concatenate([head_of(np.asarray(bias)), blocks], axis=1)
    return blocks.tobytes()


def unpack_i4(
    packed: bytes,
    rows: int,
    columns: int,
    group: int,
    layout: Layout,
    *,
    bias: type[np.float32] | type[np.int32] | None = None,
) -> tuple[Int8, Float16, NDArray[Any] | None]:
    """Weights, scales and biases. `bias`: the type of biases, if there are any."""
    groups = -(-columns // group)
    blocks = np.frombuffer(packed, np.uint8).reshape(-(-rows // BLOCK), -1)
    biases = None
    if bias is not None:
        biases = np.ascontiguousarray(blocks[:, :16]).view(bias).reshape(-1)[:rows]
        blocks = blocks[:, 16:]
    parts = blocks.reshape(len(blocks), groups, 8 + 2 * group)
    scales = np.ascontiguousarray(parts[:, :, :8]).view(np.float16).transpose(0, 2, 1).reshape(-1, groups)[:rows]
    tiles = from_nibbles(np.ascontiguousarray(parts[:, :, 8:]), group, layout)
    weights = tiles.transpose(0, 2, 1, 3).reshape(-1, groups * group)
    return weights[:rows, :columns], scales, biases


def row_i4(packed: bytes, row: int, columns: int, group: int, layout: Layout, *, bias: bool = False) -> Float32:
    """(columns): weight * scale of one row. Reads its block only."""
    size = packed_bytes_i4(BLOCK, columns, group, bias=bias)
    block = packed[row // BLOCK * size :][:size]
    weights, scales, _ = unpack_i4(block, BLOCK, columns, group, layout, bias=np.float32 if bias else None)
    by_column = np.repeat(scales[row % BLOCK].astype(np.float32), group)[:columns]
    answer: Float32 = weights[row % BLOCK].astype(np.float32) * by_column
    return answer


# ---- float32 --------------------------------------------------------------------------------------------------------


def pack_f32(weights: Float32, bias: Float32 | None = None) -> bytes:
    """`weights` (rows, columns); `bias` (rows)."""
    rows, columns = weights.shape
    full = np.zeros((padded(rows, BLOCK), columns), np.float32)
    full[:rows] = weights
    blocks = full.reshape(-1, BLOCK * columns).view(np.uint8)
    if bias is not None:
        blocks = np.concatenate([head_of(np.asarray(bias, np.float32)), blocks], axis=1)
    return blocks.tobytes()


def unpack_f32(packed: bytes, rows: int, columns: int, *, bias: bool = False) -> tuple[Float32, Float32 | None]:
    """Weights and biases."""
    blocks = np.frombuffer(packed, np.float32).reshape(-(-rows // BLOCK), -1)
    weights = blocks[:, BLOCK if bias else 0 :].reshape(-1, columns)[:rows]
    return weights, blocks[:, :BLOCK].reshape(-1)[:rows] if bias else None
