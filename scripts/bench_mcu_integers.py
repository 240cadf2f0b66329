"""What is counted of the kernels of static int8 graphs: an encoder layer of 16 tokens, 64 wide, 4 heads, ffn 256."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm import integer_packing
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.ir.fixed_point import Multiplier
from edgeslm.ir.requantize import mean_multiplier
from tests.firmware.integer_cases import Shape as Start
from tests.firmware.integer_cases import integer_case, linear_shape, multiplier, pair_shape, tensor
from tests.firmware.kernel_programs import Case

Measured = tuple[str, int, Case]
OUT = struct.pack("<iii", 3, -128, 127)
MATRICES = ((1, 256, 256), (1, 64, 64), (16, 64, 64), (16, 256, 64), (16, 64, 256))
"""Rows of x, rows, columns."""
PAIRS: tuple[tuple[str, str, Sequence[int], Sequence[int]], ...] = (
    ("add", "", (16, 64), (16, 64)),
    ("add", " by column", (16, 64), (64,)),
    ("sub", " by row", (16, 64), (16, 1)),
    ("squared_difference", " by row", (16, 64), (16, 1)),
    ("mul", "", (16, 64), (16, 64)),
    ("mul", " by row", (16, 64), (16, 1)),
    ("mul", " by column", (16, 64), (64,)),
)
COPIES = (("whole", (1, 1, 1, 1, 1024), (0, 0, 0, 0, 1)), ("transposed", (1, 1, 1, 64, 16), (0, 0, 0, 1, 64)))


def measured_integers(layout: Layout, repeats: int) -> Iterator[Measured]:
    """Label, elements (products for matrices), case."""
    random, variant = np.random.default_rng(0), Variant(layout)
    start = Start(1, 1, 1, False, 0, 0, variant)

    def integers(*size: int) -> NDArray[np.int8]:
        return random.integers(-127, 128, size).astype(np.int8)

    def case(kernel: str, size: int, arguments: Sequence[int], buffers: Sequence[bytes], **more: Any) -> Case:
        return integer_case(kernel, start, bytes(size), arguments, buffers, repeats=repeats, **more)

    for count, rows, columns in MATRICES:
        factors = [Multiplier(2**30 + 12345 + row, -7) for row in range(rows)]
        made = integer_packing.pack_linear(integers(rows, columns), np.zeros(rows, np.int32), factors, 3, variant)
        assert made is not None
        packed, by = made
        scratch = integer_packing.linear_scratch(variant, count, columns)
        sizes = linear_shape((count, rows, columns), by, (3, -128, 127))
        buffers = [integers(count, columns).tobytes(), packed, sizes]
        label = f"linear_s8 {count}x{columns} by {rows}x{columns}"
        yield label, count * rows * columns, case("linear_s8", count * rows, [0], buffers, scratch=scratch)
    for label, places in (("queries by keys", (16, 1, 64)), ("weights by values", (16, 64, 1))):
        head = struct.pack("<4I8i2i", 4, 16, 16, 16, 16, 64, 1, *places, 256, 16, 5, -3)
        head += multiplier(Multiplier(2**30 + 12345, -7)) + OUT
        buffers = [integers(16, 64).tobytes(), integers(16, 64).tobytes(), head, b""]
        scratch = integer_packing.matmul_scratch(variant, 16, 16)
        yield f"matmul_s8 4 heads of 16, {label}", 16384, case("matmul_s8", 1024, [0, 0], buffers, scratch=scratch)
    for function, label, first, second in PAIRS:
        tensors = tensor("a", first, 0.02, 5), tensor("b", second, 0.013, -9)
        shape = pair_shape(function, tensors, tensor("y", (16, 64), 0.02, 7), -128, 127)
        operands = [integers(*first).tobytes(), integers(*second).tobytes(), shape]
        yield f"{function}_s8 16x64{label}", 1024, case(f"{function}_s8", 1024, [0], operands)
    powers = integer_packing.softmax_powers(tensor("x", (1,), 0.05), 1.0)
    for rows, columns in ((1, 256), (64, 16)):
        buffers = [integers(rows, columns).tobytes(), powers.tobytes()]
        arguments = [0, rows, columns, len(powers)]
        yield f"softmax_s8 {rows}x{columns}", rows * columns, case("softmax_s8", rows * columns, arguments, buffers)
    by = mean_multiplier(tensor("x", (16, 64), 0.02), tensor("y", (16,), 0.02), 64)
    arguments = [16, 64, 1, 5, by.mantissa, by.shift]
    yield "mean_s8 16x64", 1024, case("mean_s8", 16, arguments, [integers(16, 64).tobytes(), OUT])
    yield "table_s8 1024", 1024, case("table_s8", 1024, [0, 1024], [integers(1024).tobytes(), integers(256).tobytes()])
    for label, extents, strides in COPIES:
        dense = (0, 0, 0, extents[4], 1)
        head = struct.pack("<5I", *extents) + struct.pack("<10i", *strides, *dense) + struct.pack("<I", 1)
        yield f"copy 1024, {label}", 1024, case("copy", 1024, [0], [integers(1024).tobytes(), head])
