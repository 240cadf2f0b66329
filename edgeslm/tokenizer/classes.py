"""The code points cut into at most 32 classes, so that each set a tokenizer asks about is some of them: 32 bits."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import UnsupportedError
from edgeslm.tokenizer.code_points import Members, sample_starts

MOST = 32


@dataclass(frozen=True)
class Classes:
    """`numbers` are the samples' classes; `masks` the bits of each name's classes."""

    numbers: NDArray[np.uint32]
    masks: dict[str, int]

    @property
    def content(self) -> bytes:
        """Where a class begins that holds up to the next such place: code point << 8 | class, uint32."""
        starts = np.flatnonzero(np.diff(self.numbers, prepend=np.uint32(MOST)))
        packed = (sample_starts()[starts] << np.uint32(8)) | self.numbers[starts]
        return struct.pack(f"<{len(packed)}I", *packed.tolist())


def classes_of(sets: Iterable[tuple[str, Members]]) -> Classes:
    """The fewest classes that tell these sets, by name, apart.

    Raises UnsupportedError where they are more than 32.
    """
    named = dict(sorted(sets))
    # The first class is the one of U+0000, the second begins where it first ends, and so on: the same for every run.
    keys = np.zeros((len(sample_starts()), max(1, -(-len(named) // 32))), np.uint32)
    for place, there in enumerate(named.values()):
        keys[:, place // 32] |= there.astype(np.uint32) << np.uint32(place % 32)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    if len(first) > MOST:
        raise UnsupportedError(
            f"the tokenizer's patterns tell {len(first)} classes of characters apart; a table holds {MOST}"
        )
    order = np.argsort(np.argsort(first))
    numbers = order[inverse.ravel()].astype(np.uint32)
    masks = {name: int(sum(1 << int(number) for number in np.unique(numbers[there]))) for name, there in named.items()}
    return Classes(numbers, masks)
