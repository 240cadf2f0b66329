"""Rounding with error feedback (GPTQ, Frantar et al. 2022, arXiv:2210.17323), in numpy alone.

What matters is not the error of a weight but of what comes out: |x(W - Q)|² over the inputs x that the layer really
sees, known through their second moments xᵀx. Columns are rounded one after the other, and the columns still to come
are shifted so that they make good for the error just made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.rounding import Floats, Rounded, row_steps, search_blocks

DAMPING = 0.01
"""Added to the moments' diagonal, as a share of its mean: how far directions that the calibration inputs do not
have may be bent."""
STRIDE = 128  # columns after which the rest is shifted, where there are no blocks


def round_with_feedback(weights: Floats, moments: NDArray[np.float64], group: int | None) -> Rounded:
    """4 bits in blocks of `group` columns, or 8 bits by row where `group` is None.

    `weights` [rows, columns], `moments` [columns, columns]; columns is a multiple of `group`.
    """
    rest = weights.astype(np.float32)
    rows, columns = rest.shape
    factor = _inverse_factor(moments)
    codes = np.empty((rows, columns), dtype=np.uint8)
    all_zero_points: list[Floats] = []
    all_scales: list[Floats] = []
    top = 15 if group else 255
    zero_points = scales = rest[:, :1]
    if group is None:
        zero_points, scales = row_steps(rest)
        all_zero_points, all_scales = [zero_points], [scales]
    for start in range(0, columns, group or STRIDE):
        end = min(start + (group or STRIDE), columns)
        if group:
            # Steps are chosen for the weights as the feedback has left them.
            _, zero_points, scales = search_blocks(rest[:, start:end])
            all_zero_points.append(zero_points)
            all_scales.append(scales)
        errors = np.empty((rows, end - start), dtype=np.float32)
        for column in range(start, end):
            wanted = rest[:, column : column + 1]
            rounded = np.clip(np.rint(wanted / scales) + zero_points, 0, top)
            codes[:, column : column + 1] = rounded
            error = (wanted - (rounded - zero_points) * scales) / factor[column, column]
            errors[:, column - start : column - start + 1] = error
            rest[:, column + 1 : end] -= error * factor[column, column + 1 : end]
        rest[:, end:] -= errors @ factor[start:end, end:]
    return Rounded(
        codes.reshape(rows, len(all_scales), -1),
        np.stack(all_zero_points, axis=1).astype(np.uint8),
        np.stack(all_scales, axis=1).astype(np.float16),
    )


def _inverse_factor(moments: NDArray[np.float64]) -> Floats:
    """Upper triangular U with UᵀU the inverse of the damped moments, [columns, columns]."""
    damped = np.array(moments, dtype=np.float64)
    diagonal = np.diag_indices_from(damped)
    unseen = damped[diagonal] <= 0  # columns of zeros, added to fill a block, and inputs that are always zero
    damped[diagonal] += DAMPING * damped[diagonal].mean() + unseen
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
