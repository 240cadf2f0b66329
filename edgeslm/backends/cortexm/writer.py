"""Calls of kernels for one part of a program, an operation at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.program import Activation, Argument, Array, Call, Field, Use, Weight
from edgeslm.backends.cortexm.quantize import Floats, MatrixFormat, pack_matrix
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import InternalError

Values = Callable[[], Floats]


@dataclass(frozen=True)
class Matrix:
    """What a matrix is and where its values come from: the checkpoint's `parameters`; `moments` are of its inputs.
    `limit`: the greatest magnitude that they are quantized for; None for that of each row."""

    parameters: tuple[str, ...]
    form: MatrixFormat
    weights: Values
    bias: Values | None = None
    moments: Callable[[], Floats | None] = field(default=lambda: None)
    limit: float | None = None

    @property
    def name(self) -> str:
        return " + ".join(self.parameters)

    @property
    def mode(self) -> str:
        return "EDGESLM_BIAS" if self.form.bias else "0u"


@dataclass
class PartWriter:
    """Collects what one part is made of. `prefix` stands before the names of its arrays; names of `around` are
    taken."""

    variant: Variant
    prefix: str = ""
    around: PartWriter | None = None
    shared: bool = False  # whether its weights are edgeslm_weights' own
    calls: list[Call] = field(default_factory=list)
    activations: dict[str, Activation] = field(default_factory=dict)
    arrays: list[Array] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    loop: int = 0  # over a text's tokens, that calls are in
    _quantized: dict[tuple[Use, int, int, float | None], Use] = field(default_factory=dict)

    # ---- What calls are made of ----

    def real(self, name: str, *extents: int) -> Use:
        """A new activation of reals."""
        return self._activation(name, "real", 4 * int(np.prod(extents)), _shape(extents))

    def call(self, kernel: str, *arguments: Argument | int, comment: str = "", repeats: int = 1) -> None:
        """Add one. What it writes is no longer what was quantized from it."""
        given = tuple(f"{one}u" if isinstance(one, int) else one for one in arguments)
        self.calls.append(Call(kernel, given, comment, repeats, self.loop))
        written = given[0] if given else None
        if isinstance(written, Use):
            self._quantized = {key: use for key, use in self._quantized.items() if key[0].name != written.name}

    def begin_loop(self, loop: int) -> None:
        """Calls from now on are of this loop over a text's tokens; 0 is none. What is quantized is another token's."""
        self.loop = loop
        self._quantized.clear()

    def again(self, array: str, name: str, like: PartWriter, weight: Weight) -> Weight:
        """What another part has in flash already, as the field `name` of this one."""
        (one,) = [one for one in like.fields if one.name == weight.name]
        self.fields.append(Field(self._free(name), one.type, one.comment))
        self.values.append(array)
        return Weight(self.fields[-1].name, self.shared)

    def matrix(self, matrix: Matrix, name: str) -> Weight:
        """A packed matrix in flash, as the field `name`."""
        form, variant = matrix.form, self.variant

        def words() -> NDArray[Any]:
            bias = matrix.bias() if matrix.bias else None
            packed = pack_matrix(matrix.weights(), form, variant, bias, matrix.moments())
            if len(packed) != form.bytes(variant):
                raise InternalError(f"{matrix.name} was planned with {form.bytes(variant)} bytes, has {len(packed)}")
            return np.frombuffer(packed, np.uint32)

        kind = form.precision + (f" in groups of {form.group}" if form.group else "")
        shape = f"({form.rows}, {form.columns}) {kind}" + (", biases" if form.bias else "")
        name = self._free(name)
        array = Array(
            self.prefix + name, "uint32_t", form.bytes(variant), f"{matrix.name}: {shape}", matrix.parameters, words
        )
        return self._constant(array, Field(name, "const uint32_t *", shape))

    def vector(self, name: str, parameters: tuple[str, ...], count: int, read: Values) -> Weight:
        """Reals in flash."""

        def reals() -> NDArray[Any]:
            values = read().reshape(-1)
            return packing.to_fixed(values) if self.variant.fixed else values.astype(np.float32)

        name = self._free(name)
        comment = f"{' + '.join(parameters) or name}: ({count})"
        array = Array(self.prefix + name, "edgeslm_real", 4 * count, comment, parameters, reals)
        return self._constant(array, Field(name, "const edgeslm_real *", f"({count})"))

    def frequencies(self, name: str, radians: tuple[float, ...]) -> Weight:
        """Of RoPE, per position."""
        values = packing.frequencies(np.array(radians), fixed=self.variant.fixed)
        count = len(radians)
        comment = f"rotary positions: ({count})"
        array = Array(self.prefix + name, "edgeslm_frequency", 4 * count, comment, (), lambda: values)
        return self._constant(array, Field(name, "const edgeslm_frequency *", f"({count})"))

    def number(self, name: str, value: int, comment: str) -> Weight:
        """A number of this layer's."""
        self.fields.append(Field(name, "uint32_t", comment))
        self.values.append(f"{value}u")
        return Weight(name, self.shared)

    def real_number(self, name: str, value: float, comment: str) -> Weight:
        """A real of this layer's."""
        name = self._free(name)
        self.fields.append(Field(name, "edgeslm_real", comment))
        self.values.append(f"EDGESLM_REAL({value:.9g})")
        return Weight(name, self.shared)

    # ---- Operations ----

    def linear(self, y: Use, matrix: Matrix, weight: Weight, x: Use, *, add: bool = False) -> None:
        """y = W x + b, or y += W x + b; x is quantized first unless the matrix is float32."""
        form = matrix.form
        modes = ["EDGESLM_BIAS"] * form.bias + ["EDGESLM_ACCUMULATE"] * add
        mode = " | ".join(modes) or "0u"
        if form.precision == "fp32":
            self.call("edgeslm_gemv_f32", y, weight, x, form.rows, form.columns, mode)
            return
        quantized = self._quantize(x, form.columns, form.group, matrix.limit)
        if form.precision == "int4":
            self.call("edgeslm_gemv_i4", y, weight, quantized, form.rows, form.columns, form.group, mode)
        else:
            self.call("edgeslm_gemv_i8", y, weight, quantized, form.rows, form.columns, mode)

    def row(self, y: Use, matrix: Matrix, weight: Weight, index: str) -> None:
        """y = one row of a table."""
        form = matrix.form
        if form.precision == "fp32":
            self.call("edgeslm_row_f32", y, weight, index, form.columns, matrix.mode)
        elif form.precision == "int4":
            self.call("edgeslm_row_i4", y, weight, index, form.columns, form.group, matrix.mode)
        else:
            self.call("edgeslm_row_i8", y, weight, index, form.columns, matrix.mode)

    def _quantize(self, x: Use, columns: int, group: int, limit: float | None) -> Use:
        """The same row is quantized once for all matrices that read it."""
        known = self._quantized.get((x, columns, group, limit))
        if known is not None:
            return known
        size = packing.quantized_bytes(columns, self.variant.layout, group)
        shape = f"({columns}), quantized" + (f", sums of {group}" if group else "")
        quantized = self._activation(f"{x.name}_q", "quantized", size, shape)
        if limit is None:
            self.call("edgeslm_quantize_row", quantized, x, columns, group)
        else:
            most = self.real_number(f"{x.name}_limit", limit, f"greatest |{x.name}| that its int8 stands for")
            self.call("edgeslm_quantize_static", quantized, x, most, columns, group)
        self._quantized[x, columns, group, limit] = quantized
        return quantized

    def _activation(self, name: str, kind: Any, size: int, shape: str) -> Use:
        taken = {*self.activations, *(self.around.activations if self.around else ())}
        unique = _unlike(name, taken)
        self.activations[unique] = Activation(unique, kind, size, shape)
        return Use(unique)

    def _free(self, name: str) -> str:
        """The name, with a number where it is taken: the first part and the last have one struct."""
        fields = [*self.fields, *(self.around.fields if self.around and self.shared else ())]
        return _unlike(name, {one.name for one in fields})

    def _constant(self, array: Array, one: Field) -> Weight:
        self.arrays.append(array)
        self.fields.append(one)
        self.values.append(array.name)
        return Weight(one.name, self.shared)


def _shape(extents: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, extents))})"


def _unlike(name: str, taken: Collection[str]) -> str:
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique
