"""Layers and profiles for real: small checkpoints on both backends, from PyTorch to the operators of the runtime."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.backends import load_backend
from edgeslm.cache import StageCache, cache_folder
from edgeslm.device.container import open_container
from edgeslm.device.model import Model
from edgeslm.device.probe.profile import profile_operators
from edgeslm.formats.operator_layers import OperatorLayers, parse_layers
from edgeslm.pipeline import BuildRequest, Decision, plan
from edgeslm.probe.layers import assign_layers, sum_layers
from edgeslm.stages.encoder import Stages
from tests.conftest import Answer

LENGTH = 64


@pytest.fixture(scope="module", params=["tflite", "openvino"])
def backend(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    problem = load_backend(name).missing()
    if problem:
        pytest.skip(f"{name}: {problem}")
    return name


@pytest.fixture(scope="module")
def bert(
    backend: str, edgeslm: Callable[..., Answer], checkpoint_of: Callable[..., Path], tmp_path_factory: Any
) -> Path:
    """A small BERT in int8, built by the command line."""
    command = ["build", "--target", "rpi4", "--backend", backend, "--model", checkpoint_of("bert"), "--json"]
    answer = edgeslm(*command, "-o", tmp_path_factory.mktemp("built"))
    assert answer.status == 0, answer.stderr
    return Path(answer.json["bundle"])


def layers_of(model: str, backend: str, scheme: str, cache: Path | None = None) -> tuple[Decision, OperatorLayers]:
    """layers.json as a build makes it."""
    decision = plan(BuildRequest(target="rpi4", model=model, backend=backend, scheme=scheme))
    kept = StageCache(cache or cache_folder(), lambda *_: nullcontext())
    stages = Stages(kept, decision.checkpoint, decision.plan, decision.calibration, decision.scoring)
    onnx = stages.export()
    lowered = stages.lower(onnx)
    return decision, stages.layers(stages.quantize(lowered, onnx), lowered, onnx)


def linear_layers(decision: Decision) -> set[str]:
    return {one.name.rpartition(".")[0] for one in decision.checkpoint.parameters if one.role == "linear"}


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "int8", "int4", "int8-static"])
def test_every_linear_layer_has_an_operator(checkpoint_of: Callable[..., Path], backend: str, scheme: str) -> None:
    decision, layers = layers_of(str(checkpoint_of("bert")), backend, scheme)
    modules = {name.rpartition(".")[0] for name in (one.name for one in decision.checkpoint.parameters)}
    for operators in layers.graphs.values():
        computed = [operator.layer for operator in operators if operator.kind in ("FULLY_CONNECTED", "MatMul")]
        assert linear_layers(decision) <= {layer for layer in computed if layer}
        found = {operator.layer for operator in operators if operator.layer}
        # The modules of the checkpoint, those around them, and activations, which have no parameters.
        assert all(any(f"{one}.".startswith(f"{layer}.") for one in modules) for layer in found if "act" not in layer)
    assert len(layers.content) < 20_000


def test_what_has_no_weights_is_in_the_module_it_was_exported_from(
    checkpoint_of: Callable[..., Path], backend: str
) -> None:
    _, layers = layers_of(str(checkpoint_of("bert")), backend, "int8")
    operators = next(iter(layers.graphs.values()))
    kinds = {"SOFTMAX", "ScaledDotProductAttention"}
    assert [one.layer for one in operators if one.kind in kinds] == [
        f"encoder.layer.{number}.attention.self" for number in range(2)
    ]
    norms = {"RSQRT", "SQRT", "MVN"}
    found = [one.layer for one in operators if one.kind in norms and one.layer]
    assert found[0] == "embeddings.LayerNorm"
    assert found[1:] == [
        f"encoder.layer.{number}.{part}.LayerNorm" for number in range(2) for part in ("attention.output", "output")
    ]
    assert operators[-1].layer is None  # pooling


def test_layers_that_share_their_weights_are_one(checkpoint_of: Callable[..., Path], backend: str) -> None:
    decision, layers = layers_of(str(checkpoint_of("albert")), backend, "int8")
    for operators in layers.graphs.values():
        queries = [one for one in operators if one.layer and one.layer.endswith("attention.query")]
        products = [one.kind for one in queries if one.kind in ("FULLY_CONNECTED", "MatMul")]
        assert len(products) == 2  # as often as it is run
        assert linear_layers(decision) <= {one.layer for one in operators}


MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16))
        self.head = nn.Linear(16, 4)

    def forward(self, frames):
        return self.head(torch.tanh(self.body(frames)))

def net():
    torch.manual_seed(0)
    return Net().eval(), torch.randn(1, 8)
"""


