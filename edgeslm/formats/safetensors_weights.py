"""Tensors of a checkpoint's safetensors files, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray


class SafetensorsWeights:
    """Called with a tensor's name: its values as float32, a copy of its own. The files are mapped, never read whole.

    `file_of`: tensor -> the file in `folder` that holds it.
    """

    def __init__(self, folder: Path, file_of: Mapping[str, str]) -> None:
        from safetensors import safe_open

        self._file_of = dict(file_of)
        self._opened = ExitStack()
        self._files: dict[str, Any] = {
            file: self._opened.enter_context(safe_open(folder / file, framework="np"))
            for file in sorted(set(self._file_of.values()))
        }

    def __call__(self, name: str) -> NDArray[np.float32]:
        values: NDArray[Any] = self._files[self._file_of[name]].get_tensor(name)
        return values.astype(np.float32, copy=False)

    def __enter__(self) -> SafetensorsWeights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
        self._files.clear()
