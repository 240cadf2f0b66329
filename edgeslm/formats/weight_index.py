"""Finding a checkpoint parameter by its values: exporters and converters rename, transpose and merge tensors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import OnnxModel
from edgeslm.formats.onnx_file import load_onnx

Floats = NDArray[np.float32]


def values_digest(array: NDArray[Any]) -> str:
    """Digest of shape and float32 values."""
    floats = np.ascontiguousarray(array, dtype=np.float32)
    return hashlib.sha256(repr(floats.shape).encode() + floats.tobytes()).hexdigest()


@dataclass(frozen=True)
class WeightIndex:
    """The parameters that an exported graph holds, found by name or by values."""

    _values: dict[str, Floats]
    _by_values: dict[str, str]

    @classmethod
    def of(cls, onnx: OnnxModel) -> WeightIndex:
        """Of the graph's initializers that hold a checkpoint parameter."""
        first = onnx.files[min(onnx.files)]
        graph = load_onnx(onnx.root / first).graph
        values: dict[str, Floats] = {}
        for name, parameter in onnx.parameter_of.items():
            tensor = graph.initializers[name].const_value
            assert tensor is not None, name
            values.setdefault(parameter, np.asarray(tensor.numpy(), dtype=np.float32))
        by_values: dict[str, str] = {}
        for parameter, array in values.items():
            for orientation in _orientations(array):
                by_values.setdefault(values_digest(orientation), parameter)
        return cls(values, by_values)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self._values)

    def parameter(self, array: NDArray[Any]) -> str | None:
        """The checkpoint parameter with these values, possibly transposed (2-D) or with extents of 1 added."""
        found = self._by_values.get(values_digest(array))
        if found is None and array.ndim > 0:
            squeezed = np.squeeze(array)
            found = self._by_values.get(values_digest(np.atleast_1d(squeezed)))
        return found

    def values(self, parameter: str) -> Floats:
        """Values of one parameter as the ONNX graph holds them (a Linear weight is [in, out])."""
        return self._values[parameter]


def _orientations(array: Floats) -> list[Floats]:
    return [array, array.T] if array.ndim == 2 else [array]
