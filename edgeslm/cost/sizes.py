"""The bytes of a .tflite file before it is written, and the memory of the process that runs it.

A matrix takes its codes, padded to whole blocks, and its scales: of int8 a float32 and a zero point of 8 bytes for each
row, of int4 a float16 for each block. What a tensor says of itself is written for each graph that reads it. All else
(graphs, names, norms, biases, tables that stay floats) is known from the lowered model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgeslm.artifacts import Precision, TensorChoice
from edgeslm.cost.kernels import KernelCall, choice_of

ALIGNMENT = 16
SCALE_AND_ZERO = 12
QUANTIZATION_BYTES = 64
"""Of the tables around a matrix's scales and zero points."""
ENCODER_BLOCKS, DECODER_BLOCKS = 208, 156
"""Of an int4 matrix in each graph: the tensor of its scales, and where it says so. ai-edge-quantizer writes more."""
HALF_BYTES = 304
"""Of a matrix of halves in each graph: its tensor, and the operator that makes floats of it."""
PAD_BYTES = 420
"""Of an int4 matrix whose inputs are padded, in each graph."""


@dataclass(frozen=True)
class StoredMatrix:
    """[rows, columns] in the file, which may be wider than in the checkpoint. `tensors`: how many say that they are it;
    `fixed`: it stays float32 whatever is chosen, as it is small."""

    parameters: tuple[str, ...]
    rows: int
    columns: int
    uses: frozenset[str]
    tensors: int
    fixed: bool = False


Layouts = dict[tuple[str, ...], dict[tuple[Precision, int | None], int]]
"""A matrix's parameters -> (precision, group) -> its bytes, stored so."""


@dataclass(frozen=True)
class ModelShape:
    """A model before it is built. `calls`: signature -> what one run of it calls. `other_bytes`: of the file, without
    the matrices; `block_bytes`: of what says where an int4 matrix has its scales; `activation_bytes`: signature -> at
    least what lives at once. `layouts`: bytes of matrices where a .tflite file's rules do not hold, and ways that are
    not in it are impossible. `calls_of`: the calls of a run where they depend on how matrices are stored."""

    calls: Mapping[str, tuple[KernelCall, ...]]
    matrices: tuple[StoredMatrix, ...]
    other_bytes: int
    block_bytes: int
    activation_bytes: Mapping[str, int]
    layouts: Layouts | None = None
    calls_of: Callable[[Mapping[str, TensorChoice]], Sequence[KernelCall]] | None = None

    def bytes_of(self, matrix: StoredMatrix, precision: Precision, group: int | None) -> int | None:
        """What one matrix adds to the file, stored so; None where it cannot be."""
        if self.layouts is None:
            return matrix_bytes(matrix, precision, group, self.block_bytes)
        return self.layouts[matrix.parameters].get((precision, group))


def matrix_bytes(
    matrix: StoredMatrix, precision: Precision, group: int | None, block_bytes: int = ENCODER_BLOCKS
) -> int:
    """What one matrix adds to the file, stored so."""
    rows, columns = matrix.rows, matrix.columns
    if matrix.fixed or precision == "fp32":
        return _aligned(4 * rows * columns)
    if precision == "fp16":
        return _aligned(2 * rows * columns) + HALF_BYTES * matrix.tensors
    if precision == "int8" or group is None:
        codes = rows * columns
        return _aligned(codes) + SCALE_AND_ZERO * rows + QUANTIZATION_BYTES
    blocks = -(-columns // group)
    padding = PAD_BYTES * matrix.tensors if columns % group else 0
    codes = rows * blocks * group // 2
    return _aligned(codes) + _aligned(2 * rows * blocks) + block_bytes * matrix.tensors + padding


def size_bytes(shape: ModelShape, choices: Mapping[str, TensorChoice]) -> int:
    """The file's size when it is built so."""
    total = shape.other_bytes
    for matrix in shape.matrices:
        call = KernelCall("", 1, matrix.columns, matrix.rows, parameters=matrix.parameters)
        total += shape.bytes_of(matrix, *choice_of(call, choices)) or 0
    return total


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
