"""Which kernels a program calls in a step or for a text, with their sizes: what a cost model is asked about.

They are read from the calls that the C is written from, so a cost model sees what will run. Kinds are our kernels'
names without "edgeslm_"; matrix products are "gemv" whatever the matrix is stored as, and rows of tables "lookup".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from edgeslm.artifacts import KvCache
from edgeslm.backends.cortexm.program import Argument, Call, Part, Program, Weight
from edgeslm.cost.kernels import SHORT, KernelCall

PREFIX = "edgeslm_"
MODES = {"EDGESLM_BIAS": "bias", "EDGESLM_ACCUMULATE": "accumulate"}
"""What a product adds its result to, as kernels of their own."""
SHORT_COLUMNS = 64
PRODUCT = re.compile(r"gemv_(i8|i4|f32)")
LOOKUP = re.compile(r"row_(i8|i4|f32)")
NUMBER = re.compile(r"([0-9]+)u?")
WINDOW = re.compile(r"first_seen\(position, ([^)]*)\)")
AT_THIRD = frozenset({"quantize_row", "add", "mul", "scale", "soft_cap", "rope_angles"})
"""Kernels whose third argument says how many numbers they go over."""
AT_FOURTH = frozenset({"rmsnorm", "quantize_static", "silu_mul", "gelu_tanh_mul"})


def step_program_calls(program: Program, position: int, kv_cache: KvCache, vocabulary: int) -> list[KernelCall]:
    """Of a decoder's step at `position`, with the choice of its token."""
    calls = []
    for part in program.parts:
        for layer in part.layers or (None,):
            place = _Place(program, part, layer, position + 1, kv_cache)
            calls += [one for call in part.calls for one in place.kernels(call)]
    return [*calls, KernelCall("argmax", 1, vocabulary, 1)]


def text_program_calls(program: Program, tokens: int, *, by_token: bool) -> list[KernelCall]:
    """Of an encoder's text of `tokens` tokens; of one that has outputs for each token, with all of them."""
    calls = []
    for number, part in enumerate(program.parts):
        is_output = number == len(program.parts) - 1
        for layer in part.layers or (None,):
            place = _Place(program, part, layer, tokens, "float32")
            for loop, members in groupby(part.calls, key=lambda call: call.loop):
                once = is_output and not by_token and loop == 0
                for call in members:
                    calls += [replace(one, times=1 if once else tokens) for one in place.kernels(call)]
    return calls


@dataclass(frozen=True)
class _Place:
    """A layer of a part (None outside of layers), where `seen` tokens are attended to."""

    program: Program
    part: Part
    layer: int | None
    seen: int
    kv_cache: KvCache

    def kernels(self, call: Call) -> Iterator[KernelCall]:
        found = [self._kernel(call)]
        if PRODUCT.fullmatch(call.kernel.removeprefix(PREFIX)):
            mode = call.arguments[-1]
            assert isinstance(mode, str)
            found += [KernelCall(kind, 1, 1, found[0].outputs) for word, kind in MODES.items() if word in mode]
        yield from found * call.repeats

    def _kernel(self, call: Call) -> KernelCall:
        given, name = call.arguments, call.kernel.removeprefix(PREFIX)
        if PRODUCT.fullmatch(name):
            rows, columns = self._number(given[3]), self._number(given[4])
            kind = SHORT if columns == SHORT_COLUMNS else "gemv"
            return KernelCall(kind, 1, columns, rows, parameters=self._parameters(given[1]))
        if LOOKUP.fullmatch(name):
            return KernelCall("lookup", 1, 1, self._number(given[3]), parameters=self._parameters(given[1]))
        if name.endswith("attention"):
            shape = self.program.attention
            assert shape is not None
            seen = self.seen - self._first_seen(given[6])
            return KernelCall(self._cached(name), 1, shape.head_dim, seen, batch=shape.heads)
        if name == "cache_store":
            shape = self.program.attention
            assert shape is not None
            return KernelCall(self._cached(name), 1, shape.kv_heads * shape.head_dim, 1)
        if name == "pool":
            return KernelCall(name, self._number(given[3]), self._number(given[2]), 1)
        if name == "rope":
            return KernelCall(name, 1, self._number(given[2]) * self._number(given[3]), 1)
        place = 2 if name in AT_THIRD else 3 if name in AT_FOURTH else 4 if name == "layernorm" else 1
        return KernelCall(name, 1, self._number(given[place]), 1)

    def _cached(self, name: str) -> str:
        return name if self.kv_cache == "float32" else f"{name} {self.kv_cache}"

    def _first_seen(self, argument: Argument) -> int:
        found = WINDOW.fullmatch(argument) if isinstance(argument, str) else None
        if found is None:
            return 0
        window = self._field("window") if found[1] == "layer->window" else found[1]
        return max(0, self.seen - self._number(window))

    def _number(self, argument: Argument) -> int:
        found = NUMBER.fullmatch(argument) if isinstance(argument, str) else None
        return self.seen if found is None else int(found[1])  # state->count

    def _parameters(self, argument: Argument) -> tuple[str, ...]:
        assert isinstance(argument, Weight)
        if argument.shared or self.layer is None:
            places = [number for number, one in enumerate(self.program.fields) if one.name == argument.name]
            name = self.program.values[places[0]]
        else:
            name = self._field(argument.name)
        return next(array.parameters for array in self.program.arrays if array.name == name)

    def _field(self, name: str) -> str:
        """What the layer's struct has in the field of this name."""
        struct, layer = self.part.struct, self.layer
        assert struct is not None
        assert layer is not None
        assert self.part.layers is not None
        (place,) = [number for number, one in enumerate(struct.fields) if one.name == name]
        return struct.values[self.part.start + layer - self.part.layers.start][place]
