"""Symmetric integers for weights [out, in], as LiteRT and our own kernels have them: with error feedback where the
inputs are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Precision
from edgeslm.quantize import feedback
from edgeslm.quantize.plan import BITS

Floats = NDArray[np.float32]
LARGEST = {8: 127, 4: 7}
LEAST = {8: -127, 4: -8}
"""int4 has one more step below zero than above, so that blocks whose outermost weight is negative have finer steps."""
SHARES = np.linspace(1.0, 0.7, 16, dtype=np.float32)
"""Shares of a block's largest weight that the search tries as its range: cutting it off makes the steps finer."""
DAMPING = 0.02  # of the feedback's factor
AT_ONCE = 1 << 18  # weights times shares that are searched together: more of them leave the processor's cache


@dataclass(frozen=True)
class Rounded:
    """`codes` int8 [out, in]; `scales` float32 [out, 1] by channel, or float16's values [out, blocks] by block."""

    codes: NDArray[np.int8]
    scales: Floats


def round_matrix(
    weights: Floats, bits: int, group: int | None, moments: NDArray[Any] | None = None, damping: float = DAMPING
) -> Rounded:
    """Codes of `bits` bits, one scale for each row, or one searched for in every `group` columns.

    `moments` [in, in] are the second moments xᵀx of the inputs; with them errors are fed back.
    """
    if group is None:
        scales = row_scales(weights, bits)
        return Rounded(np.rint(weights / scales).astype(np.int8), scales)
    if moments is None:
        blocks = weights.reshape(-1, group)
        found = search_scales(blocks, bits)
        codes = np.clip(np.rint(blocks / found), LEAST[bits], LARGEST[bits]).astype(np.int8)
        return Rounded(codes.reshape(weights.shape), found.reshape(len(weights), -1))
    importance = np.diagonal(moments).astype(np.float32)
    return round_with_feedback(weights, importance, feedback.feedback_factor(moments, damping), bits, group=group)


def row_scales(weights: Floats, bits: int) -> Floats:
    """[out, 1]: with which each row's largest weight is the largest code."""
    peaks = np.maximum(np.abs(weights).max(axis=1, keepdims=True), np.float32(1e-12))
    scales: Floats = (peaks / np.float32(LARGEST[bits])).astype(np.float32)
    return scales


def round_values(weights: Floats, choice: tuple[Precision, int | None], moments: NDArray[Any] | None = None) -> Floats:
    """What is computed with for a choice of precision and group: as `round_matrix`, blocks filled with zeros."""
    precision, group = choice
    if precision == "fp32":
        return weights
    if precision == "fp16":
        return weights.astype(np.float16).astype(np.float32)
    group = group if precision == "int4" else None
    missing = -weights.shape[1] % group if group else 0
    known = None if group is None else moments
    if known is not None and missing:
        known = np.pad(known, (0, missing))  # a filling is given nothing
    rounded = round_matrix(np.pad(weights, ((0, 0), (0, missing))), BITS[precision], group, known)
    values: Floats = (rounded.codes * np.repeat(rounded.scales, group or 1, axis=1)).astype(np.float32)
    return values[:, : weights.shape[1]]


def round_with_feedback(
    weights: Floats,
    importance: Floats,
    factor: Floats,
    bits: int,
    *,
    group: int | None = None,
    rows: Floats | None = None,
) -> Rounded:
    """Codes of `bits` bits, with the scales `rows` [out, 1], or one for every `group` columns, searched for.

    `importance` [in] is the moments' diagonal, `factor` their `feedback_factor`; the columns are a multiple of `group`.
    """
    grid = _SymmetricGrid(bits, importance, [] if rows is None else [rows])
    codes = feedback.round_with_feedback(weights, factor, grid, group)
    return Rounded(codes.astype(np.int8), np.concatenate(grid.scales, axis=1))


