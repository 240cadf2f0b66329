"""The bytes of an encoder's IR before it is written, from the lowered model.

A matrix takes its codes, with zero points and float16 scales, in model.bin, and text in model.xml for what makes floats
of them. The text's lengths were measured of built models; names and numbers of more digits change them by some bytes.
"""

from __future__ import annotations

import math

from edgeslm.artifacts import LoweredModel
from edgeslm.backends.openvino.ir import constants, read_ir
from edgeslm.backends.openvino.kernel_calls import run_calls
from edgeslm.cost.sizes import Layouts, ModelShape, StoredMatrix
from edgeslm.quantize.choices import ENCODERS, Choice

TABLE_TEXT = {"fp32": 0, "fp16": 842, "int8": 2_883, "int4": 2_883}
MATRIX_TEXT = {"fp32": 0, "fp16": 896, "int8": 2_943, "int4": 3_972}
"""Bytes of model.xml that each adds to what floats take there."""
PADDED_TEXT, PADDED_BYTES = 1_000, 32
"""Of a matrix whose last block is filled up, where some share the operator that widens their input."""
SHAPE_BYTES = 16
"""Of the shape that blocks are put together to."""


def encoder_shape(lowered: LoweredModel, tokens: int | None = None) -> ModelShape:
    """Sizes, and what a run at `tokens` tokens calls, for which the graph runs here once; without them sizes alone."""
    layouts: Layouts = {}
    matrices = []
    stored = 0
    for constant in constants(read_ir(lowered.root)):
        parameter = lowered.tensors.get(constant.get_friendly_name())
        extents = tuple(constant.get_output_shape(0))
        if parameter is None or len(extents) != 2 or (parameter,) in layouts:
            continue
        readers = [(one.get_node(), one.get_index()) for one in constant.output(0).get_target_inputs()]
        is_table = any(node.get_type_name() != "MatMul" or place != 1 for node, place in readers)
        if not is_table and not readers[0][0].get_attributes()["transpose_b"]:
            extents = extents[::-1]
        rows, columns = extents
        known = ENCODERS["openvino"].tables if is_table else ENCODERS["openvino"].matrices
        layouts[(parameter,)] = {choice: _bytes(rows, columns, choice, is_table) for choice in known}
        matrices.append(StoredMatrix((parameter,), rows, columns, frozenset({"table" if is_table else "linear"}), 1))
        stored += 4 * rows * columns
    whole = sum((lowered.root / name).stat().st_size for name in lowered.files)
    return ModelShape(
        calls={"": () if tokens is None else run_calls(lowered.root, tokens, lowered.tensors)},
        matrices=tuple(matrices),
        other_bytes=whole - stored,
        block_bytes=0,
        activation_bytes={"": 0},
        layouts=layouts,
    )


def _bytes(rows: int, columns: int, choice: Choice, is_table: bool) -> int:
    precision, group = choice
    text = (TABLE_TEXT if is_table else MATRIX_TEXT)[precision]
    if precision == "fp32":
        return 4 * rows * columns
    if precision == "fp16":
        return 2 * rows * columns + text
    if group is None or is_table:
        return rows * columns + 3 * rows + text
    blocks = math.ceil(columns / group)
    padding = PADDED_TEXT + PADDED_BYTES if columns % group else 0
    return rows * blocks * group // 2 + math.ceil(2.5 * rows * blocks) + SHAPE_BYTES + text + padding
