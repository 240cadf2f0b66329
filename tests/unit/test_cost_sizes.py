"""The size of a file before it is written, held against what is built; and the memory of what is mixed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgeslm.artifacts import Precision, TensorChoice
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.kernel_calls import kernel_calls
from edgeslm.backends.tflite.language_windows import CHUNKS, cache_segments, language_signatures
from edgeslm.backends.tflite.model_calls import decoder_shape
from edgeslm.cost.measured import PROCESSES
from edgeslm.cost.memory import MIB, model_ram
from edgeslm.cost.sizes import Layouts, ModelShape, StoredMatrix, matrix_bytes, size_bytes
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
    assert matrix_bytes(table, "int4", 32, 0) == matrix_bytes(whole, "int4", 32, 0)


MINILM = (30_522, 384, 6, 1536)
"""Vocabulary, width, layers, width between."""


def minilm(lengths: tuple[int, ...]) -> ModelShape:
    """As its matrices lie in a .tflite; the largest operator of each length is what probes' models have."""
    vocabulary, width, layers, between = MINILM
    linear = [(width, width)] * 4 + [(between, width), (width, between)]
    matrices = [StoredMatrix(("words",), vocabulary, width, frozenset({"table"}), len(lengths))]
    matrices += [
        StoredMatrix((f"{layer}.{number}",), rows, columns, frozenset({"linear"}), len(lengths))
        for layer in range(layers)
        for number, (rows, columns) in enumerate(linear)
    ]
    live = {16: 196_608, 32: 393_216, 64: 786_432, 128: 1_572_864, 256: 6_291_456}
    runs = {f"tokens_{length}": live[length] for length in lengths}
    return ModelShape(dict.fromkeys(runs, ()), tuple(matrices), 1_000_000, 208, runs)


@pytest.mark.parametrize(
    ("precision", "arch", "lengths", "measured_mib", "within"),
    [
        ("int8", "x86_64", (16, 32, 64, 128, 256), 106.32, 0.01),
        ("int8", "x86_64", (16, 32, 64), 100.64, 0.01),
        ("int8", "x86_64", (64,), 100.68, 0.01),
        ("int4", "x86_64", (16, 32, 64, 128, 256), 101.85, 0.01),
        ("fp32", "x86_64", (16, 32, 64, 128, 256), 165.44, 0.01),
        ("fp32", "x86_64", (64,), 151.55, 0.06),
        ("int8", "aarch64", (16, 32, 64), 98.79, 0.01),
        ("int8", "aarch64", (64,), 98.75, 0.01),
    ],
)
def test_memory_is_made_of_what_a_probe_found(
    precision: Precision, arch: str, lengths: tuple[int, ...], measured_mib: float, within: float
) -> None:
    """MiniLM, with as many lengths as are run. Of a table of floats a short probe reads a part, and the error says
    so."""
    shape = minilm(lengths)
    names = [name for matrix in shape.matrices for name in matrix.parameters]
    group = 32 if precision == "int4" else None
    choices = {name: TensorChoice(precision, "", group) for name in names}
    choices["words"] = TensorChoice("fp32" if precision == "fp32" else "int8", "")
    ram = model_ram("tflite", "encoder", arch, shape, MINILM[0])
    assert ram is not None
    value, doubt = ram.predict(choices)
    assert value == pytest.approx(measured_mib * MIB, rel=within)
    assert abs(value - measured_mib * MIB) <= doubt
    parts = sum(ram.of_matrix(one, choices[one.parameters[0]].precision, group) for one in shape.matrices[1:])
    parts += ram.of_matrix(shape.matrices[0], choices["words"].precision, None)
    assert ram.constant + parts == pytest.approx(value)  # as the solver adds it up


@pytest.mark.parametrize(
    ("tables", "layers", "measured_mib"),
    [
        ("fp32", "fp32", 279.1),
        ("fp16", "fp16", 273.9),
        ("int8", "int8", 186.0),
        ("int8", "int4", 175.1),
        ("int8", "fp32", 244.3),
        ("fp32", "int4", 209.9),
    ],
)
def test_openvino_keeps_the_file_and_what_it_packs(tables: Precision, layers: Precision, measured_mib: float) -> None:
    """MiniLM, as `edgeslm probe` found it; the IR's bytes are those of its codes and scales."""
    plain = minilm(())
    layouts: Layouts = {
        one.parameters: {
            ("fp32", None): 4 * one.rows * one.columns,
            ("fp16", None): 2 * one.rows * one.columns,
            ("int8", None): (one.columns + 3) * one.rows,
            ("int4", 32): one.rows * one.columns // 2 + 5 * one.rows * one.columns // 64,
        }
        for one in plain.matrices
    }
    shape = dataclasses.replace(plain, layouts=layouts, other_bytes=1_600_000)
    choices = {one.parameters[0]: TensorChoice(layers, "", 32 if layers == "int4" else None) for one in plain.matrices}
    choices["words"] = TensorChoice(tables, "")
    ram = model_ram("openvino", "encoder", "x86_64", shape, MINILM[0])
    assert ram is not None
    assert ram.predict(choices)[0] == pytest.approx(measured_mib * MIB, rel=0.012)


@pytest.mark.parametrize(
    ("precision", "arch", "measured_mib"),
    [
        ("int8", "x86_64", 97.66),
        ("int4", "x86_64", 94.79),
        ("fp32", "x86_64", 169.23),
        ("int8", "aarch64", 104.34),
        ("int4", "aarch64", 98.55),
        ("fp32", "aarch64", 212.48),
    ],
)
def test_a_language_models_memory_is_made_of_the_same(precision: Precision, arch: str, measured_mib: float) -> None:
    """A Llama of 15M parameters with a tied table, which int4 keeps as int8."""
    width, between = 288, 768
    linear = [(3 * width, width), (width, width), (2 * between, width), (width, between)]
    matrices = [StoredMatrix(("table",), 32_000, width, frozenset({"table", "linear"}), 6)]
    matrices += [
        StoredMatrix((f"{layer}.{number}",), rows, columns, frozenset({"linear"}), 6)
        for layer in range(6)
        for number, (rows, columns) in enumerate(linear)
    ]
    shape = ModelShape({"step": ()}, tuple(matrices), 470_000, 156, {"chunk": 985_000})
    ram = model_ram("tflite", "decoder", arch, shape, 32_000, cache_bytes=3_540_000)
    assert ram is not None
    group = 32 if precision == "int4" else None
    choices = {one.parameters[0]: TensorChoice(precision, "", group) for one in matrices}
    choices["table"] = TensorChoice("fp32" if precision == "fp32" else "int8", "")
    value, doubt = ram.predict(choices)
    assert value == pytest.approx(measured_mib * MIB, rel=0.012)
    assert abs(value - measured_mib * MIB) <= doubt


def test_memory_is_known_of_the_runtimes_that_were_taken_apart() -> None:
    shape = minilm((64,))
    assert model_ram("openvino", "encoder", "aarch64", shape, 1) is None
    assert model_ram("openvino", "decoder", "x86_64", shape, 1) is None
    assert model_ram("tflite", "encoder", "x86_64", None, 1) is None
    assert {task for _, task, _ in PROCESSES} == {"encoder", "decoder"}


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
