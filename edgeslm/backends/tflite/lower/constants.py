"""The constants of all graphs, each content once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class Constants:
    """`arrays[i]` is the content of the file's buffer i; the first is empty, as the schema wants it.

    Arrays are views of memory-mapped weights, transposed or not: their bytes are put in order one at a time, to be
    told apart here and once more when they are written.
    """

    arrays: list[Array] = field(default_factory=lambda: [np.zeros(0, np.uint8)])
    _buffers: dict[bytes, int] = field(default_factory=dict)
    _seen: dict[int, int] = field(default_factory=dict)  # by identity: a decoder's weights are read by many graphs

    def buffer(self, values: Array) -> int:
        """Number of the buffer with these bytes."""
        if values.size == 0:
            return 0
        if id(values) in self._seen and self.arrays[self._seen[id(values)]] is values:
            return self._seen[id(values)]
        digest = hashlib.sha256(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data).digest()
        if digest not in self._buffers:
            self._buffers[digest] = len(self.arrays)
            self.arrays.append(values)
            self._seen[id(values)] = self._buffers[digest]
        return self._buffers[digest]

    @property
    def bytes(self) -> int:
        return sum(values.nbytes for values in self.arrays)
