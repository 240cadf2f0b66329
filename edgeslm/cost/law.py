"""A kernel's cost by shape: a sum of terms, none of them negative, fitted to measured shapes.

A matrix kernel computes tiles of `row_tile` rows by `column_tile` columns, whole ones even where a part is left, and
steps through the inputs `depth_tile` at a time (XNNPACK's mr, nr and kr; so do our own kernels). So cost is a sum over
calls, rows, tiles and steps of tiles:

    call + batch · (batch + rows · (row + row_in · inputs + row_out · outputs)
                          + tiles · (tile + depth · inputs rounded up + block · blocks)
                          + wide tiles · (wide + wide_depth · inputs rounded up) + pack · inputs · outputs)

Some kernels take `wide_rows` rows at once as long as there are so many, and tiles of the rest (KleidiAI's step of 16).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.cost.kernels import ACTIVATED, LINEAR, SHORT, STATIC, KernelCall

TERMS = ("call", "batch", "row", "row_in", "row_out", "tile", "depth", "block", "wide", "wide_depth", "pack")
ROW_TILES = (1, 2, 3, 4, 5, 6, 7, 8)
COLUMN_TILES = (1, 8, 16, 32, 64)
DEPTH_TILES = (1, 8)
VECTOR_COLUMNS = (1, 2, 4, 8, 16, 32, 64)
WIDE_ROWS = (0, 16)
VECTOR = " vector"
PRODUCT, OUTER, ATTENTION = "batch_matmul", " outer", "attention"
SELF_ATTENTION = "self_attention"
"""Both products and the softmax in one kernel: `batch` heads, `rows` queries of `inputs` numbers, `outputs` keys."""

Floats = NDArray[np.float64]
Tiles = tuple[int, int, int, int]
"""row_tile, column_tile, depth_tile, wide_rows (0: there are no wide ones)."""


@dataclass(frozen=True)
class Law:
    """`terms` in the order of TERMS; `spread` is the largest relative error on `held_out` shapes that it was not
    fitted to."""

    row_tile: int
    column_tile: int
    depth_tile: int
    wide_rows: int
    terms: tuple[float, ...]
    group: int | None = None
    spread: float = 0.0
    held_out: int = 0

    def cost(self, call: KernelCall) -> float:
        tiles = (self.row_tile, self.column_tile, self.depth_tile, self.wide_rows)
        return call.times * float(np.dot(features(call, tiles, self.group), self.terms))


def features(call: KernelCall, tiles: Tiles, group: int | None = None) -> Floats:
    """What each of TERMS is multiplied by."""
    row_tile, column_tile, depth_tile, wide_rows = tiles
    columns = call.batch * math.ceil(call.outputs / column_tile)
    wide, left = divmod(call.rows, wide_rows) if wide_rows else (0, call.rows)
    count = columns * math.ceil(left / row_tile)
    wide *= columns
    deep = math.ceil(call.inputs / depth_tile) * depth_tile
    rows = call.batch * call.rows
    blocks = math.ceil(call.inputs / group) if group else 0
    inner = call.batch * call.inputs * call.outputs
    terms = [1, call.batch, rows, rows * call.inputs, rows * call.outputs, count, count * deep, count * blocks]
    terms += [wide, wide * deep, inner]
    return np.array(terms, dtype=np.float64)


def fit_law(
    points: Sequence[tuple[KernelCall, float]],
    held_out: Sequence[tuple[KernelCall, float]],
    group: int | None = None,
    resolution: float = 0.0,
) -> Law:
    """The law with the least sum of squared relative errors on `points`; its spread is that on `held_out`. What lies
    below `resolution` was not seen: errors are relative to a cost and that.

    Terms that are no bigger than rounding are zero, and of tiles that fit as well the smallest are taken. Raises
    ValueError where there are no points.
    """
    if not points:
        raise ValueError("a law wants points")
    kind = points[0][0].kind.removesuffix(STATIC).removesuffix(ACTIVATED)
    used = [TERMS.index(name) for name in _terms_of(kind, group)]
    wanted = np.array([cost for _, cost in points])
    seen = np.maximum(wanted + resolution, 1e-12)
    best: tuple[float, Tiles, Floats] | None = None
    for tiles in _tiles_of(kind, len(points)):
        matrix = np.stack([features(call, tiles, group) for call, _ in points])[:, used] / seen[:, None]
        found = nonnegative(matrix, wanted / seen)
        error = float(np.square(matrix @ found - wanted / seen).sum())
        # In the order of _tiles_of: what explains the points hardly better than what is simpler is chance.
        if best is None or error < (0.25 if tiles[-1] > best[1][-1] else 0.98) * best[0] - 1e-12:
            best = (error, tiles, found)
    assert best is not None
    terms = [0.0] * len(TERMS)
    for place, value in zip(used, best[2], strict=True):
        terms[place] = float(f"{value:.6g}")
    law = Law(*best[1], tuple(terms), group)
    errors = [abs(law.cost(call) - cost) / (cost + resolution) for call, cost in held_out if cost + resolution > 0]
    return Law(*best[1], tuple(terms), group, float(f"{max(errors, default=0.0):.3g}"), len(errors))


def nonnegative(matrix: Floats, wanted: Floats) -> Floats:
    """x >= 0 with the least |matrix x - wanted|² (Lawson and Hanson, Solving Least Squares Problems, 1974)."""
    scale = np.linalg.norm(matrix, axis=0)
    scale[scale == 0] = 1
    scaled = matrix / scale
    count = scaled.shape[1]
    solution, free = np.zeros(count), np.zeros(count, dtype=bool)
    for _ in range(10 * count):
        gradient = scaled.T @ (wanted - scaled @ solution)
        candidates = np.where(free, -np.inf, gradient)
        entering = int(candidates.argmax())
        if candidates[entering] <= 1e-10:
            break
        free[entering] = True
        while True:
            trial = np.zeros(count)
            trial[free] = np.linalg.lstsq(scaled[:, free], wanted, rcond=None)[0]
            if (trial[free] > 0).all():
                break
            falling = free & (trial <= 0)
            steps = solution[falling] / np.maximum(solution[falling] - trial[falling], 1e-300)
            solution = solution + steps.min() * (trial - solution)
            free &= solution > 1e-14
            solution[~free] = 0
            if not free.any():
                break
        solution = trial if free.any() else np.zeros(count)
    found: Floats = solution / scale
    return found


def _terms_of(kind: str, group: int | None) -> tuple[str, ...]:
    if kind in (*LINEAR, SHORT):
        block: tuple[str, ...] = ("block",) if group else ()
        row: tuple[str, ...] = ("row",) if kind == "gemm" else ()
        # Reading the weights once is a part of a row's products, and beside several rows' it shows in times.
        wide: tuple[str, ...] = ("wide", "wide_depth", "pack") if kind == "gemm" else ()
        return ("call", *row, "row_in", "row_out", "tile", "depth", *block, *wide)
    if kind.startswith((PRODUCT, SELF_ATTENTION)):
        return ("call", "batch", "row", "row_out", "tile", "depth", "pack")
    if kind.partition(" ")[0] == ATTENTION:  # `outputs` positions of `inputs` numbers, for a batch of heads
        return ("call", "batch", "row_out", "pack")
    if kind.endswith(OUTER):
        return ("call", "row", "row_out", "pack")
    return ("call", "batch", "row", "row_in", "row_out")


def _tiles_of(kind: str, points: int) -> list[Tiles]:
    if kind in ("gemv", SHORT) or (kind.startswith(PRODUCT) and kind.endswith(VECTOR)):
        return [(1, columns, depth, 0) for depth in (*DEPTH_TILES, *COLUMN_TILES[2:]) for columns in VECTOR_COLUMNS]
    if kind == "gemm" or kind.startswith((PRODUCT, SELF_ATTENTION)):
        wide_rows = WIDE_ROWS if kind == "gemm" and points > len(TERMS) else WIDE_ROWS[:1]
        plain = itertools.product(wide_rows, DEPTH_TILES, COLUMN_TILES, ROW_TILES)
        return [(rows, columns, depth, wide) for wide, depth, columns, rows in plain]
    return [(1, 1, 1, 0)]


def described(law: Law) -> dict[str, Any]:
    """The terms by name, those that are zero left out."""
    return {name: value for name, value in zip(TERMS, law.terms, strict=True) if value}
