"""Samples on disk: a list of named arrays each, as a deterministic .npz (a stored zip of .npy members)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import InternalError

EPOCH = (1980, 1, 1, 0, 0, 0)  # numpy.savez writes the time of day: the same samples would get another digest


def write_samples(path: Path, samples: Sequence[Mapping[str, NDArray[Any]]]) -> None:
    """Write sample i's arrays under the keys "i/name"."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, sample in enumerate(samples):
            for name, array in sample.items():
                buffer = io.BytesIO()
                np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{number}/{name}.npy", EPOCH), buffer.getvalue())


def read_samples(path: Path) -> list[dict[str, NDArray[Any]]]:
    """What write_samples wrote, in its order. Raises InternalError for a file it did not write."""
    samples: list[dict[str, NDArray[Any]]] = []
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            number, _, name = key.partition("/")
            if int(number) == len(samples):
                samples.append({})
            elif int(number) != len(samples) - 1:
                raise InternalError(f"{path} holds sample {number} out of order")
            samples[-1][name] = archive[key]
    return samples
