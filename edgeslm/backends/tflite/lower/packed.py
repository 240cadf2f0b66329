"""Matrices that are rounded already when the graph is lowered: their codes and scales, as LiteRT's file wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeslm.formats.tflite import schema

if TYPE_CHECKING:
    from edgeslm.backends.tflite.lower.graph import LoweringGraph


@dataclass(frozen=True, eq=False)
class PackedMatrix:
    """[rows, columns] as symmetric integers, or floats that are written like them.

    `codes`: float32 [rows, columns], without scales; int8 [rows, columns] with one scale for each row; or, for int4,
    uint8 [rows, columns / 2] of two codes each, the first in the low half, and a scale for each block of `group`
    columns: float16 [rows, columns / group].
    """

    precision: Literal["fp32", "int8", "int4"]
    columns: int
    codes: NDArray[Any]
    scales: NDArray[Any]  # float32 [rows] or float16 [rows, blocks]
    group: int | None = None

    @property
    def rows(self) -> int:
        return len(self.codes)

    @property
    def bytes(self) -> int:
        return self.codes.nbytes + self.scales.nbytes


def add_packed(graph: LoweringGraph, name: str, matrix: PackedMatrix) -> int:
    """A tensor with those codes and scales."""
    fbs = schema()
    shape = (matrix.rows, matrix.columns)
    if matrix.precision == "fp32":
        return graph.add_content(name, shape, np.float32, matrix.codes)
    tensor = graph.add_content(name, shape, np.int8, matrix.codes)
    described = graph.subgraph.tensors[tensor]
    quantization = described.quantization = fbs.QuantizationParametersT()
    if matrix.precision == "int8":
        quantization.scale = np.asarray(matrix.scales, dtype=np.float32)
        quantization.zeroPoint = np.zeros(matrix.rows, dtype=np.int64)
        quantization.quantizedDimension = 0
        return tensor
    described.type = fbs.TensorType.INT4
    details = quantization.details = fbs.BlockwiseQuantizationT()
    quantization.detailsType = fbs.QuantizationDetails.BlockwiseQuantization
    details.scales = graph.add_content(f"{name}/scales", matrix.scales.shape, np.float16, matrix.scales)
    details.zeroPoints = -1
    details.blockSize = matrix.group
    return tensor
