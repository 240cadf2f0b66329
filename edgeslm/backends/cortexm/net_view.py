"""Where a value of a net lies: a buffer, a first element, and a stride for each axis.

Moving elements is another view of them, as long as a kernel takes strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True)
class View:
    """Element (i, j, …) is `start` + i · strides[0] + j · strides[1] + … of the buffer, in elements."""

    buffer: str
    start: int
    shape: Shape
    strides: Shape

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def is_dense(self) -> bool:
        """Whether its elements lie one behind the other, in order."""
        wanted = dense_strides(self.shape)
        return all(
            extent == 1 or stride == step for extent, stride, step in zip(self.shape, self.strides, wanted, strict=True)
        )

    def transposed(self, order: Sequence[int]) -> View:
        """Axis i is axis order[i] of this one."""
        shape, strides = (tuple(one[axis] for axis in order) for one in (self.shape, self.strides))
        return replace(self, shape=shape, strides=strides)

    def sliced(self, axis: int, start: int, stop: int, step: int = 1) -> View:
        shape, strides = list(self.shape), list(self.strides)
        shape[axis], strides[axis] = len(range(start, stop, step)), strides[axis] * step
        return View(self.buffer, self.start + start * self.strides[axis], tuple(shape), tuple(strides))

    def broadcast(self, shape: Shape) -> View:
        """By numpy's rules."""
        missing = len(shape) - len(self.shape)
        strides = (0,) * missing + tuple(
            0 if extent == 1 and wanted != 1 else stride
            for extent, stride, wanted in zip(self.shape, self.strides, shape[missing:], strict=True)
        )
        return replace(self, shape=shape, strides=strides)

    def moved(self, elements: int) -> View:
        return replace(self, start=self.start + elements)

    def reshaped(self, shape: Shape) -> View | None:
        """The same elements in the same order, None where no strides say that."""
        extents, (strides,) = collapsed(self.shape, self.strides)
        new: list[int] = []
        place, left = len(extents) - 1, 1  # `left` elements of the axis at `place` are in new axes already
        for extent in reversed(shape):
            while extent > 1 and place >= 0 and left == extents[place]:
                place, left = place - 1, 1
            if extent == 1:
                new.append(0)
                continue
            if place < 0 or extents[place] % (left * extent):
                return None
            new.append(strides[place] * left)
            left *= extent
        return View(self.buffer, self.start, shape, tuple(reversed(new)))


def are_same(one: View, other: View) -> bool:
    """Whether the same numbers are in the same order, whatever axes of extent 1 there are."""
    begin = one.buffer, one.start, collapsed(one.shape, one.strides)
    return begin == (other.buffer, other.start, collapsed(other.shape, other.strides))


def dense(buffer: str, shape: Shape) -> View:
    return View(buffer, 0, shape, dense_strides(shape))


def dense_strides(shape: Shape) -> Shape:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def collapsed(shape: Shape, *strides: Shape) -> tuple[Shape, tuple[Shape, ...]]:
    """Fewest axes over which all of them step as before: without those of extent 1, neighbours joined."""
    extents: list[int] = []
    found: list[list[int]] = [[] for _ in strides]
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        if extents and all(one[-1] == given[axis] * extent for one, given in zip(found, strides, strict=True)):
            extents[-1] *= extent
            for one, given in zip(found, strides, strict=True):
                one[-1] = given[axis]
            continue
        extents.append(extent)
        for one, given in zip(found, strides, strict=True):
            one.append(given[axis])
    return tuple(extents), tuple(tuple(one) for one in found)


def filled_up(extents: Shape, strides: Sequence[Shape], count: int) -> tuple[Shape, tuple[Shape, ...]]:
    """With leading axes of extent 1, so that there are `count`."""
    missing = count - len(extents)
    return (1,) * missing + extents, tuple((0,) * missing + one for one in strides)
