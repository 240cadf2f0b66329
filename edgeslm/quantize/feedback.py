"""Rounding with error feedback, in numpy alone, for any grid of values.

What matters is not the error of a weight but of what comes out: |x(W - Q)ᵀ|² over the inputs x that the layer really
sees, known through their second moments xᵀx. Columns are rounded one after the other, and each is first shifted so
that it makes good for the errors of those before it. This is GPTQ (Frantar et al. 2022, arXiv:2210.17323) in the form
that Chee et al. (2023, arXiv:2307.13304) proved equal to it, which needs a factor of the moments and no inverse.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
STRIDE = 128  # columns that share one product with the errors before them, where the grid has no blocks


class Grid(Protocol):
    """The values that a number format can hold."""

    def enter(self, block: Floats, start: int) -> None:
        """Columns from `start` on come next, as the feedback has left them [rows, columns]: choose their steps."""

    def round(self, column: Floats) -> tuple[NDArray[Any], Floats]:
        """The nearest codes and the values they stand for, [rows] each, of one column [rows] of the block."""


def round_with_feedback(weights: Floats, factor: Floats, grid: Grid, group: int | None) -> NDArray[np.int16]:
    """Codes [rows, columns] for `weights` [rows, columns]. `factor` is their inputs' feedback_factor.

    The grid is entered every `group` columns, or once where `group` is None.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # the package has no types

    # Sums end the same on any number of cores. And OpenBLAS' threads, waiting for each other on a busy machine,
    # take four times as long as one of them alone.
    with threadpool_limits(1, user_api="blas"):
        columns = np.ascontiguousarray(weights.T)  # each column in one piece
        codes = np.empty(columns.shape, dtype=np.int16)
        errors = np.zeros(columns.shape, dtype=np.float32)
        for start in range(0, len(columns), group or STRIDE):
            end = min(start + (group or STRIDE), len(columns))
            shifted = columns[start:end] + factor[:start, start:end].T @ errors[:start]
            if group or start == 0:
                grid.enter(shifted.T if group else weights, start)
            shares = np.ascontiguousarray(factor[start:end, start:end].T)
            for place, column in enumerate(range(start, end)):
                fed = shares[place, :place] @ errors[start:column]
                codes[column], values = grid.round(shifted[place] + fed)
                np.subtract(columns[column], values, out=errors[column])
        return np.ascontiguousarray(codes.T)


def feedback_factor(moments: NDArray[Any], damping: float) -> Floats:
    """F [columns, columns], strictly upper triangular: column k is shifted by the errors before it times F[:, k].

    (F + 1) D (F + 1)ᵀ are the damped moments, with D diagonal. `damping` is added to the moments' diagonal, as a
    share of its mean: how far directions that the calibration inputs do not have may be bent. It bounds the moments'
    condition by columns / damping, so single precision is enough.

    The last factor of moments that are read-only is kept as long as they are: choices for one tensor, tried in turn,
    share it.
    """
    if moments.flags.writeable:
        return _factor(moments, damping)
    for known, share, factor in _last:
        if known() is moments and share == damping:
            return factor
    factor = _factor(moments, damping)
    factor.flags.writeable = False
    _last[:] = [(weakref.ref(moments, lambda _: _last.clear()), damping, factor)]
    return factor


_last: list[tuple[weakref.ref[NDArray[Any]], float, Floats]] = []


def _factor(moments: NDArray[Any], damping: float) -> Floats:
    from threadpoolctl import threadpool_limits

    damped = moments.astype(np.float32)
    diagonal = np.diag_indices_from(damped)
    unseen = damped[diagonal] <= 0  # columns of zeros, added to fill a block, and inputs that are always zero
    damped[diagonal] += np.float32(damping) * damped[diagonal].mean() + unseen
    with threadpool_limits(1, user_api="blas"):
        lower = np.linalg.cholesky(damped[::-1, ::-1])
    lower /= lower[diagonal]
    lower[diagonal] = 0
    factor: Floats = np.ascontiguousarray(lower[::-1, ::-1])
    return factor
