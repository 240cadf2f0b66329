"""A decoder's weights as constants of an OpenVINO graph, rounded as planned, one matrix in memory at a time.

Integers go into the graph as compress.py puts them there, with one difference: eight bits have no zero points. A scale
to a row loses little (stories260k, perplexity ÷ fp32: 1.0006), and without zero points the kernels of CPUs that have no
int8 dot products take two thirds of the time (a step through 22M weights on AVX2: 5.4 against 8.0 ms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Precision, StoredTensor, TensorChoice
from edgeslm.backends.openvino.feedback import round_with_feedback
from edgeslm.backends.openvino.installed import import_openvino
from edgeslm.backends.openvino.rounding import LARGEST_SCALE, SMALLEST_SCALE, Floats, pack_nibbles, round_blocks
from edgeslm.decoder import Matrix, Part
from edgeslm.quantize.plan import BITS

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

    from edgeslm.backends import MomentsOf, WeightsOf

LARGEST_CODE = np.float32(127)
HALF_LIMIT = np.finfo(np.float16).max
ALIGNED = 64  # bytes
SEPARATOR = "+"  # between the parameters in a constant's name


class LanguageWeights:
    """Makes the constants of one graph. Their values lie in the file `spool`, mapped, until the graph is written.

    `choices` and `moments` by checkpoint parameter, as in a backend's write_language.
    """

    def __init__(
        self, read: WeightsOf, choices: Mapping[str, TensorChoice], moments: MomentsOf, spool: BinaryIO
    ) -> None:
        self._read = read
        self._choices = choices
        self._moments = moments
        self._spool = spool
        self._mapped: list[NDArray[Any]] = []  # constants share this memory, and do not hold all of it
        self._openvino: Any = import_openvino()
        self._ops: Any = self._openvino.opset13
        self._made: dict[tuple[Part, ...], openvino.Node] = {}
        self._stored: dict[str, StoredTensor] = {}

    @property
    def stored(self) -> tuple[StoredTensor, ...]:
        """One entry for each parameter read so far; bytes of a constant are shared by its rows."""
        return tuple(self._stored.values())

    def vector(self, name: str) -> Floats:
        """A norm's weight or bias, which stays float32."""
        values = self._read(name)
        self._note([Part(name, len(values))], name, "fp32", values.nbytes)
        return values

    def bias(self, parts: Sequence[Part]) -> Floats:
        """[out] float32, the parts in order."""
        for part in parts:
            self._note([part], part.parameter, "fp32", 4 * part.rows)
        return np.concatenate([self._read(part.parameter)[part.start :][: part.rows] for part in parts])

    def matrix(
        self, matrix: Matrix, *, looked_up: bool = False, first_rows: tuple[int, float] = (0, 1)
    ) -> openvino.Node:
        """[out, in], float32 as computed from what is stored. Tied matrices are one constant.

        `looked_up`: its rows are gathered, which takes no blocks. `first_rows`: how many rows are scaled, by how much.
        """
        if matrix.parts not in self._made:
            name = SEPARATOR.join(dict.fromkeys(part.parameter for part in matrix.parts))
            choices = [self._choices[part.parameter] for part in matrix.parts]
            chosen = max(choices, key=lambda choice: BITS[choice.precision])  # of parts side by side the finest
            precision, note = chosen.precision, ""
            if precision == "int4" and (looked_up or chosen.group is None or matrix.columns % chosen.group):
                precision = "int8"
                note = f"int8: {'a table that is looked up has no blocks' if looked_up else 'no whole blocks'}"
            values = self._values(matrix, first_rows)
            before = self._spool.seek(0, 2)
            if precision == "int4":
                source = self._blocks(values, chosen.group or 0, self._moments(matrix.parts[0].parameter))
            else:
                source = {"fp32": self._floats, "fp16": self._halves, "int8": self._rows}[precision](values)
            source.set_friendly_name(name)
            self._note(matrix.parts, name, precision, self._spool.tell() - before, note)
            self._made[matrix.parts] = source
        return self._made[matrix.parts]

    def _values(self, matrix: Matrix, first_rows: tuple[int, float]) -> Floats:
        values = np.empty((matrix.rows, matrix.columns), np.float32)
        row = 0
        for part in matrix.parts:
            stored = self._read(part.parameter)
            values[row : row + part.rows] = (stored.T if part.transposed else stored)[part.start :][: part.rows]
            row += part.rows
        values[: first_rows[0]] *= np.float32(first_rows[1])
        return values

    def _floats(self, values: Floats) -> openvino.Node:
        return self._constant(values)

    def _halves(self, values: Floats) -> openvino.Node:
        half = np.clip(values, -HALF_LIMIT, HALF_LIMIT).astype(np.float16)
        return self._ops.convert(self._constant(half), "f32")

    def _rows(self, values: Floats) -> openvino.Node:
        """int8, a scale to a row."""
        wanted = np.abs(values).max(axis=1, keepdims=True) / LARGEST_CODE
        scales = np.clip(wanted, SMALLEST_SCALE, LARGEST_SCALE).astype(np.float16)
        codes = np.clip(np.rint(values / scales.astype(np.float32)), -LARGEST_CODE, LARGEST_CODE).astype(np.int8)
        steps = self._ops.convert(self._constant(codes), "f16")
        return self._ops.convert(self._ops.multiply(steps, self._constant(scales)), "f32")

    def _blocks(self, values: Floats, group: int, moments: NDArray[Any] | None) -> openvino.Node:
        """int4, a scale and a zero point to a block."""
        rounded = round_blocks(values, group) if moments is None else round_with_feedback(values, moments, group)
        codes, zeros = (self._nibbles(array) for array in (rounded.codes, rounded.zero_points))
        ops = self._ops
        steps = ops.subtract(ops.convert(codes, "f16"), ops.convert(zeros, "f16"))
        scaled = ops.multiply(steps, self._constant(rounded.scales))
        shape = ops.constant(np.array(values.shape, dtype=np.int64))
        return ops.convert(ops.reshape(scaled, shape, False), "f32")

    def _nibbles(self, codes: NDArray[np.uint8]) -> openvino.Node:
        packed = self._spooled(pack_nibbles(codes))
        shape = self._openvino.Shape(codes.shape)
        return self._ops.constant(self._openvino.Tensor(packed, shape, self._openvino.Type.u4), shared_memory=True)

    def _constant(self, values: NDArray[Any]) -> openvino.Node:
        return self._ops.constant(self._spooled(values), shared_memory=True)

    def _spooled(self, values: NDArray[Any]) -> NDArray[Any]:
        """The same values, mapped from the end of the file. OpenVINO insists on being able to write there."""
        start = -(-self._spool.seek(0, 2) // ALIGNED) * ALIGNED
        self._spool.seek(start)
        self._spool.write(np.ascontiguousarray(values).data)
        self._spool.flush()
        self._mapped.append(np.memmap(self._spool, values.dtype, "r+", start, values.shape))
        return self._mapped[-1]

    def _note(self, parts: Sequence[Part], tensor: str, precision: Precision, size: int, note: str = "") -> None:
        rows = sum(part.rows for part in parts)
        for part in parts:
            before = self._stored.get(part.parameter)
            share = size * part.rows // rows + (before.bytes if before else 0)
            self._stored[part.parameter] = StoredTensor(part.parameter, tensor, precision, share, note)
