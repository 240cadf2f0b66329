"""A model as calls of kernels: the nouns between the graph and its C.

A program has parts, run in order: the embedding, runs of layers of equal shape (a loop each), the head. Calls name
activations, which the memory plan puts into one arena, and weights, which are fields of structs in flash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from numpy.typing import NDArray

from edgeslm.backends.cortexm.memory import Buffer

LOGITS = "logits"
"""The activation that a caller may have a place of its own for."""


@dataclass(frozen=True)
class Activation:
    """What one token leaves in RAM between two calls."""

    name: str
    kind: Literal["real", "quantized"]
    bytes: int
    shape: str  # "(64)", for the comment


@dataclass(frozen=True)
class Use:
    """An activation as an argument, from `offset` elements on; `stride` elements further at each repeat, `row` elements
    further for each token of a text."""

    name: str
    offset: int = 0
    stride: int = 0
    row: int = 0


@dataclass(frozen=True)
class Weight:
    """A field of the part's struct as an argument; one of edgeslm_weights itself where it is `shared`."""

    name: str
    shared: bool = False


Argument = Use | Weight | str
"""A string is C."""


@dataclass(frozen=True)
class Call:
    """One kernel, `repeats` times with the index `i` (a norm for each head, a row of a text). Calls of one `loop` that
    follow each other are done for each token of a text, with the index `t`; 0 is none."""

    kernel: str
    arguments: tuple[Argument, ...]
    comment: str = ""
    repeats: int = 1
    loop: int = 0

    @property
    def uses(self) -> Iterator[str]:
        return (argument.name for argument in self.arguments if isinstance(argument, Use))


@dataclass(frozen=True)
class Array:
    """A constant in flash. `values` are read when they are written out: 32-bit words of a packed matrix, floats or
    fixed-point numbers of a vector."""

    name: str
    type: Literal["uint32_t", "edgeslm_real", "edgeslm_frequency"]
    bytes: int
    comment: str
    parameters: tuple[str, ...]  # of the checkpoint; () for what follows from its configuration
    values: Callable[[], NDArray[Any]] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Field:
    """One of a struct's: a pointer to an array, or a number."""

    name: str
    type: Literal["const uint32_t *", "const edgeslm_real *", "const edgeslm_frequency *", "uint32_t", "edgeslm_real"]
    comment: str


@dataclass(frozen=True)
class Struct:
    """The weights of a layer. One row of `values` for each layer that has this shape."""

    name: str
    member: str  # of edgeslm_weights
    fields: tuple[Field, ...]
    values: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Part:
    """Calls in order. `layers` are the numbers of the layers that they are repeated for, None outside of them; the
    first of them has row `start` of `struct`."""

    title: str
    calls: tuple[Call, ...]
    activations: tuple[Activation, ...] = ()  # of this part alone
    layers: range | None = None
    struct: Struct | None = None
    start: int = 0


@dataclass(frozen=True)
class AttentionShape:
    """Of all layers: query heads, key and value heads, their dimensions, what scores are multiplied by, their cap."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    cap: float | None = None


@dataclass(frozen=True)
class Program:
    """`fields` and `values` are edgeslm_weights' own, outside of layers; `activations` are seen by all parts."""

    parts: tuple[Part, ...]
    activations: tuple[Activation, ...]
    arrays: tuple[Array, ...]
    fields: tuple[Field, ...]
    values: tuple[str, ...]
    structs: tuple[Struct, ...]
    attention: AttentionShape | None

    @property
    def weight_bytes(self) -> int:
        return sum(array.bytes for array in self.arrays)

    @property
    def table_bytes(self) -> int:
        """Of the structs that point to the arrays: a word for each field."""
        return 4 * (len(self.fields) + sum(len(one.fields) * len(one.values) for one in self.structs))

    def buffers(self) -> list[Buffer]:
        """Lifetimes, in steps: a call each. What was there before a loop and is used in it lives until its end; what a
        loop over tokens has in common with other calls lives as long as that loop.

        A part's own activations are called "number of the part/name".
        """
        loops: list[tuple[int, int]] = []
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        sizes = {one.name: one.bytes for one in self.activations}
        step = 0
        for number, part in enumerate(self.parts):
            begin, end = step, step + len(part.calls) - 1
            own = {one.name: one.bytes for one in part.activations}
            sizes |= {local(number, name): size for name, size in own.items()}
            loops += [(step + start, step + stop) for start, stop in _loops(part.calls)]
            for call in part.calls:
                for used in call.uses:
                    name = local(number, used) if used in own else used
                    carried = part.layers is not None and first.get(name, begin) < begin
                    first.setdefault(name, step)
                    last[name] = max(last.get(name, 0), end if carried else step)
                step += 1
        for start, stop in loops:
            for name in first:
                if first[name] <= stop and last[name] >= start and not start <= first[name] <= last[name] <= stop:
                    first[name], last[name] = min(first[name], start), max(last[name], stop)
        return [Buffer(name, sizes[name], start, last[name]) for name, start in first.items()]


def _loops(calls: Sequence[Call]) -> Iterator[tuple[int, int]]:
    """The first and the last call of each loop over tokens."""
    for loop, members in groupby(enumerate(calls), key=lambda one: one[1].loop):
        places = [place for place, _ in members]
        if loop:
            yield places[0], places[-1]


def local(part: int, name: str) -> str:
    """The buffer of a part's own activation."""
    return f"{part}/{name}"


def identifier(text: str) -> str:
    """A C identifier for a name of the checkpoint's."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return name if name and not name[0].isdigit() else f"w_{name}"
