"""The tflite backend on small encoders: names, precisions, sizes, bytes, and what it says when it cannot."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgeslm.artifacts import (
    Checkpoint,
    CompiledModel,
    LoweredModel,
    OnnxModel,
    Precision,
    QuantPlan,
    Samples,
    TensorChoice,
)
from edgeslm.backends import load_backend
from edgeslm.backends.tflite import environment
from edgeslm.backends.tflite.crosscheck import crosscheck
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.parity import random_inputs
from edgeslm.errors import InternalError, UnsupportedOpError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.examples import example_samples
from edgeslm.export.onnx_export import export_onnx
from edgeslm.export.reference import reference_outputs
from edgeslm.fidelity.samples import tokenize_texts
from edgeslm.fidelity.score import score_model
from edgeslm.fidelity.texts import load_texts
from edgeslm.formats.tflite import read_tflite
from edgeslm.quantize.plan import choose_precisions
from edgeslm.quantize.schemes import SCHEMES
from tests.architectures import WORDS

tflite = load_backend("tflite")
pytestmark = pytest.mark.skipif(tflite.missing() is not None, reason=f"tflite: {tflite.missing()}")


@dataclass(frozen=True)
class Lowered:
    """A checkpoint on its way, with texts that calibrate and texts that score."""

    checkpoint: Checkpoint
    onnx: OnnxModel
    lowered: LoweredModel
    calibration: Samples
    scoring: Samples
    reference: Samples

    def plan(self, scheme: str, **changes: TensorChoice) -> QuantPlan:
        choices = {**choose_precisions(self.checkpoint.parameters, SCHEMES[scheme]), **changes}
        return QuantPlan("rpi4", "tflite", scheme, choices, (), (), self.onnx.lengths, 0, 0)

    def quantize(self, plan: QuantPlan, out: Path) -> CompiledModel:
        out.mkdir()
        needed = SCHEMES[plan.scheme].needs_calibration
        return tflite.quantize(self.lowered, plan, self.onnx, self.calibration if needed else None, out)

    def cosine(self, compiled: CompiledModel) -> float:
        scores = score_model(compiled, self.onnx, self.scoring, self.reference)
        return min(score.cosine_min for score in scores.outputs)


@pytest.fixture(scope="module")
def tinybert(
    checkpoint_of: Callable[..., Path], exported: Callable[..., OnnxModel], tmp_path_factory: pytest.TempPathFactory
) -> Lowered:
    """Four layers of 312, no multiple of an int4 block; two length buckets."""

    def folder(name: str) -> Path:
        return tmp_path_factory.mktemp(f"tflite-{name}")

    def texts(seed: int) -> Path:
        random = np.random.default_rng(seed)
        file = folder("texts") / f"texts-{seed}.txt"
        file.write_text("".join(f"{' '.join(random.choice(WORDS, count))}\n" for count in range(3, 29, 2)))
        return file

    checkpoint = open_checkpoint(str(checkpoint_of("tinybert")))
    onnx = dataclasses.replace(exported(checkpoint, (16, 32, 64)), lengths=(16, 32))
    lowered = tflite.lower(onnx, folder("lowered"))
    calibration, scoring = (
        tokenize_texts(checkpoint, onnx, one, folder("samples")) for one in load_texts(texts(1), texts(2))
    )
    return Lowered(
        checkpoint, onnx, lowered, calibration, scoring, reference_outputs(checkpoint, scoring, folder("reference"))
    )


def test_lowering_keeps_every_weight_once_under_its_own_name(tinybert: Lowered) -> None:
    lowered = tinybert.lowered
    assert [path.name for path in lowered.root.iterdir()] == ["model.tflite"]
    held = set(lowered.tensors.values())
    # Norms of a fresh model multiply by 1: nothing that a graph must hold.
    assert {p.name for p in tinybert.checkpoint.parameters if "LayerNorm.weight" not in p.name} <= held
    floats = sum(parameter.elements for parameter in tinybert.checkpoint.parameters) * 4
    assert floats < lowered.bytes < 1.03 * floats  # two graphs, one set of weights

    model = read_tflite(lowered.root / "model.tflite")
    assert [signature.signatureKey for signature in model.signatureDefs] == [b"tokens_16", b"tokens_32"]
    for position in range(2):
        kinds = [Graph(model, position).kind(operator) for operator in Graph(model, position).operators]
        assert kinds.count("FULLY_CONNECTED") == 24
        assert kinds.count("EMBEDDING_LOOKUP") == 3
        assert "GATHER" not in kinds


@pytest.mark.parametrize(
    ("scheme", "least_cosine", "largest_share"),
    [
        ("fp32", 0.99999, 1.0),
        ("fp16", 0.9999, 0.52),
        ("int8", 0.997, 0.28),
        ("int8-weight-only", 0.997, 0.28),
        ("int8-static", 0.98, 0.28),
        ("int4", 0.93, 0.22),
    ],
)
def test_schemes(tinybert: Lowered, tmp_path: Path, scheme: str, least_cosine: float, largest_share: float) -> None:
    """Faithful, small, and stored as the plan says or with a note why not."""
    compiled = tinybert.quantize(tinybert.plan(scheme), tmp_path / "out")
    assert tinybert.cosine(compiled) >= least_cosine
    assert compiled.bytes <= largest_share * tinybert.lowered.bytes
    assert compiled.signatures == {16: "tokens_16", 32: "tokens_32"}
    choices = tinybert.plan(scheme).choices
    needed = {parameter.name for parameter in tinybert.checkpoint.parameters if parameter.role != "other"}
    assert needed <= {stored.parameter for stored in compiled.stored}
    for stored in compiled.stored:
        assert stored.note or stored.precision == choices[stored.parameter].precision
    linear = SCHEMES[scheme].linear
    assert {
        stored.precision for stored in compiled.stored if stored.parameter.endswith("intermediate.dense.weight")
    } == {linear}
    assert bool(compiled.kept_float) == (SCHEMES[scheme].activations != "float")
    assert not any("FULLY_CONNECTED" in kind for kind in compiled.kept_float)


def test_int4_counts_the_columns_it_adds(tinybert: Lowered, tmp_path: Path) -> None:
    compiled = tinybert.quantize(tinybert.plan("int4"), tmp_path / "out")
    stored = {tensor.parameter: tensor for tensor in compiled.stored}
    query = stored["encoder.layer.0.attention.self.query.weight"]
    assert query.note == "8 columns of zeros added: blocks are 32 wide"
    assert query.bytes == 312 * 320 // 2 + 312 * 10 * 2  # nibbles, and a float16 for each block


def test_the_same_twice(tinybert: Lowered, tmp_path: Path) -> None:
    plan = tinybert.plan("int8")
    first, second = (tinybert.quantize(plan, tmp_path / name) for name in ("first", "second"))
    assert first.digest == second.digest
    again = tmp_path / "lowered"
    again.mkdir()
    assert tflite.lower(tinybert.onnx, again).digest == tinybert.lowered.digest


def test_a_plan_may_mix_precisions(tinybert: Lowered, tmp_path: Path) -> None:
    changes = {
        "encoder.layer.0.intermediate.dense.weight": TensorChoice("fp32", "sensitive"),
        "encoder.layer.1.intermediate.dense.weight": TensorChoice("int4", "robust", 64),
        "encoder.layer.2.intermediate.dense.weight": TensorChoice("fp16", "sensitive"),
        "embeddings.word_embeddings.weight": TensorChoice("fp32", "sensitive"),
    }
    compiled = tinybert.quantize(tinybert.plan("int8", **changes), tmp_path / "out")
    stored = {tensor.parameter: tensor.precision for tensor in compiled.stored}
    assert {name: stored[name] for name in changes} == {name: choice.precision for name, choice in changes.items()}
    assert stored["encoder.layer.3.intermediate.dense.weight"] == "int8"
    assert tinybert.cosine(compiled) >= 0.99


def test_weight_errors_tell_rounding_from_none(tinybert: Lowered, tmp_path: Path) -> None:
    name = "encoder.layer.0.intermediate.dense.weight"
    for scheme, least, most in (("fp32", 0.0, 0.0), ("int8", 1e-3, 0.03), ("int4", 0.03, 0.3)):
        compiled = tinybert.quantize(tinybert.plan(scheme), tmp_path / scheme)
        errors = tflite.weight_errors(compiled, tinybert.onnx)
        assert errors == sorted(errors, key=lambda error: (-error[1], error[0]))
        assert least <= dict(errors)[name] <= most


@pytest.mark.skipif(
    environment.problem("tensorflow") is not None, reason=f"tensorflow: {environment.problem('tensorflow')}"
)
@pytest.mark.parametrize(("scheme", "largest"), [("fp32", 1e-5), ("int8", 0.05)])
def test_tensorflow_agrees(tinybert: Lowered, tmp_path: Path, scheme: str, largest: float) -> None:
    """With int8 the two round activations in kernels of their own."""
    compiled = tinybert.quantize(tinybert.plan(scheme), tmp_path / "out")
    inputs = {name: random_inputs(tinybert.onnx.inputs, length) for length, name in compiled.signatures.items()}
    differences = crosscheck(compiled.root / "model.tflite", inputs)
    assert set(differences) == {"tokens_16/sentence_embedding", "tokens_32/sentence_embedding"}
    assert max(differences.values()) <= largest


def test_static_activations_need_calibration(tinybert: Lowered, tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="calibration"):
        tflite.quantize(tinybert.lowered, tinybert.plan("int8-static"), tinybert.onnx, None, tmp_path)


def test_an_operator_that_nobody_has_is_named_with_its_layer(tinybert: Lowered, tmp_path: Path) -> None:
    import onnx_ir

    onnx = tmp_path / "onnx"
    onnx.mkdir()
    model = onnx_ir.load(tinybert.onnx.path(16))
    node = next(node for node in model.graph if node.op_type == "Gelu")
    node.op_type = "Det"
    node.metadata_props["edgeslm.layer"] = "encoder.layer.0.intermediate"
    for length in (16, 32):
        onnx_ir.save(model, onnx / f"model-{length}.onnx", external_data="weights.bin")
    (onnx / "model.onnx").write_bytes((onnx / "model-16.onnx").read_bytes())
    broken = dataclasses.replace(tinybert.onnx, root=onnx, digest="0" * 64)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UnsupportedOpError) as caught:
        tflite.lower(broken, out)
    assert (caught.value.op, caught.value.layer) == ("Det", "encoder.layer.0.intermediate")
    assert list(out.iterdir()) == []


MODULE = '''
"""Convolutions between a table and a linear layer."""
import torch
from torch import nn

class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.mix = nn.Embedding(50, 64), nn.Conv1d(64, 64, 3, padding=1)
        self.norm, self.linear = nn.LayerNorm(64), nn.Linear(64, 50)

    def forward(self, ids, extra):
        mixed = self.mix((self.table(ids) + extra).transpose(1, 2)).transpose(1, 2)
        return self.linear(self.norm(mixed)), mixed.mean(1)

def mixed():
    return Mixed().eval(), (torch.randint(0, 50, (1, 12)), torch.randn(1, 12, 64))
'''


def test_a_plain_module_with_convolutions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs keep their axes; where a plan wants convolutions rounded as well, they scale activations as they come."""
    (tmp_path / "tflite_mixed.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def folder(name: str) -> Path:
        made = tmp_path / name
        made.mkdir()
        return made

    checkpoint = open_checkpoint("tflite_mixed:mixed")
    onnx = export_onnx(checkpoint, (), folder("onnx"))
    lowered = tflite.lower(onnx, folder("lowered"))
    calibration, scoring = (example_samples(checkpoint, 16, seed, folder(f"samples-{seed}")) for seed in (1, 2))
    reference = reference_outputs(checkpoint, scoring, folder("reference"))
    module = Lowered(checkpoint, onnx, lowered, calibration, scoring, reference)
    plan = module.plan("int8-static", **{"mix.weight": TensorChoice("int8", "as the others")})
    compiled = module.quantize(plan, tmp_path / "out")
    stored = {tensor.parameter: tensor for tensor in compiled.stored}
    assert [stored[name].precision for name in ("table.weight", "mix.weight", "linear.weight")] == ["int8"] * 3
    assert "linear layers are calibrated" in stored["mix.weight"].note
    assert compiled.signatures == {}
    assert module.cosine(compiled) >= 0.99
    assert dict(tflite.weight_errors(compiled, onnx))["mix.weight"] < 0.02


def test_every_tensor_can_have_a_choice_of_its_own(tinybert: Lowered, tmp_path: Path) -> None:
    """Blocks of all sizes side by side, over one input that each fills up in its own way, among int8 and floats."""
    drawn: Iterator[tuple[Precision, int | None]] = itertools.cycle(
        [("int4", 32), ("int4", 128), ("int8", None), ("int4", 64), ("fp32", None), ("int4", 256), ("fp16", None)]
    )
    changes = {
        parameter.name: TensorChoice(*pick(next(drawn)))
        for parameter in tinybert.checkpoint.parameters
        if parameter.role == "linear"
    }
    compiled = tinybert.quantize(tinybert.plan("int4", **changes), tmp_path / "mixed")
    stored = {one.parameter: one for one in compiled.stored}
    for name, choice in changes.items():
        assert stored[name].precision == choice.precision or stored[name].note, name
    assert tinybert.cosine(compiled) > 0.95


def pick(choice: tuple[Precision, int | None]) -> tuple[Precision, str, int | None]:
    return choice[0], "by hand", choice[1]
