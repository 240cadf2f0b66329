"""How blocks of four rows keep their weights: the layouts that `packing` builds matrices of."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Bytes = NDArray[np.uint8]

BLOCK = 4
"""Rows of a block."""


class Layout(enum.IntEnum):
    """The kernels' EDGESLM_LAYOUT."""

    ROWS = 0
    PAIRS = 1
    VECTORS = 2

    @property
    def columns_step(self) -> int:
        """Quantized activations are filled up with zeros to a multiple of this."""
        return 16 if self is Layout.VECTORS else 4

    @property
    def activation_bytes(self) -> int:
        return 2 if self is Layout.PAIRS else 1


def padded(columns: int, step: int) -> int:
    return -(-columns // step) * step


def head_of(values: NDArray[Any]) -> Bytes:
    """(rows) of 4 bytes each -> (blocks, 16)."""
    full = np.zeros(padded(len(values), BLOCK), values.dtype)
    full[: len(values)] = values
    return full.reshape(-1, BLOCK).view(np.uint8)


def block_bytes(head: int, columns: int, layout: Layout) -> int:
    return head + BLOCK * (padded(columns, 4) if layout is Layout.PAIRS else columns)


def matrix_bytes(rows: int, head: int, columns: int, layout: Layout) -> int:
    return -(-rows // BLOCK) * block_bytes(head, columns, layout) + tail_bytes(layout)


def tail_bytes(layout: Layout) -> int:
    """Vectors of the last columns are loaded whole, and reach behind the end."""
    return 16 if layout is Layout.VECTORS else 0


def pack_blocks(weights: Int8, heads: list[Bytes], layout: Layout) -> bytes:
    rows, columns = weights.shape
    if rows and columns and int(weights.min()) < -127:
        raise ValueError("int8 weights are symmetric: -127..127")
    full = np.zeros((padded(rows, BLOCK), columns), np.int8)
    full[:rows] = weights
    tiles = full.reshape(-1, BLOCK, columns)
    blocks = np.concatenate([*heads, payload_of(tiles, layout)], axis=1)
    return blocks.tobytes() + bytes(tail_bytes(layout))


def split_blocks(packed: bytes, rows: int, head: int, columns: int, layout: Layout) -> Bytes:
    count = -(-rows // BLOCK)
    size = block_bytes(head, columns, layout)
    return np.frombuffer(packed, np.uint8, count * size).reshape(count, size)


def payload_of(tiles: Int8, layout: Layout) -> Bytes:
    """(blocks, 4, columns) -> (blocks, bytes)."""
    count, _, columns = tiles.shape
    if layout is Layout.ROWS:
        return tiles.reshape(count, -1).view(np.uint8)
    if layout is Layout.VECTORS:
        runs = [tiles[:, :, start : start + 16].reshape(count, -1) for start in range(0, columns, 16)]
        return np.concatenate(runs, axis=1).view(np.uint8)
    full = np.zeros((count, BLOCK, padded(columns, 4)), np.int8)
    full[:, :, :columns] = tiles
    full[:, ::2] ^= -128  # even rows + 128
    # (blocks, pair, columns, row of the pair)
    pairs = full.reshape(count, 2, 2, -1).transpose(0, 1, 3, 2)
    runs = [pairs[:, :, start : start + 8].reshape(count, -1) for start in range(0, pairs.shape[2], 8)]
    return np.concatenate(runs, axis=1).view(np.uint8)


def weights_of(payload: Bytes, columns: int, layout: Layout) -> Int8:
    """What `payload_of` took, as (rows, columns)."""
    count = len(payload)
    signed = np.ascontiguousarray(payload).view(np.int8)
    if layout is Layout.ROWS:
        return signed.reshape(-1, columns)
    if layout is Layout.VECTORS:
        tiles = [
            signed[:, BLOCK * start : BLOCK * min(start + 16, columns)].reshape(count, BLOCK, -1)
            for start in range(0, columns, 16)
        ]
        return np.concatenate(tiles, axis=2).reshape(-1, columns)
    width = padded(columns, 4)
    pairs = [
        signed[:, BLOCK * start : BLOCK * min(start + 8, width)].reshape(count, 2, -1, 2)
        for start in range(0, width, 8)
    ]
    rows = np.concatenate(pairs, axis=2).transpose(0, 1, 3, 2).reshape(count, BLOCK, width).copy()
    rows[:, ::2] ^= -128
    return rows.reshape(-1, width)[:, :columns]


def nibbles_of(tiles: Int8, layout: Layout) -> Bytes:
    """(…, 4, group) of -8..7 -> (…, 2 * group bytes)."""
    signed = tiles.view(np.uint8) & 15
    offset = signed ^ 8
    if layout is Layout.ROWS:
        return np.asarray(offset[..., ::2] | offset[..., 1::2] << 4, np.uint8)
    if layout is Layout.VECTORS:
        return np.asarray(offset[..., ::2, :] | signed[..., 1::2, :] << 4, np.uint8)
    low, high = offset[..., 0, :] | offset[..., 1, :] << 4, offset[..., 2, :] | signed[..., 3, :] << 4
    return np.stack([low, high], axis=-1)


def from_nibbles(payload: Bytes, group: int, layout: Layout) -> Int8:
    """What `nibbles_of` took: (…, 2 * group bytes) -> (…, 4, group)."""
    low, high = payload & 15, payload >> 4
    shape = payload.shape[:-1]
    if layout is Layout.ROWS:
        nibbles = np.stack([low, high], axis=-1).reshape(*shape, BLOCK, group) ^ 8
    elif layout is Layout.VECTORS:
        halves = np.stack([low ^ 8, high], axis=-2).reshape(*shape, 2, 2 * group)
        # each half holds `group` low nibbles of both pairs of rows; put pairs together again
        nibbles = np.stack([halves[..., 0, :group], halves[..., 1, :group]], axis=-2)
        second = np.stack([halves[..., 0, group:], halves[..., 1, group:]], axis=-2)
        nibbles = np.concatenate([nibbles, second], axis=-2)
    else:
        rows = [low[..., ::2] ^ 8, high[..., ::2] ^ 8, low[..., 1::2] ^ 8, high[..., 1::2]]
        nibbles = np.stack(rows, axis=-2)
    return ((nibbles ^ 8).astype(np.int8) - 8).astype(np.int8)
