"""What a backend can do with one parameter: the choices that a search has, and that a plan file may make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgeslm.artifacts import Parameter, Precision
from edgeslm.decoder import Decoder, Matrix, Part

Choice = tuple[Precision, int | None]
"""Precision, and columns to a scale; None is one scale to a row, or none at all."""

FEWEST_ROWS = 16
"""A table of fewer rows (token types: 2) is a few kB and in every token's sum: rounding it costs, and gains nothing."""
FEWEST_ELEMENTS = 1024
"""A smaller tensor stays float32, for the same reason."""


@dataclass(frozen=True)
class BackendChoices:
    """The finest first. `tables` are looked up, `matrices` multiplied with; `others` are weights of more dimensions
    (convolutions). `whole`: a matrix is not padded, so groups must divide its width; `whole_tables`: nor is a table.
    """

    matrices: tuple[Choice, ...]
    tables: tuple[Choice, ...]
    others: tuple[Choice, ...] = (("fp32", None),)
    whole: bool = False
    whole_tables: bool = True


_FP32: Choice = ("fp32", None)
_FP16: Choice = ("fp16", None)
_INT8: Choice = ("int8", None)


def _int4(*groups: int) -> tuple[Choice, ...]:
    return tuple(("int4", group) for group in groups)


ENCODERS: dict[str, BackendChoices] = {
    # LiteRT has kernels for these blocks alone; columns of zeros fill the last one.
    "tflite": BackendChoices(
        (_FP32, _FP16, _INT8, *_int4(32, 64, 128, 256)),
        (_FP32, _FP16, _INT8, *_int4(32, 64, 128, 256)),
        (_FP32, _INT8),
    ),
    # A table that is gathered has no blocks there.
    "openvino": BackendChoices((_FP32, _FP16, _INT8, *_int4(32, 64, 128)), (_FP32, _FP16, _INT8), (_FP32, _FP16)),
    "cortexm": BackendChoices((_FP32, _INT8, *_int4(16, 32)), (_FP32, _INT8, *_int4(16, 32)), whole_tables=False),
}
DECODERS: dict[str, BackendChoices] = {
    "tflite": BackendChoices(
        (_FP32, _INT8, *_int4(32, 64, 128, 256)), (_FP32, _INT8, *_int4(32, 64, 128, 256)), whole=True
    ),
    "openvino": BackendChoices((_FP32, _FP16, _INT8, *_int4(32, 64, 128)), (_FP32, _FP16, _INT8), whole=True),
    "cortexm": BackendChoices((_FP32, _INT8, *_int4(16, 32)), (_FP32, _INT8, *_int4(16, 32)), whole_tables=False),
}
"""Of language models, whose weights go into the file one at a time."""


def allowed_choices(parameter: Parameter, backend: str, *, language: bool = False) -> tuple[Choice, ...]:
    """Everything that `backend` can store this parameter as, the finest first; never empty. `language`: it is a
    decoder's, not an encoder's."""
    kinds = (DECODERS if language else ENCODERS)[backend]
    if parameter.role == "other" or parameter.elements < FEWEST_ELEMENTS:
        return (_FP32,)
    if len(parameter.shape) != 2:
        return kinds.others
    if parameter.role == "embedding" and parameter.shape[0] < FEWEST_ROWS:
        return (_FP32,)
    is_table, columns = parameter.role == "embedding", parameter.shape[1]
    found, whole = (kinds.tables, kinds.whole_tables) if is_table else (kinds.matrices, kinds.whole)
    return tuple(choice for choice in found if choice[1] is None or not whole or columns % choice[1] == 0)


def stored_together(parameters: Iterable[Parameter], decoder: Decoder | None) -> tuple[tuple[str, ...], ...]:
    """Names of the parameters that share a choice, because a decoder's graph has them side by side in one matrix
    (queries, keys, values; gate and up); every name once, in the order of `parameters`."""
    group_of: dict[str, tuple[str, ...]] = {}
    for parts in [] if decoder is None else _joined_parts(decoder):
        names = tuple(dict.fromkeys(part.parameter for part in parts))
        together = tuple(dict.fromkeys(other for name in names for other in group_of.get(name, (name,))))
        group_of |= dict.fromkeys(together, together)
    found = [group_of.get(parameter.name, (parameter.name,)) for parameter in parameters]
    return tuple(dict.fromkeys(found))


def _joined_parts(decoder: Decoder) -> Iterator[tuple[Part, ...]]:
    for matrix in matrices_of(decoder):
        yield matrix.parts
    for layer in decoder.layers:
        if layer.gate is not None:
            yield (*layer.gate.parts, *layer.up.parts)


def matrices_of(decoder: Decoder) -> tuple[Matrix, ...]:
    """Tables and weights of a decoder, in the order that a token meets them."""
    found = [decoder.embedding, decoder.learned_positions]
    for layer in decoder.layers:
        found += [layer.query_key_value, layer.output, layer.gate, layer.up, layer.down]
    return tuple(matrix for matrix in [*found, decoder.head] if matrix is not None)


def notation(choice: Choice) -> str:
    """As tables and plan files write it: "int8", "int4-g32"."""
    precision, group = choice
    return precision if group is None else f"{precision}-g{group}"
