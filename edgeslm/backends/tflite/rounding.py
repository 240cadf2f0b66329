"""Symmetric integers for weights [out, in], in numpy alone: with error feedback where the inputs are known.

Error feedback (GPTQ, Frantar et al. 2022, arXiv:2210.17323) looks at the error of what comes out, |x(W - Q)ᵀ|², over
the inputs x that the layer really sees: a column's rounding error is made good in the columns still to come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LARGEST = {8: 127, 4: 7}
SHARES = np.linspace(1.0, 0.7, 16, dtype=np.float32)
"""Shares of a block's largest weight that the search tries as its range: cutting it off makes the steps finer."""
DAMPING = 0.02
"""Added to the moments' diagonal, as a share of its mean: how far directions that calibration does not show may be
bent."""
STRIDE = 128  # columns after which the rest is shifted, where there are no blocks


@dataclass(frozen=True)
class Rounded:
    """`codes` int8 [out, in]; `scales` float32 [out, 1] by channel, or float16's values [out, blocks] by block."""

    codes: NDArray[np.int8]
    scales: Floats


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
    columns = weights.shape[1]
    codes = np.empty(weights.shape, dtype=np.int8)
    errors = np.zeros(weights.shape, dtype=np.float32)
    scales = [] if rows is None else [rows]
    top = LARGEST[bits]
    for start in range(0, columns, group or STRIDE):
        end = min(start + (group or STRIDE), columns)
        shifted = weights[:, start:end] + errors[:, :start] @ factor[:start, start:end]
        if group:
            # Steps are chosen for the weights as the feedback has left them.
            scales.append(search_scales(shifted, bits, importance[start:end]))
        scale = scales[-1]
        for column in range(start, end):
            fed = errors[:, start:column] @ factor[start:column, column : column + 1]
            wanted = shifted[:, column - start : column - start + 1] + fed
            rounded = np.clip(np.rint(wanted / scale), -top, top)
            codes[:, column : column + 1] = rounded
            errors[:, column : column + 1] = weights[:, column : column + 1] - rounded * scale
    return Rounded(codes, np.concatenate(scales, axis=1))


def search_scales(block: Floats, bits: int, importance: NDArray[np.float32] | None = None) -> Floats:
    """[out, 1]: the scale of each row, a float16, with the least squared error weighted by column."""
    top = LARGEST[bits]
    peak = np.maximum(np.abs(block).max(axis=1, keepdims=True), np.float32(1e-7))
    best_error = np.full((len(block), 1), np.inf, dtype=np.float32)
    best = np.zeros_like(best_error)
    for share in SHARES:
        scale = _half(peak * share / top)
        wrong = np.square(np.clip(np.rint(block / scale), -top, top) * scale - block)
        error = (wrong if importance is None else wrong * importance).sum(axis=1, keepdims=True)
        better = error < best_error
        best, best_error = np.where(better, scale, best), np.where(better, error, best_error)
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
    """As float16 stores them, which is how the runtime reads the scales of blocks; never zero."""
    halves: Floats = np.clip(scales, np.float32(6e-8), np.float32(65504)).astype(np.float16).astype(np.float32)
    return halves


def feedback_factor(moments: Floats) -> Floats:
    """F [in, in], strictly upper triangular, with (F + 1) D (F + 1)ᵀ = the damped moments for a diagonal D.

    Errors E = W - Q make E (F + 1) D (F + 1)ᵀ Eᵀ at the output, so column k is rounded best after adding the errors
    before it times F[:, k]. Damping bounds the moments' condition by in / DAMPING: single precision is enough.
    """
    damped = moments.astype(np.float32)
    damped[np.diag_indices_from(damped)] += np.float32(DAMPING * (float(np.diagonal(damped).mean()) or 1.0))
    upper = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
    factor: Floats = np.triu(upper / np.diagonal(upper), 1).astype(np.float32)
    return factor
