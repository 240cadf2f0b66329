"""Which part of which buffer each value of a graph lies in.

Slices and reshapes are views of what is there. A result may take the place of an operand that nobody reads any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from edgeslm.backends.cortexm.program import Use
from edgeslm.ir.graph import Graph, Node
from edgeslm.ir.nodes import Reshape, Slice


@dataclass(frozen=True)
class Region:
    """`count` elements of a buffer from `start` on."""

    buffer: str
    start: int
    count: int

    @property
    def use(self) -> Use:
        return Use(self.buffer, self.start)

    def meets(self, other: Region) -> bool:
        apart = self.start >= other.start + other.count or other.start >= self.start + self.count
        return self.buffer == other.buffer and not apart


@dataclass
class Buffers:
    """Values enter in the order of the graph's nodes, views of them together with them."""

    graph: Graph
    _regions: dict[str, Region] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._place = {node.name: place for place, node in enumerate(self.graph.nodes)}

    def __getitem__(self, name: str) -> Region:
        return self._regions[name]

    def __contains__(self, name: str) -> bool:
        return name in self._regions

    def enter(self, name: str, region: Region) -> None:
        """The value, and all that are views of it."""
        self._regions[name] = region
        for node in self.graph.readers(name):
            view = self._view(node, region)
            if view is not None:
                self.enter(node.name, view)

    def is_view(self, node: Node) -> bool:
        return node.name in self._regions

    def is_last_reader(self, node: Node, name: str) -> bool:
        """Whether nobody reads the value's bytes after `node`, by whatever name."""
        return all(place <= self._place[node.name] for place in self._reads(name))

    def is_undisturbed(self, name: str, first: Node, last: Node) -> bool:
        """Whether from `first` on nobody but `last` reads the value's bytes: they may change under it."""
        return all(place < self._place[first.name] or place == self._place[last.name] for place in self._reads(name))

    def _reads(self, name: str) -> list[int]:
        """Places of the nodes that read what overlaps the value; views read nothing."""
        own, end = self._regions[name], len(self.graph.nodes)
        places = []
        for other, region in self._regions.items():
            if region.meets(own):
                places += [self._place[one.name] for one in self.graph.readers(other) if one.name not in self._regions]
                places += [end] if other in self.graph.outputs else []
        return places

    def _view(self, node: Node, source: Region) -> Region | None:
        """Of one row: elements in order, or a run of them."""
        kind = node.kind
        if isinstance(kind, Reshape):
            return source
        if not isinstance(kind, Slice) or kind.step != 1:
            return None
        shape = self.graph.tensor(node.inputs[0]).shape
        if prod(shape[: kind.axis]) != 1:
            return None
        inner = prod(shape[kind.axis + 1 :])
        return Region(source.buffer, source.start + kind.start * inner, (kind.stop - kind.start) * inner)
