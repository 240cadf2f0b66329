"""The openvino backend on small encoders: names, precisions, sizes, bytes, and what it says when it cannot."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeslm.artifacts import (
    Checkpoint,
    CompiledModel,
    LoweredModel,
    OnnxModel,
    QuantPlan,
    Samples,
    TensorChoice,
    TensorSpec,
)
from edgeslm.backends import load_backend
from edgeslm.errors import InternalError, UnsupportedOpError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.reference import reference_outputs
from edgeslm.fidelity.samples import tokenize_texts
from edgeslm.fidelity.score import Scores, score_model
from edgeslm.fidelity.texts import load_texts
from edgeslm.formats.weight_index import WeightIndex
from edgeslm.quantize.plan import choose_precisions
from edgeslm.quantize.schemes import SCHEMES
from tests.architectures import WORDS

openvino = load_backend("openvino")
pytestmark = pytest.mark.skipif(openvino.missing() is not None, reason=f"openvino: {openvino.missing()}")


@dataclass(frozen=True)
class Lowered:
    """A checkpoint on its way, with fifteen texts that calibrate and fifteen that score."""

    checkpoint: Checkpoint
    onnx: OnnxModel
    lowered: LoweredModel
    calibration: Samples
    scoring: Samples
    reference: Samples

    def plan(self, scheme: str, **changes: TensorChoice) -> QuantPlan:
        choices = {**choose_precisions(self.checkpoint.parameters, SCHEMES[scheme]), **changes}
        return QuantPlan("linux-x86_64", "openvino", scheme, choices, (), (), self.onnx.lengths, 0, 0)

    def quantize(self, plan: QuantPlan, out: Path, *, calibrated: bool = False) -> CompiledModel:
        out.mkdir()
        needed = calibrated or SCHEMES[plan.scheme].activations == "static"
        return openvino.quantize(self.lowered, plan, self.onnx, self.calibration if needed else None, out)

    def score(self, compiled: CompiledModel) -> Scores:
        return score_model(compiled, self.onnx, self.scoring, self.reference)


def random_texts(folder: Path, seed: int) -> Path:
    """Fifteen texts of the small vocabulary, 3 to 31 words."""
    random = np.random.default_rng(seed)
    file = folder / f"texts-{seed}.txt"
    file.write_text("".join(f"{' '.join(random.choice(WORDS, count))}\n" for count in range(3, 33, 2)))
    return file


@pytest.fixture(scope="module")
def lower(
    checkpoint_of: Callable[..., Path], exported: Callable[..., OnnxModel], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Lowered]:
    def make(family: str) -> Lowered:
        def folder(name: str) -> Path:
            return tmp_path_factory.mktemp(f"{family}-{name}")

        checkpoint = open_checkpoint(str(checkpoint_of(family)))
        onnx = exported(checkpoint, (16, 32, 64))
        lowered = openvino.lower(onnx, folder("lowered"))
        calibration, scoring = (
            tokenize_texts(checkpoint, onnx, texts, folder("samples"))
            for texts in load_texts(random_texts(folder("texts"), 1), random_texts(folder("texts"), 2))
        )
        reference = reference_outputs(checkpoint, scoring, folder("reference"))
        return Lowered(checkpoint, onnx, lowered, calibration, scoring, reference)

    return make


@pytest.fixture(scope="module")
def tiny(lower: Callable[[str], Lowered]) -> Lowered:
    return lower("bert")


def test_lowering_maps_every_parameter_and_names_no_folder(tiny: Lowered) -> None:
    assert tiny.lowered.files == ("model.xml", "model.bin")
    weights = {parameter.name for parameter in tiny.checkpoint.parameters if parameter.role != "other"}
    assert weights & set(tiny.onnx.parameter_of.values()) <= set(tiny.lowered.tensors.values())
    text = (tiny.lowered.root / "model.xml").read_text()
    assert str(tiny.onnx.root) not in text
    assert "conversion_parameters" not in text
    for spec in (*tiny.onnx.inputs, *tiny.onnx.outputs):
        assert f'names="{spec.name}"' in text


def test_lowering_twice_gives_the_same_bytes(tiny: Lowered, tmp_path: Path) -> None:
    """In one process, whose counter of unnamed operations has gone on."""
    again = openvino.lower(tiny.onnx, tmp_path)
    assert again.digest == tiny.lowered.digest
    assert again.tensors == tiny.lowered.tensors


LEAST_COSINE = {
    "fp32": 0.99999,
    "fp16": 0.9999,
    "int8": 0.99,
    "int8-weight-only": 0.99,
    "int8-static": 0.95,
    "int4": 0.9,
}


# A row of 32 pays for its scale and zero point as one of 384 does.
LARGEST_SHARE = {"fp32": 1, "fp16": 0.51, "int8": 0.3, "int8-weight-only": 0.3, "int8-static": 0.3, "int4": 0.24}


@pytest.mark.parametrize("name", SCHEMES)
def test_scheme(tiny: Lowered, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    scheme, plan = SCHEMES[name], tiny.plan(name)
    compiled = tiny.quantize(plan, tmp_path / "one")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert (compiled.runtime, compiled.files, compiled.signatures) == ("openvino", ("model.xml", "model.bin"), {})
    stored = {tensor.parameter: tensor for tensor in compiled.stored}
    assert set(stored) == set(tiny.lowered.tensors.values())
    for parameter, tensor in stored.items():
        assert tensor.precision == plan.choices[parameter].precision, parameter
    weights = sum(tensor.bytes for tensor in compiled.stored)
    assert weights <= (compiled.root / "model.bin").stat().st_size + 10_000
    floats = sum(4 * parameter.elements for parameter in tiny.checkpoint.parameters if parameter.name in stored)
    assert weights / floats <= LARGEST_SHARE[name]
    assert bool(compiled.kept_float) is (scheme.activations != "float")
    assert tiny.score(compiled).outputs[0].cosine_min >= LEAST_COSINE[name]


def test_a_width_that_is_no_multiple_of_a_block_is_filled_with_zeros(
    lower: Callable[[str], Lowered], tmp_path: Path
) -> None:
    """TinyBERT's 312: counted in the size, said in the note, nothing of it in the outputs."""
    tinybert = lower("tinybert")
    compiled = tinybert.quantize(tinybert.plan("int4"), tmp_path / "int4", calibrated=True)
    blocks = {tensor.parameter: tensor for tensor in compiled.stored if tensor.precision == "int4"}
    assert len(blocks) == 24
    attention = blocks["encoder.layer.0.attention.self.query.weight"]
    assert attention.note == "8 columns of zeros added to fill the last block"
    # A block is 16 bytes of codes, a scale of 2, a zero point of half a byte; the rest is the shape of a reshape.
    assert attention.bytes - 312 * 10 * 18.5 in range(65)
    assert blocks["encoder.layer.0.output.dense.weight"].note == "16 columns of zeros added to fill the last block"
    assert tinybert.score(compiled).outputs[0].cosine_min >= 0.97


