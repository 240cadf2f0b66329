"""A decoder's weights as its graph wants them: rows of checkpoint tensors one after the other, scaled, padded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.decoder import Matrix, Part, Rotary

JOIN = "+"
"""Between the parameters' names in the name of an initializer that holds several."""
Weights = Callable[[str], NDArray[Any]]
"""Checkpoint parameter -> its float32 values."""


def rotary_table(rotary: Rotary, context: int, head_dim: int) -> NDArray[np.float32]:
    """[context, 2E]: cos, then sin as x · cos + turned(x) · sin wants it: minus in the first half of what is rotated,
    1 and 0 where nothing is."""
    angles = np.arange(context, dtype=np.float32)[:, None] * np.array(rotary.frequencies, dtype=np.float32)
    cos, sin = np.cos(angles) * np.float32(rotary.scale), np.sin(angles) * np.float32(rotary.scale)
    half = angles.shape[1]
    table = np.zeros((context, 2 * head_dim), dtype=np.float32)
    table[:, :head_dim] = 1
    table[:, : 2 * half] = np.tile(cos, 2)
    table[:, head_dim : head_dim + 2 * half] = np.concatenate([-sin, sin], axis=1)
    return table


def stacked(parts: Sequence[Part], weights: Weights) -> NDArray[np.float32]:
    pieces = []
    for part in parts:
        values = weights(part.parameter)
        pieces.append((values.T if part.transposed else values)[part.start : part.start + part.rows])
    return np.ascontiguousarray(joined(pieces), dtype=np.float32)


def scaled(values: NDArray[np.float32], first_rows: tuple[int, float] | None) -> NDArray[np.float32]:
    if first_rows is None or math.isclose(first_rows[1], 1):
        return values
    values = values.copy()
    values[: first_rows[0]] *= np.float32(first_rows[1])
    return values


def padded(values: NDArray[np.float32], *extents: int) -> NDArray[np.float32]:
    if values.shape == extents:
        return values
    return np.pad(values, [(0, wanted - had) for wanted, had in zip(extents, values.shape, strict=True)])


def joined(pieces: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def joined_names(parts: Iterable[Part]) -> str:
    return JOIN.join(dict.fromkeys(part.parameter for part in parts))


def module_of(*matrices: Matrix) -> str:
    """The checkpoint's modules that matrices belong to."""
    return JOIN.join(dict.fromkeys(part.parameter.rpartition(".")[0] for matrix in matrices for part in matrix.parts))
