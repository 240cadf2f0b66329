"""Both ways to a float .tflite: the same outputs, and what is made of them later no worse with ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeslm
from edgeslm.artifacts import Converter, LoweredModel, OnnxModel
from edgeslm.backends import load_backend
from edgeslm.backends.tflite.lowering import signature_names
from edgeslm.backends.tflite.parity import random_inputs
from edgeslm.export.checkpoint import length_buckets, open_checkpoint
from edgeslm.formats.tflite import read_tflite
from tests.architectures import WORDS

tflite = load_backend("tflite")
CONVERTERS: tuple[Converter, ...] = ("edgeslm", "onnx2tf")
PROBLEM = next((problem for name in CONVERTERS if (problem := tflite.missing(name))), None)
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=f"tflite: {PROBLEM}")
CLOSE = 1e-5


@pytest.fixture(scope="module", params=["minilm", "albert", "switch"])
def both(
    request: pytest.FixtureRequest,
    checkpoint_of: Callable[..., Path],
    exported: Callable[..., OnnxModel],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[OnnxModel, dict[Converter, LoweredModel]]:
    checkpoint = open_checkpoint(str(checkpoint_of(request.param)))
    onnx = exported(checkpoint, length_buckets(checkpoint, None))
    lowered = {name: tflite.lower(onnx, tmp_path_factory.mktemp(name), name) for name in CONVERTERS}
    return onnx, lowered


def test_the_same_outputs_at_every_length(both: tuple[OnnxModel, dict[Converter, LoweredModel]]) -> None:
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # the package has no types

    onnx, lowered = both
    paths = {name: model.root / model.files[0] for name, model in lowered.items()}
    for length, signature in signature_names(onnx.lengths).items():
        inputs = random_inputs(onnx.inputs, length)
        made = {
            name: Interpreter(model_path=str(path), num_threads=1).get_signature_runner(signature)(**inputs)
            for name, path in paths.items()
        }
        assert set(made["edgeslm"]) == set(made["onnx2tf"])
        for output, values in made["edgeslm"].items():
            np.testing.assert_allclose(values, made["onnx2tf"][output], atol=CLOSE, rtol=CLOSE)


def test_ours_holds_as_much_in_no_more_operators_and_bytes(
    both: tuple[OnnxModel, dict[Converter, LoweredModel]],
) -> None:
    _, lowered = both
    ours, theirs = lowered["edgeslm"], lowered["onnx2tf"]
    # Norms of a fresh model multiply by 1, which ours leaves out.
    assert {name for name in theirs.tensors.values() if "norm" not in name.lower()} <= set(ours.tensors.values())
    assert ours.bytes <= theirs.bytes
    operators = [len(read_tflite(model.root / model.files[0]).subgraphs[0].operators) for model in (ours, theirs)]
    assert operators[0] <= operators[1]


def test_int8_is_no_worse(checkpoint_of: Callable[..., Path], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"{' '.join(random.choice(WORDS, count))}\n" for count in range(3, 45, 2)))
    folder = str(checkpoint_of("minilm"))
    reports = {
        name: edgeslm.build(
            "rpi4", folder, scheme="int8", backend="tflite", converter=name, eval=texts, out=tmp_path / name
        )
        for name in CONVERTERS
    }
    ours, theirs = reports["edgeslm"], reports["onnx2tf"]
    assert ours.fidelity.passed
    assert theirs.fidelity.passed
    assert ours.fidelity.cosine_min >= theirs.fidelity.cosine_min - 1e-4
    assert ours.compiled.bytes <= theirs.compiled.bytes
    assert (ours.plan.converter, theirs.plan.converter) == CONVERTERS