def test_what_layers_share_is_stored_once(lower: Callable[[str], Lowered], tmp_path: Path) -> None:
    """ALBERT runs one layer twice; the converter copies its weights."""
    albert = lower("albert")
    assert not [name for name in albert.lowered.tensors if "#" in name]
    compiled = albert.quantize(albert.plan("int8"), tmp_path / "int8", calibrated=True)
    assert not [tensor.note for tensor in compiled.stored if tensor.note]
    assert len({tensor.parameter for tensor in compiled.stored}) == len(compiled.stored)
    assert (compiled.root / "model.bin").stat().st_size <= 0.4 * (albert.lowered.root / "model.bin").stat().st_size
    assert albert.score(compiled).outputs[0].cosine_min >= 0.999


@pytest.mark.parametrize("name", ["int8-static", "int4"])
def test_quantizing_twice_gives_the_same_bytes(tiny: Lowered, tmp_path: Path, name: str) -> None:
    one, other = (tiny.quantize(tiny.plan(name), tmp_path / part, calibrated=True) for part in ("one", "two"))
    assert one.digest == other.digest
    assert one.stored == other.stored


def test_weight_errors_are_those_of_the_stored_values(tiny: Lowered, tmp_path: Path) -> None:
    assert openvino.weight_errors(tiny.quantize(tiny.plan("fp32"), tmp_path / "fp32"), tiny.onnx) == []
    for scheme, low, high in (("int4", 0.05, 0.15), ("int8-static", 0.001, 0.06)):
        errors = openvino.weight_errors(tiny.quantize(tiny.plan(scheme), tmp_path / scheme), tiny.onnx)
        assert errors == sorted(errors, key=lambda item: -item[1])
        of_layers = {name: error for name, error in errors if name.endswith("dense.weight")}
        assert of_layers
        assert all(low < error < high for error in of_layers.values()), of_layers


