"""Rounding with error feedback, in numpy alone.

What matters is not the error of a weight but of what comes out: |x(W - Q)|² over the inputs x that the layer really
sees, known through their second moments xᵀx. Columns are rounded one after the other, and each is first shifted so
that it makes good for the errors of those before it. This is GPTQ (Frantar et al. 2022, arXiv:2210.17323) in the form
that Chee et al. (2023, arXiv:2307.13304) proved equal to it, which needs a factor of the moments and no inverse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.rounding import Floats, Rounded, row_steps, search_blocks

DAMPING = 0.01
"""Added to the moments' diagonal, as a share of its mean: how far directions that the calibration inputs do not have
may be bent. MiniLM int4, worst cosine: 0.01 0.96, 0.05 0.96, 0.2 0.95; without feedback 0.92."""
STRIDE = 128  # columns that share one product with the errors before them, where there are no blocks


def round_with_feedback(weights: Floats, moments: NDArray[np.float64], group: int | None) -> Rounded:
    """4 bits in blocks of `group` columns, or 8 bits by row where `group` is None.

    `weights` [rows, columns], `moments` [columns, columns]; columns is a multiple of `group`.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # the package has no types

    # Sums end the same on any number of cores. And OpenBLAS' threads, waiting for each other on a busy machine,
    # take four times as long for a factor as one of them alone.
    with threadpool_limits(1, user_api="blas"):
        return _round_columns(weights, _feedback(moments), group)


def _round_columns(weights: Floats, feedback: Floats, group: int | None) -> Rounded:
    rows, columns = weights.shape
    codes = np.empty((rows, columns), dtype=np.uint8)
    errors = np.empty((rows, columns), dtype=np.float32)
    zero_points, scales = row_steps(weights)
    all_zero_points, all_scales = ([], []) if group else ([zero_points], [scales])
    top = 15 if group else 255
    for start in range(0, columns, group or STRIDE):
        end = min(start + (group or STRIDE), columns)
        shifted = weights[:, start:end] + errors[:, :start] @ feedback[:start, start:end]
        if group:
            # Steps are chosen for the weights as the feedback has left them.
            _, zero_points, scales = search_blocks(shifted)
            all_zero_points.append(zero_points)
            all_scales.append(scales)
        for column in range(start, end):
            wanted = shifted[:, column - start] + errors[:, start:column] @ feedback[start:column, column]
            rounded = np.clip(np.rint(wanted[:, None] / scales) + zero_points, 0, top)
            codes[:, column] = rounded[:, 0]
            errors[:, column] = weights[:, column] - ((rounded - zero_points) * scales)[:, 0]
    return Rounded(
        codes.reshape(rows, len(all_scales), -1),
        np.stack(all_zero_points, axis=1).astype(np.uint8),
        np.stack(all_scales, axis=1).astype(np.float16),
    )


def _feedback(moments: NDArray[np.float64]) -> Floats:
    """F [columns, columns], strictly upper triangular: column k is shifted by the errors before it times F[:, k].

    (F + 1) D (F + 1)ᵀ are the damped moments, with D diagonal.
    """
    damped = np.array(moments, dtype=np.float64)
    diagonal = np.diag_indices_from(damped)
    unseen = damped[diagonal] <= 0  # columns of zeros, added to fill a block, and inputs that are always zero
    damped[diagonal] += DAMPING * damped[diagonal].mean() + unseen
    upper = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
    return np.triu(upper / upper[diagonal], 1).astype(np.float32)
