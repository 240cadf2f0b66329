"""Rounding weights to integers, in numpy alone.

All shapes are [rows, columns] with the columns along the input dimension. A rounded weight is
`(codes - zero_points) * scales`; codes and zero points are unsigned. Scales are float16, as the runtime reads them,
and codes are chosen for the scale as it is after that rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
CANDIDATES = np.linspace(1.0, 0.72, 15, dtype=np.float32)
"""Shares of a block's range that the search tries: cutting the outermost weights off makes the steps finer."""
SMALLEST_SCALE, LARGEST_SCALE = np.float32(6e-8), np.float32(65504)  # float16's
CHUNK = 1 << 16  # blocks searched at a time: bounds the memory


@dataclass(frozen=True)
class Rounded:
    """`codes` [rows, blocks, columns of a block], `zero_points` and `scales` [rows, blocks, 1]."""

    codes: NDArray[np.uint8]
    zero_points: NDArray[np.uint8]
    scales: NDArray[np.float16]

    def floats(self) -> Floats:
        """[rows, blocks * columns of a block]"""
        steps = self.codes.astype(np.float32) - self.zero_points.astype(np.float32)
        return (steps * self.scales.astype(np.float32)).reshape(self.codes.shape[0], -1)


def round_rows(weights: Floats) -> Rounded:
    """8 bits with a scale and a zero point to a row: one block as wide as the row."""
    zero_points, scales = row_steps(weights)
    codes = np.clip(np.rint(weights / scales) + zero_points, 0, 255)
    return Rounded(
        codes[:, None, :].astype(np.uint8), zero_points[:, None, :].astype(np.uint8), _half(scales)[:, None, :]
    )


def round_blocks(weights: Floats, group: int) -> Rounded:
    """4 bits with a scale and a zero point to every `group` columns; columns is a multiple of `group`.

    Range and scale are searched for the least squared error of each block (against plain minimum and maximum,
    MiniLM's worst cosine on ten texts goes from 0.929 to 0.937).
    """
    rows, columns = weights.shape
    blocks = weights.reshape(-1, group)
    parts = [search_blocks(blocks[start : start + CHUNK]) for start in range(0, len(blocks), CHUNK)]
    codes, zero_points, scales = (np.concatenate(column) for column in zip(*parts, strict=True))
    shape = (rows, columns // group, -1)
    return Rounded(
        codes.astype(np.uint8).reshape(shape),
        zero_points.astype(np.uint8).reshape(shape),
        _half(scales).reshape(shape),
    )


def pad_columns(weights: Floats, group: int) -> Floats:
    """Columns of zeros at the end, up to a multiple of `group`."""
    return np.pad(weights, ((0, 0), (0, -weights.shape[1] % group)))


def pack_nibbles(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two 4-bit codes to a byte, the first in the low half; an odd count is filled with a zero."""
    flat = codes.reshape(-1)
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    packed: NDArray[np.uint8] = flat[0::2] | (flat[1::2] << np.uint8(4))
    return packed


def search_blocks(blocks: Floats) -> tuple[Floats, Floats, Floats]:
    """Codes, zero points and scales of the candidate with the least squared error, block by block."""
    low, high = _range(blocks)
    best: list[NDArray[Any]] = []
    for share in CANDIDATES:
        scales = _to_scales((high - low) * share / np.float32(15))
        zero_points = np.clip(np.rint(-low * share / scales), 0, 15)
        steps = np.clip(np.rint(blocks / scales) + zero_points, 0, 15) - zero_points
        # The scale that fits these steps best, by least squares, then the steps that fit that scale.
        weight = np.sum(steps * steps, axis=1, keepdims=True)
        fitted = np.sum(blocks * steps, axis=1, keepdims=True) / np.where(weight > 0, weight, np.float32(1))
        scales = _to_scales(np.where(fitted > 0, fitted, scales))
        steps = np.clip(np.rint(blocks / scales) + zero_points, 0, 15) - zero_points
        error = np.sum(np.square(steps * scales - blocks), axis=1, keepdims=True)
        candidate = [steps + zero_points, zero_points, scales, error]
        if not best:
            best = candidate
        else:
            better = error < best[3]
            best = [np.where(better, new, old) for new, old in zip(candidate, best, strict=True)]
    return best[0], best[1], best[2]


def row_steps(weights: Floats) -> tuple[Floats, Floats]:
    """Zero points and scales, [rows, 1] each, that take a row's least value to 0 and its greatest to 255."""
    low, high = _range(weights)
    scales = _to_scales((high - low) / np.float32(255))
    return np.clip(np.rint(-low / scales), 0, 255), scales


def _range(weights: Floats) -> tuple[Floats, Floats]:
    """Least and greatest value along the last axis, zero included: zero stays exact, so that padding does."""
    low = np.minimum(weights.min(axis=-1, keepdims=True), 0)
    high = np.maximum(weights.max(axis=-1, keepdims=True), 0)
    return low, high


def _to_scales(wanted: Floats) -> Floats:
    """As float16 has them, never zero."""
    return _half(np.clip(wanted, SMALLEST_SCALE, LARGEST_SCALE)).astype(np.float32)


def _half(values: Floats) -> NDArray[np.float16]:
    return values.astype(np.float16)