@pytest.mark.parametrize("scheme", ["int4", "int8-static"])
def test_a_tensor_can_have_a_precision_of_its_own(tiny: Lowered, tmp_path: Path, scheme: str) -> None:
    linear = [
        p.name for p in tiny.checkpoint.parameters if p.role == "linear" and p.name in tiny.lowered.tensors.values()
    ]
    wanted = {
        linear[0]: TensorChoice("fp32", "kept"),
        linear[1]: TensorChoice("fp16", "halved"),
        linear[2]: TensorChoice("int8", "rows"),
    }
    compiled = tiny.quantize(tiny.plan(scheme, **wanted), tmp_path / scheme)
    stored = {tensor.parameter: tensor.precision for tensor in compiled.stored}
    assert [stored[name] for name in linear[:3]] == ["fp32", "fp16", "int8"]
    assert stored[linear[3]] == SCHEMES[scheme].linear


def test_calibration_makes_int4_more_faithful(tiny: Lowered, tmp_path: Path) -> None:
    plain = tiny.score(tiny.quantize(tiny.plan("int4"), tmp_path / "plain")).outputs[0]
    fed = tiny.score(tiny.quantize(tiny.plan("int4"), tmp_path / "fed", calibrated=True)).outputs[0]
    assert 1 - fed.cosine_mean < 0.8 * (1 - plain.cosine_mean)


def test_weight_only_tells_the_runtime_to_leave_activations_alone(tiny: Lowered, tmp_path: Path) -> None:
    for scheme, group in (("int8", 32), ("int8-weight-only", 0)):
        compiled = tiny.quantize(tiny.plan(scheme), tmp_path / scheme)
        assert property_when_compiled(compiled, "DYNAMIC_QUANTIZATION_GROUP_SIZE") == group


def property_when_compiled(compiled: CompiledModel, name: str) -> Any:
    import openvino as runtime  # type: ignore[import-untyped]  # the package has no types

    return runtime.Core().compile_model(compiled.root / "model.xml", "CPU").get_property(name)


def test_static_needs_calibration(tiny: Lowered, tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="int8-static needs calibration"):
        openvino.quantize(tiny.lowered, tiny.plan("int8-static"), tiny.onnx, None, tmp_path)


def test_a_weight_of_another_size_than_planned_is_our_mistake(tiny: Lowered, tmp_path: Path) -> None:
    from edgeslm.backends.openvino.stored import require_as_planned

    compiled = tiny.quantize(tiny.plan("int8"), tmp_path / "int8")
    shapes = {name: values.shape for name, values in parameters(tiny.onnx).items()}
    stored = list(compiled.stored)
    require_as_planned(stored, tiny.plan("int8").choices, shapes)
    with pytest.raises(InternalError, match="is stored as int8, but int4 was planned"):
        require_as_planned(stored, tiny.plan("int4").choices, shapes)
    largest = max(stored, key=lambda tensor: tensor.bytes)
    with pytest.raises(InternalError, match="were planned"):
        require_as_planned([dataclasses.replace(largest, bytes=2 * largest.bytes)], tiny.plan("int8").choices, shapes)


def parameters(onnx: OnnxModel) -> dict[str, np.ndarray[Any, Any]]:
    index = WeightIndex.of(onnx)
    return {name: index.values(name) for name in index.parameters}


def test_an_operator_it_does_not_know(tmp_path: Path) -> None:
    """Named with its node and with the layer whose weight flows into it."""
    import onnx
    from onnx import helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], name="node_product"),
        helper.make_node("Bogus", ["y"], ["z"], name="node_bogus", domain="nowhere"),
    ]
    start, end = ([helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4])] for name in ("x", "z"))
    graph = helper.make_graph(nodes, "g", start, end, initializer=[weight])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("nowhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), tmp_path / "model.onnx")
    model = OnnxModel(
        root=tmp_path,
        digest="d",
        parent="p",
        task="tensors",
        inputs=(TensorSpec("x", "float32", (1, 4)),),
        outputs=(TensorSpec("z", "float32", (1, 4)),),
        lengths=(),
        files={0: "model.onnx"},
        weights="weights.bin",
        parameter_of={"w": "encoder.3.dense.weight"},
    )
    with pytest.raises(UnsupportedOpError) as caught:
        openvino.lower(model, tmp_path)
    error = caught.value
    assert (error.op, error.node, error.layer, error.backend) == (
        "nowhere.Bogus",
        "node_bogus",
        "encoder.3.dense",
        "openvino",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx"]


def test_nothing_reports_to_the_vendor() -> None:
    """In a process of its own: another test's import of OpenVINO may have come before ours."""
    code = (
        "import sys\n"
        "from edgeslm.backends.openvino.installed import import_openvino\n"
        "import_openvino()\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_packages_are_named_with_the_way_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nncf" else find(name))
    assert openvino.missing() == "not installed: nncf; edgeslm doctor --install openvino"
