"""Second moments of layers' inputs on disk: one matrix for all layers that are given the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.formats.samples import write_samples

SAME = " = "
"""Between a layer's name and the name of the one whose matrix is its own, in the key of an empty array."""


def write_moments(path: Path, moments: Mapping[str, NDArray[Any]], same: Mapping[str, str]) -> None:
    """`same`: parameter -> the parameter whose moments are its own."""
    empty = np.zeros(0, np.uint8)
    write_samples(path, [dict(moments) | {f"{name}{SAME}{of}": empty for name, of in same.items()}])


@contextmanager
def open_moments(path: Path) -> Iterator[Callable[[str], NDArray[np.float32] | None]]:
    """Parameter -> its moments [in, in], read when they are asked for; None for a parameter without."""
    with np.load(path, allow_pickle=False) as archive:
        names = {key.removeprefix("0/"): key for key in archive.files}
        same = dict(name.split(SAME) for name in names if SAME in name)

        def moments(parameter: str) -> NDArray[np.float32] | None:
            key = names.get(same.get(parameter, parameter))
            return None if key is None else archive[key]

        yield moments