def test_a_plain_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    name = f"profiled_{backend}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    decision, layers = layers_of(f"{name}:net", backend, "fp32")
    (operators,) = layers.graphs.values()
    computed = [one.layer for one in operators if one.kind in ("FULLY_CONNECTED", "MatMul")]
    assert computed == ["body.0", "body.2", "head"]
    assert [one.layer for one in operators if one.kind.lower() == "tanh"] == [None]  # of no module
    assert linear_layers(decision) == set(computed)


def test_the_same_checkpoint_gives_the_same_bytes(
    checkpoint_of: Callable[..., Path], backend: str, bert: Path, tmp_path: Path
) -> None:
    _, layers = layers_of(str(checkpoint_of("bert")), backend, "int8")
    again = tmp_path / "stages"
    again.mkdir()
    for entry in cache_folder().iterdir():  # everything but the layers is found, they are made anew
        if not entry.name.startswith(("layers-", ".")) and entry.is_dir():
            (again / entry.name).symlink_to(entry)
    _, made = layers_of(str(checkpoint_of("bert")), backend, "int8", again)
    assert made.content == layers.content == open_container(bert).files.read("model/layers.json")


def inputs_for(bundle: Path) -> dict[str, NDArray[Any]]:
    """One text that fills the longest bucket."""
    ids = np.arange(LENGTH, dtype=np.int32).reshape(1, LENGTH) % 100 + 5
    values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return {spec["name"]: values[spec["name"]] for spec in open_container(bundle).manifest["model"]["inputs"]}


def test_a_profile_names_the_checkpoints_layers(backend: str, bert: Path, checkpoint_of: Callable[..., Path]) -> None:
    container, inputs = open_container(bert), inputs_for(bert)
    model = container.manifest["model"]
    signature = model["signatures"].get(str(LENGTH))
    with Model.open(bert, threads=1) as opened:
        times = []
        for _ in range(15):
            started = time.perf_counter()
            opened.runner.run(inputs)
            times.append((time.perf_counter() - started) * 1000)
    profile = profile_operators(model, container.files, 1, inputs, signature, 15)
    assert profile.why_not is None
    content = container.files.read("model/layers.json")
    parts = assign_layers(profile.event()["operators"], content, signature)

    decision = plan(BuildRequest(target="rpi4", model=str(checkpoint_of("bert")), backend=backend))
    products = [part.layer for part in parts if part.kind.startswith(("Fully Connected", "FullyConnected"))]
    assert sorted(layer for layer in products if layer) == sorted(linear_layers(decision))
    assert {part.layer for part in parts} <= {
        operator.layer for operators in parse_layers(content, "bundle").graphs.values() for operator in operators
    } | {"encoder.layer.0", "encoder.layer.1", "encoder.layer", "encoder", "embeddings"}

    total = sum(part.ms or 0 for part in parts)
    assert 0.2 * statistics.median(times) < total < 2 * statistics.median(times)
    layers = sum_layers(parts)
    assert sum(layer.share for layer in layers) == pytest.approx(1)
    assert sum(layer.operators for layer in layers) == len(parts)


def test_a_bundle_profiles_itself(bert: Path) -> None:
    """As on the device: out of the bundle's own file, nothing of edgeslm on the path."""
    code = (
        "import json, sys; sys.modules['edgeslm'] = None\n"
        "from pathlib import Path; import numpy as np\n"
        "from edgeslm_device.container import open_container\n"
        "from edgeslm_device.probe.profile import profile_operators\n"
        "opened = open_container(Path(sys.argv[1])); model = opened.manifest['model']\n"
        f"ids = np.ones((1, {LENGTH}), np.int32)\n"
        "inputs = {spec['name']: ids for spec in model['inputs']}\n"
        f"found = profile_operators(model, opened.files, 1, inputs, model['signatures'].get('{LENGTH}'), 2)\n"
        "print(json.dumps(found.event()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bert)], cwd=bert.parent, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(bert)},
    )  # fmt: skip
    event = json.loads(done.stdout)
    assert event["why_not"] is None
    assert len(event["operators"]) > 20