@dataclass
class _SymmetricGrid:
    """`scales`: of the rows, given, or of each block entered, [out, 1] each; `step` those of the last, [out]."""

    bits: int
    importance: Floats
    scales: list[Floats]

    def __post_init__(self) -> None:
        self.by_row = bool(self.scales)
        if self.by_row:
            self.step = self.scales[0][:, 0]

    def enter(self, block: Floats, start: int) -> None:
        if not self.by_row:
            self.scales.append(search_scales(block, self.bits, self.importance[start : start + block.shape[1]]))
            self.step = self.scales[-1][:, 0]

    def round(self, column: Floats) -> tuple[NDArray[Any], Floats]:
        codes = np.clip(np.rint(column / self.step), LEAST[self.bits], LARGEST[self.bits])
        return codes, codes * self.step


def search_scales(block: Floats, bits: int, importance: NDArray[np.float32] | None = None) -> Floats:
    """[out, 1]: the scale of each row, a float16, with the least squared error weighted by column.

    Each share of the range gives codes, and these the scale that fits them best by least squares, which is tried too.
    """
    weight = np.ones(block.shape[1], np.float32) if importance is None else importance
    step = max(1, AT_ONCE // (block.shape[1] * len(SHARES)))
    parts = [
        _search_rows(np.ascontiguousarray(block[start : start + step].T), bits, weight)
        for start in range(0, len(block), step)
    ]
    return np.concatenate(parts)[:, None]


def _search_rows(columns: Floats, bits: int, weight: Floats) -> Floats:
    """As `search_scales` for [columns, rows]: all rows and all shares at once, as arrays of [shares, columns, rows]."""
    least, top = LEAST[bits], LARGEST[bits]
    weighted = columns * weight[:, None]
    peak = np.maximum(columns.max(axis=0) / top, columns.min(axis=0) / least)
    wanted = np.concatenate([np.abs(columns).max(axis=0, keepdims=True) / top, SHARES[:, None] * peak])
    scales = [_half(np.maximum(wanted, np.float32(1e-8)))]
    errors: list[Floats] = []
    codes = np.empty((len(wanted), *columns.shape), dtype=np.float32)
    products = np.empty_like(codes)
    for _ in range(2):
        scale = scales[-1]
        np.rint(np.divide(columns, scale[:, None, :], out=codes), out=codes)
        np.clip(codes, least, top, out=codes)
        product = np.multiply(codes, weighted, out=products).sum(axis=1)
        squares = weight @ np.square(codes, out=codes)
        # Of |codes·scale - block|², what differs from scale to scale.
        errors.append(scale * (scale * squares - 2 * product))
        fitted = product / np.where(squares > 0, squares, np.float32(1))
        scales.append(_half(np.where(fitted > 0, fitted, scale)))
    found = np.concatenate(errors).argmin(axis=0)
    best: Floats = np.take_along_axis(np.concatenate(scales[:2]), found[None], axis=0)[0]
    return best


def rounding_error(weights: Floats, importance: Floats, bits: int, group: int | None) -> float:
    """|x(W - Q)ᵀ|² summed over the inputs, for rounding to nearest: errors of columns are as good as independent."""
    top = LARGEST[bits]
    rows, columns = weights.shape
    group = group or columns
    blocks = np.pad(weights, ((0, 0), (0, -columns % group))).reshape(rows, -1, group)
    scales = np.maximum(np.abs(blocks).max(axis=2, keepdims=True), np.float32(1e-12)) / top
    wrong = (np.clip(np.rint(blocks / scales), -top, top) * scales - blocks).reshape(rows, -1)[:, :columns]
    return float(np.square(wrong).sum(axis=0) @ importance)


def _half(scales: Floats) -> Floats:
    """As float16 stores them, which is how runtimes read the scales of blocks; never zero."""
    halves: Floats = np.clip(scales, np.float32(6e-8), np.float32(65504)).astype(np.float16).astype(np.float32)
    return halves
