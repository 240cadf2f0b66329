"""One matrix, from floats to the bytes that a kernel reads in flash: rounded as planned, packed for the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Precision
from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.quantize.plan import BITS
from edgeslm.quantize.symmetric import round_matrix

Floats = NDArray[np.float32]
GROUPS = (16, 32)
"""Columns that the kernels' int4 blocks can have."""
DEFAULT_GROUP = 16
"""Of int4 on microcontrollers: narrow layers have few blocks, whose scales cost little."""
DAMPING = 0.1
"""Of the feedback's factor: blocks of 16 keep more with it than with 0.02 (docs/measurements.md)."""


@dataclass(frozen=True)
class MatrixFormat:
    """How a matrix lies in flash. `group` is of int4 alone."""

    precision: Precision
    rows: int
    columns: int
    bias: bool = False
    group: int = 0

    def bytes(self, variant: Variant) -> int:
        if self.precision == "fp32":
            return packing.packed_bytes_f32(self.rows, self.columns, bias=self.bias)
        if self.precision == "int4":
            return packing.packed_bytes_i4(self.rows, self.columns, self.group, bias=self.bias)
        return packing.packed_bytes_i8(self.rows, self.columns, variant.layout, bias=self.bias)


def pack_matrix(
    weights: Floats, form: MatrixFormat, variant: Variant, bias: Floats | None = None, moments: Floats | None = None
) -> bytes:
    """`weights` (rows, columns), `bias` (rows). `moments` (columns, columns) of the inputs, where they are known:
    errors of int4 are fed back then."""
    biases = None if bias is None else packing.to_fixed(bias) if variant.fixed else bias.astype(np.float32)
    if form.precision == "fp32":
        return packing.pack_f32(weights.astype(np.float32), bias)
    if form.precision == "int4":
        missing = -form.columns % form.group
        full = np.pad(weights, ((0, 0), (0, missing)))
        known = None if moments is None else np.pad(moments, (0, missing))  # what fills a block is given nothing
        rounded = round_matrix(full, BITS["int4"], form.group, known, DAMPING)
        scales = rounded.scales.astype(np.float16)
        return packing.pack_i4(rounded.codes[:, : form.columns], scales, form.group, variant.layout, biases)
    rounded = round_matrix(weights, BITS["int8"], None)
    return packing.pack_i8(rounded.codes, rounded.scales[:, 0], variant.layout, biases)


def unpack_matrix(packed: bytes, form: MatrixFormat, variant: Variant) -> Floats:
    """(rows, columns): the values that a kernel computes with."""
    bias: Any = (np.int32 if variant.fixed else np.float32) if form.bias else None
    if form.precision == "fp32":
        return packing.unpack_f32(packed, form.rows, form.columns, bias=form.bias)[0]
    if form.precision == "int4":
        codes, steps, _ = packing.unpack_i4(packed, form.rows, form.columns, form.group, variant.layout, bias=bias)
        values = codes * np.repeat(steps.astype(np.float32), form.group, axis=1)[:, : form.columns]
    else:
        codes, scales, _ = packing.unpack_i8(packed, form.rows, form.columns, variant.layout, bias=bias)
        values = codes * scales[:, None]
    return values.astype(np.float32)
