"""A net as calls of kernels in order: the nouns between a graph of integers and its C."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.memory import BEFORE, Buffer

WIDTHS = {"int8": 1, "bool": 1, "int32": 4, "float32": 4}
"""Bytes of an element."""
SCRATCH = "scratch"


@dataclass(frozen=True)
class Place:
    """An argument in the arena: `bytes` behind the beginning of a buffer."""

    buffer: str
    bytes: int = 0


@dataclass(frozen=True)
class Known:
    """An argument in flash: an array, from element `start` on."""

    array: str
    start: int = 0


@dataclass(frozen=True)
class Object:
    """An argument that is a struct of constants, by its address. Equal ones are there once. A field is a number, a
    multiplier, an array of numbers, C, or a struct."""

    type: str
    fields: tuple[tuple[str, object], ...]

    def __getitem__(self, name: str) -> object:
        return dict(self.fields)[name]


Argument = Place | Known | Object | str
"""A string is C."""


@dataclass(frozen=True)
class Step:
    """One call of a kernel. `origin`: the operator of the file that it is for. `holds`: the call says with 0 that an id
    was outside of its table."""

    kernel: str
    arguments: tuple[Argument, ...]
    origin: str
    holds: bool = False

    @property
    def buffers(self) -> set[str]:
        return {one.buffer for one in self.arguments if isinstance(one, Place)}


@dataclass(frozen=True)
class FlashArray:
    """Numbers in flash: `weights` are those of the file (packed, or as they are), `tables` follow from its scales."""

    name: str
    type: Literal["uint32_t", "int32_t", "int8_t", "float"]
    kind: Literal["weights", "tables"]
    comment: str
    tensors: tuple[str, ...]  # of the file, that it holds
    values: NDArray[Any] = field(compare=False, repr=False)

    @property
    def bytes(self) -> int:
        return int(self.values.nbytes)


@dataclass(frozen=True)
class Port:
    """An input or an output: its place and what its numbers are. `scale` is None where they are no quantized ones."""

    name: str
    place: Place
    dtype: str
    shape: tuple[int, ...]
    scale: float | None = None
    zero_point: int = 0
    ids: int | None = None  # of an input of ids: how many rows they may name

    @property
    def bytes(self) -> int:
        return WIDTHS[self.dtype] * int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class NetProgram:
    """`sizes`: bytes of each buffer in the arena."""

    steps: tuple[Step, ...]
    sizes: dict[str, int]
    arrays: tuple[FlashArray, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def bytes_of(self, kind: str) -> int:
        return sum(array.bytes for array in self.arrays if array.kind == kind)

    def buffers(self) -> list[Buffer]:
        """Lifetimes, in steps. Inputs are there before the first and until they were read last; outputs stay."""
        ends = len(self.steps)
        uses: dict[str, list[int]] = {}
        _use(uses, (port.place.buffer for port in self.inputs), BEFORE)
        for number, step in enumerate(self.steps):
            _use(uses, step.buffers, number)
        _use(uses, (port.place.buffer for port in self.outputs), ends)
        return [Buffer(name, self.sizes[name], min(steps), max(steps)) for name, steps in uses.items()]


def _use(uses: dict[str, list[int]], buffers: Iterable[str], step: int) -> None:
    for name in buffers:
        uses.setdefault(name, []).append(step)
