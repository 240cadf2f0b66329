"""The size of a file before it is written, held against what is built; and the memory of what is mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeslm.artifacts import TensorChoice
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.kernel_calls import kernel_calls
from edgeslm.backends.tflite.language_windows import CHUNKS, cache_segments, language_signatures
from edgeslm.backends.tflite.model_calls import decoder_shape
from edgeslm.cost.kernels import KernelCall
from edgeslm.cost.measured import RESIDENT
from edgeslm.cost.memory import MIB, ram_bytes
from edgeslm.cost.sizes import ModelShape, StoredMatrix, matrix_bytes, size_bytes
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.decoder_graph import Window, build_graph
from edgeslm.formats.safetensors_weights import SafetensorsWeights
from edgeslm.formats.tflite import read_tflite
from edgeslm.quantize.plan import choose_precisions
from edgeslm.quantize.schemes import find_scheme
from edgeslm.stages.language import weight_files_of
from tests.conftest import ROOT
from tests.tiny_language import build_language

STORIES = ROOT.parent / "shared" / "models" / "stories260k"
MATRIX = StoredMatrix(("w",), 64, 172, frozenset({"linear"}), 3)


def shape_of(folder: Path, context: int) -> ModelShape:
    checkpoint = open_checkpoint(str(folder))
    decoder = checkpoint.decoder
    assert decoder is not None
    segments = cache_segments(context)
    signatures = [(one.name, one.tokens, one.segments) for one in language_signatures(context)]
    with SafetensorsWeights(*weight_files_of(checkpoint)) as weights:
        return decoder_shape(
            lambda tokens, rows, places: (
                build_graph(decoder, Window(tokens, tuple(rows), places, "float32"), weights).graph
            ),
            signatures,
            segments,
            context + CHUNKS[-1],
        )


@pytest.mark.skipif(not STORIES.is_dir(), reason=f"{STORIES} is not here")
def test_a_language_models_file_has_the_size_that_was_foretold(tmp_path: Path) -> None:
    shape = shape_of(STORIES, 128)
    parameters = open_checkpoint(str(STORIES)).parameters
    for scheme in ("fp32", "int8"):  # int4 wants a calibration, which takes long
        (tmp_path / scheme).mkdir()
        built = build_language(STORIES, scheme, 128, tmp_path / scheme)
        foretold = size_bytes(shape, choose_precisions(parameters, find_scheme(scheme)))
        assert foretold == pytest.approx(built.bytes, rel=0.01), scheme
    step = next(name for name in shape.calls if name.startswith("step_"))
    model = read_tflite(built.root / built.files[0])
    index = next(one.subgraphIndex for one in model.signatureDefs if one.signatureKey.decode() == step)
    told = [(call.kind, call.rows, call.inputs, call.outputs) for call in shape.calls[step]]
    assert told == [(one.kind, one.rows, one.inputs, one.outputs) for one in kernel_calls(Graph(model, index))]


def test_bytes_of_a_matrix_hold_its_padding_and_its_scales() -> None:
    assert matrix_bytes(MATRIX, "fp32", None) == 4 * 64 * 172
    assert matrix_bytes(MATRIX, "int8", None) == 64 * 172 + 12 * 64 + 64
    whole = StoredMatrix(("w",), 64, 192, frozenset({"linear"}), 3)
    assert matrix_bytes(whole, "int4", 32, 0) == 64 * 192 // 2 + 64 * 6 * 2
    assert matrix_bytes(MATRIX, "int4", 32, 0) > matrix_bytes(whole, "int4", 32, 0)  # as wide, and zeros are added
    table = StoredMatrix(("t",), 64, 192, frozenset({"table"}), 1)
    assert matrix_bytes(table, "int4", 32) == matrix_bytes(table, "int8", None)  # tables have int8 kernels only


def test_memory_of_one_precision_is_the_measured_line_and_a_mixture_lies_between() -> None:
    matrices = tuple(StoredMatrix((name,), 512, 512, frozenset({"linear"}), 1) for name in "ab")
    shape = ModelShape({"run": (KernelCall("gemv", 1, 512, 512),)}, matrices, 4096, 0, {"run": 0})

    def ram(a: TensorChoice, b: TensorChoice) -> int:
        return ram_bytes("tflite", "aarch64", shape, {"a": a, "b": b}, cache_bytes=1000)

    eight, four = TensorChoice("int8", ""), TensorChoice("int4", "", 32)
    line = RESIDENT["tflite", "aarch64", "int8"]
    assert (
        ram(eight, eight)
        == round(line.factor * size_bytes(shape, {"a": eight, "b": eight}) + line.constant_mib * MIB) + 1000
    )
    assert ram(four, four) < ram(eight, four) < ram(eight, eight)


@pytest.mark.parametrize(
    ("left", "right", "kind", "batch", "rows", "outputs"),
    [
        ((64, 384), (64, 384), "add both", 1, 1, 64 * 384),
        ((64, 384), (384,), "add both", 1, 64, 384),
        ((64, 384), (64, 1), "add one", 1, 64, 384),
        ((64, 384), (1,), "add one", 1, 1, 64 * 384),
        ((4, 2, 8), (4, 1, 8), "add both", 4, 2, 8),
    ],
)
def test_arithmetic_is_loops_over_what_repeats_alike(
    left: tuple[int, ...], right: tuple[int, ...], kind: str, batch: int, rows: int, outputs: int
) -> None:
    from edgeslm.backends.tflite.kernel_calls import _binary

    made = tuple(max(one, other) for one, other in zip(left, (1,) * (len(left) - len(right)) + right, strict=True))
    call = _binary("add", left, right, made)
    assert (call.kind, call.batch, call.rows, call.outputs) == (kind, batch, rows, outputs)
