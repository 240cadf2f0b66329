"""Which kernels a step of a decoder calls on a microcontroller, for a cost model.

They are those that schedule.py writes calls of, for decoders with RMS norms and a gate of SiLU (Llama's kin), whose
kernels were measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeslm.cost.kernels import SHORT, KernelCall
from edgeslm.decoder import Decoder, Layer, Matrix
from edgeslm.errors import UnsupportedError


def step_calls(decoder: Decoder, position: int) -> list[KernelCall]:
    """The calls of the step at `position`, with the choice of its token. Raises UnsupportedError for other decoders."""
    plain = decoder.activation == "silu" and decoder.norm.kind == "rms" and decoder.learned_positions is None
    if not plain or any(layer.gate is None or layer.norm_feed is None for layer in decoder.layers):
        raise UnsupportedError(
            f"what a step of {decoder.family} costs on a microcontroller is not foretold",
            "build it, and edgeslm probe --via qemu counts it",
        )
    calls = [KernelCall("lookup", 1, 1, decoder.width, parameters=_names(decoder.embedding))]
    for layer in decoder.layers:
        calls += _layer(decoder, layer, position)
    calls.append(_over("rmsnorm", decoder.width))
    calls += _product(decoder.head)
    calls.append(_over("argmax", decoder.vocabulary))
    return calls


def _layer(decoder: Decoder, layer: Layer, position: int) -> Iterator[KernelCall]:
    dim = decoder.head_dim
    yield _over("rmsnorm", decoder.width)
    yield _over("quantize_row", decoder.width)
    for part in layer.query_key_value.parts:
        yield _gemv(part.rows, layer.query_key_value.columns, (part.parameter,))
    yield _over("rope", decoder.heads * dim)
    yield _over("rope", decoder.kv_heads * dim)
    yield KernelCall("attention", 1, dim, position + 1, batch=decoder.heads)
    yield from _product(layer.output)
    yield _over("rmsnorm", decoder.width)
    yield _over("quantize_row", decoder.width)
    assert layer.gate is not None
    for matrix in (layer.gate, layer.up):
        yield _gemv(matrix.rows, matrix.columns, _names(matrix))
    yield _over("silu_mul", layer.up.rows)
    yield from _product(layer.down)


def _product(matrix: Matrix) -> Iterator[KernelCall]:
    yield _over("quantize_row", matrix.columns)
    yield _gemv(matrix.rows, matrix.columns, _names(matrix))


def _gemv(rows: int, columns: int, parameters: tuple[str, ...]) -> KernelCall:
    return KernelCall(SHORT if columns == 64 else "gemv", 1, columns, rows, parameters=parameters)


def _over(kind: str, count: int) -> KernelCall:
    return KernelCall(kind, 1, count, 1)


def _names(matrix: Matrix) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.parameter for part in matrix.parts))
