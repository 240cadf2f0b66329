"""OpenVINO's integers, which have zero points, rounded with error feedback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.rounding import Floats, Rounded, row_steps, search_blocks
from edgeslm.quantize import feedback

DAMPING = 0.01
"""MiniLM int4, worst cosine: 0.01 0.96, 0.05 0.96, 0.2 0.95; without feedback 0.92."""


def round_with_feedback(weights: Floats, moments: NDArray[np.float64], group: int | None) -> Rounded:
    """4 bits in blocks of `group` columns, or 8 bits by row where `group` is None.

    `weights` [rows, columns], `moments` [columns, columns]; columns is a multiple of `group`.
    """
    grid = _ZeroPointGrid(blocks=group is not None)
    codes = feedback.round_with_feedback(weights, feedback.feedback_factor(moments, DAMPING), grid, group)
    return Rounded(
        codes.astype(np.uint8).reshape(len(weights), len(grid.scales), -1),
        np.stack(grid.zero_points, axis=1).astype(np.uint8),
        np.stack(grid.scales, axis=1).astype(np.float16),
    )


@dataclass
class _ZeroPointGrid:
    """Steps [rows, 1] of each block entered, or of whole rows."""

    blocks: bool
    zero_points: list[Floats] = field(default_factory=list)
    scales: list[Floats] = field(default_factory=list)

    def enter(self, block: Floats, start: int) -> None:
        if self.blocks:
            _, zero_points, scales = search_blocks(block)
        else:
            zero_points, scales = row_steps(block)
        self.zero_points.append(zero_points)
        self.scales.append(scales)

    def round(self, column: Floats) -> tuple[NDArray[Any], Floats]:
        zero_points, scales = self.zero_points[-1][:, 0], self.scales[-1][:, 0]
        codes = np.clip(np.rint(column / scales) + zero_points, 0, 15 if self.blocks else 255)
        return codes, (codes - zero_points) * scales
