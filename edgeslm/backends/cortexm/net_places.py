"""Where each value of a net is while its steps are written: views of buffers, copies where a kernel wants its numbers
one behind the other, results in the place of what nobody reads any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.net_homes import find_homes
from edgeslm.backends.cortexm.net_program import WIDTHS, Argument, FlashArray, Known, Place, Step
from edgeslm.backends.cortexm.net_structs import struct
from edgeslm.backends.cortexm.net_view import View, collapsed, dense, filled_up
from edgeslm.backends.cortexm.program import identifier
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import InternalError
from edgeslm.ir.graph import Graph, Node, Tensor

COPY_AXES = 5
"""Axes that edgeslm_copy has loops for."""


class NetPlaces:
    """Values enter in the order of the graph's nodes."""

    def __init__(self, graph: Graph, variant: Variant) -> None:
        self.graph = graph
        self.variant = variant
        self.steps: list[Step] = []
        self.sizes: dict[str, int] = {}
        self.arrays: dict[str, FlashArray] = {}
        self.homes = find_homes(graph)
        self._views: dict[str, View] = {}
        self._widths: dict[str, int] = {}
        self._dense: dict[str, View] = {}
        self._order = {node.name: place for place, node in enumerate(graph.nodes)}
        for tensor in graph.inputs:
            self._views[tensor.name] = self.new(tensor.name, tensor)

    # ---- Values ----

    def view(self, name: str) -> View:
        """Of a value that is there; a constant's numbers are entered where they are first read."""
        if name not in self._views:
            constant = self.graph.constant(name)
            if constant is None:
                raise InternalError(f"graph {self.graph.name}: {name} is read before it has a place")
            tensor = constant.tensor
            array = self.constant(name, constant.read().astype(tensor.dtype, copy=False), name)
            self._widths[array.name] = WIDTHS[tensor.dtype]
            self._views[name] = dense(array.name, tensor.shape)
        return self._views[name]

    def dense_view(self, node: Node, name: str) -> View:
        """Of a value whose numbers a kernel wants one behind the other: copied where they are not."""
        view = self.view(name)
        if view.is_dense:
            return view
        if name not in self._dense:
            self._dense[name] = self.copied(node, f"{name}#dense", view, self.graph.tensor(name))
        return self._dense[name]

    def copied(self, node: Node, buffer: str, view: View, tensor: Tensor) -> View:
        """Those numbers in a new buffer, one behind the other."""
        made = self.new(buffer, tensor, view.shape)
        self.copy(node, made, view)
        return made

    def enter(self, name: str, view: View) -> None:
        self._views[name] = view

    def result(self, node: Node, replaceable: Sequence[str] = ()) -> View:
        """The place of what the node makes: where it has to be, or in that of an operand, or a new buffer.

        `replaceable`: operands that the kernel reads element by element, where it writes.
        """
        home = self.homes.get(node.name)
        if home is not None:
            self._own(home.buffer, node)
        else:
            home = self._in_place(node, replaceable) or self.new(node.name, node.output)
        self._views[node.name] = home
        return home

    def new(self, buffer: str, tensor: Tensor, shape: tuple[int, ...] | None = None) -> View:
        extents = tensor.shape if shape is None else shape
        if buffer in self.sizes:
            raise InternalError(f"graph {self.graph.name}: two buffers are called {buffer}")
        self._widths[buffer] = WIDTHS[tensor.dtype]
        self.sizes[buffer] = self._widths[buffer] * prod(extents)
        return dense(buffer, extents)

    def _own(self, buffer: str, node: Node) -> None:
        """The buffer that a home is in: its size is that of the node it is called after."""
        whole = self.graph.tensor(buffer)
        self._widths[buffer] = WIDTHS[whole.dtype]
        self.sizes[buffer] = self._widths[buffer] * whole.elements

    def _in_place(self, node: Node, names: Sequence[str]) -> View | None:
        for name in names:
            view, tensor = self.view(name), self.graph.tensor(name)
            fits = view.is_dense and view.elements == node.output.elements and tensor.dtype == node.output.dtype
            if not fits or view.buffer not in self.sizes or self._is_read_after(node, view.buffer):
                continue
            others = [self._views[one] for one in node.inputs if one != name and one in self._views]
            if all(other.buffer != view.buffer or other == view for other in others):
                return dense(view.buffer, node.output.shape).moved(view.start)
        return None

    def _is_read_after(self, node: Node, buffer: str) -> bool:
        """Whether anything of the buffer is read by a later node, or handed out at the end."""
        here = self._order[node.name]
        return any(
            name in self.graph.outputs or any(self._order[one.name] > here for one in self.graph.readers(name))
            for name, view in [*self._views.items(), *self._dense.items()]
            if view.buffer == buffer
        )

    # ---- Steps ----

    def step(self, node: Node, kernel: str, *arguments: Argument, holds: bool = False) -> None:
        self.steps.append(Step(kernel, arguments, node.origin, holds))

    def at(self, view: View, further: int = 0) -> Argument:
        """A view's first element, and so many elements behind it, as an argument."""
        start = view.start + further
        if view.buffer in self.arrays:
            return Known(view.buffer, start)
        return Place(view.buffer, start * self._widths[view.buffer])

    def at_array(self, array: FlashArray) -> Argument:
        return Known(array.name)

    def width(self, buffer: str) -> int:
        """Bytes of its elements."""
        return self._widths[buffer]

    def scratch(self, size: int) -> Argument:
        """Bytes for one call."""
        if size == 0:
            return "NULL"
        buffer = f"scratch {len(self.steps)}"
        self.sizes[buffer] = size
        return Place(buffer)

    def copy(self, node: Node, to: View, of: View) -> None:
        """Elements moved. Of more axes than a call has loops for, a call for each index of the first ones."""
        extents, (ours, theirs) = collapsed(to.shape, of.strides, to.strides)
        outer = extents[: max(len(extents) - COPY_AXES, 0)]
        inner, strides = filled_up(extents[len(outer) :], (ours[len(outer) :], theirs[len(outer) :]), COPY_AXES)
        fields = {"extents": inner, "x": strides[0], "y": strides[1], "bytes": self._widths[to.buffer]}
        shape = struct("edgeslm_copy_shape", fields)
        for index in np.ndindex(outer):
            first, second = (sum(a * b for a, b in zip(index, one, strict=False)) for one in (ours, theirs))
            self.step(node, "edgeslm_copy", self.at(to, second), self.at(of, first), shape)

    # ---- Flash ----

    def constant(self, name: str, values: NDArray[Any], tensor: str) -> FlashArray:
        """Numbers of the file as they are."""
        types: dict[str, Any] = {"int8": "int8_t", "bool": "int8_t", "int32": "int32_t", "float32": "float"}
        return self._array(name, types[values.dtype.name], "weights", f"{name} {list(values.shape)}", (tensor,), values)

    def packed(self, name: str, content: bytes, comment: str, tensors: tuple[str, ...]) -> FlashArray:
        words = np.frombuffer(content + bytes(-len(content) % 4), "<u4")
        return self._array(f"{name} packed", "uint32_t", "weights", comment, tensors, words)

    def table(self, name: str, values: NDArray[Any]) -> FlashArray:
        """What follows from scales. Equal tables are there once."""
        for one in self.arrays.values():
            if one.kind == "tables" and one.values.dtype == values.dtype and np.array_equal(one.values, values):
                return one
        return self._array(name, "int8_t" if values.dtype == np.int8 else "int32_t", "tables", name, (), values)

    def _array(
        self, name: str, type_: Any, kind: Any, comment: str, tensors: tuple[str, ...], values: NDArray[Any]
    ) -> FlashArray:
        unique, number = f"{kind}_{identifier(name)}", 2
        while unique in self.arrays or unique in self.sizes:
            unique, number = f"{kind}_{identifier(name)}_{number}", number + 1
        made = FlashArray(unique, type_, kind, comment, tensors, values)
        self.arrays[unique] = made
        return made


Rule = Callable[[NetPlaces, Node], None]
