"""The exported graphs against PyTorch, at every length, before any backend sees them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from edgeslm.artifacts import Checkpoint, OnnxModel
from edgeslm.errors import CheckpointError, UnsupportedOpError
from edgeslm.export.checkpoint import length_buckets, open_checkpoint
from edgeslm.export.examples import example_samples
from edgeslm.export.load import load_module
from edgeslm.export.onnx_export import export_onnx
from edgeslm.export.reference import reference_outputs
from edgeslm.export.text_model import TextModel, pool
from edgeslm.export.trace import trace_module
from edgeslm.formats.onnx_file import load_onnx
from edgeslm.formats.samples import read_samples
from edgeslm.formats.weight_index import WeightIndex
from edgeslm.ir import nodes
from edgeslm.ir.import_onnx import import_onnx
from edgeslm.ir.interpret import Interpreter
from edgeslm.ir.passes import fuse
from tests.architectures import write_sentence_modules

Make = Callable[..., Path]
Exported = Callable[[Checkpoint, tuple[int, ...]], OnnxModel]
Graphs = Callable[..., tuple[Checkpoint, OnnxModel]]
POOLINGS = ("cls", "mean", "max", "mean_sqrt_len_tokens", "lasttoken", "weightedmean")


def export(source: str, out: Path) -> tuple[Checkpoint, OnnxModel]:
    """Exported anew."""
    checkpoint = open_checkpoint(source)
    out.mkdir()
    return checkpoint, export_onnx(checkpoint, length_buckets(checkpoint, None), out)


@pytest.fixture
def graphs_of(checkpoint_of: Make, exported: Exported) -> Graphs:
    """graphs_of(family, model_class) -> that small checkpoint and its graphs; they may serve other tests as well."""

    def find(family: str, model_class: str | None = None) -> tuple[Checkpoint, OnnxModel]:
        checkpoint = open_checkpoint(str(checkpoint_of(family, model_class)))
        return checkpoint, exported(checkpoint, length_buckets(checkpoint, None))

    return find


def ask(path: Path, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answer: NDArray[Any] = session.run(None, {i.name: feed[i.name] for i in session.get_inputs()})[0]
    return answer


def feed_of(tokens: int, padded: int) -> dict[str, NDArray[Any]]:
    ids = np.zeros((1, padded), np.int32)
    ids[0, :tokens] = np.random.default_rng(tokens).integers(5, 100, tokens)
    mask = (np.arange(padded) < tokens).astype(np.int32)[None]
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def pytorch(checkpoint: Checkpoint, tokens: int) -> NDArray[Any]:
    """What the model as transformers has it answers to the unpadded text."""
    module = load_module(checkpoint)
    assert isinstance(module, TextModel)
    module.mask_form = "tokens"
    feed = feed_of(tokens, tokens)
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if module.type_ids else [])]
    with torch.inference_mode():
        answer: NDArray[Any] = module(**{name: torch.from_numpy(feed[name]) for name in names}).numpy()
    return answer


@pytest.mark.parametrize(
    ("family", "model_class"),
    [
        ("bert", None),
        ("roberta", None),
        ("distilbert", "DistilBertForSequenceClassification"),
        ("bert", "BertForTokenClassification"),
        ("mobilebert", None),
        ("bert", "BertForMaskedLM"),
        ("albert", None),
        ("minilm", None),
        ("switch", None),
        # Heads of families whose exports no other test asks for:
        pytest.param("roberta", "RobertaForSequenceClassification", marks=pytest.mark.deep),
        pytest.param("distilbert", "DistilBertForTokenClassification", marks=pytest.mark.deep),
        pytest.param("albert", "AlbertForMaskedLM", marks=pytest.mark.deep),
    ],
)
def test_padding_changes_nothing(graphs_of: Graphs, family: str, model_class: str | None) -> None:
    checkpoint, onnx = graphs_of(family, model_class)
    assert onnx.lengths == (16, 32, 64)
    assert all(spec.dtype == "int32" for spec in onnx.inputs)
    for tokens in (2, 3, 11, 16):
        expected = pytorch(checkpoint, tokens)
        for file, padded in ((0, tokens), (16, 16), (32, 32)):
            found = ask(onnx.path(file), feed_of(tokens, padded))
            if found.ndim == 3:
                found = found[:, :tokens]
            np.testing.assert_allclose(found, expected, atol=2e-5)
    if family == "switch":
        assert_refused(onnx)
        return
    graph = fuse(import_onnx(load_onnx(onnx.path(16)).graph, "cortexm", onnx.parameter_of))
    assert {type(node.kind) for node in graph.nodes} <= ENCODER_KINDS
    assert [type(node.kind) for node in graph.nodes].count(nodes.Attention) == 2
    for tokens in (2, 3, 11, 16):
        (found,) = Interpreter(graph).run(feed_of(tokens, 16)).values()
        found = found[:, :tokens] if found.ndim == 3 else found
        np.testing.assert_allclose(found, pytorch(checkpoint, tokens), atol=2e-5)


ENCODER_KINDS = {
    nodes.Embedding, nodes.Linear, nodes.LayerNorm, nodes.Attention, nodes.Unary, nodes.Binary, nodes.Pool,
    nodes.UnitNorm, nodes.Slice, nodes.Reshape, nodes.Pad, nodes.Concat,
}  # fmt: skip


def assert_refused(onnx: OnnxModel) -> None:
    """Experts are chosen token by token: the graph for compilers has no operator for that."""
    with pytest.raises(UnsupportedOpError) as caught:
        import_onnx(load_onnx(onnx.path(16)).graph, "cortexm", onnx.parameter_of)
    assert (caught.value.op, caught.value.layer) == ("ArgMax", "encoder.block.1.layer.1.mlp.router")
    with pytest.raises(UnsupportedOpError, match=r"the shape of input_ids is \[1,tokens\]"):
        import_onnx(load_onnx(onnx.path(0)).graph, "cortexm", onnx.parameter_of)


def test_a_family_of_one_length_is_built_for_that(graphs_of: Graphs) -> None:
    _, onnx = graphs_of("funnel")
    assert onnx.lengths == (64,)
    assert onnx.is_fixed
    assert onnx.inputs[0].shape == (1, -1)


def test_what_cannot_be_exported_is_named_with_its_layer(checkpoint_of: Make, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOpError) as caught:
        export(str(checkpoint_of("reformer")), tmp_path / "onnx")
    assert caught.value.op == "data-dependent control flow"
    assert caught.value.layer == "encoder.layers.1.attention.self_attention"
    assert "modeling_reformer.py" in caught.value.node


def test_constants_carry_the_checkpoints_names(graphs_of: Graphs) -> None:
    checkpoint, onnx = graphs_of("minilm")
    index = WeightIndex.of(onnx)
    matrices = [p for p in checkpoint.parameters if p.role != "other"]
    assert {p.name for p in matrices} <= set(index.parameters)
    for parameter in matrices:
        values = index.values(parameter.name)
        assert sorted(values.shape) == sorted(parameter.shape)
        assert index.parameter(values.T) == parameter.name
        assert index.parameter(values[None]) == parameter.name
    assert index.parameter(np.ones((3, 3), np.float32)) is None


def test_the_same_checkpoint_gives_the_same_bytes(checkpoint_of: Make, graphs_of: Graphs, tmp_path: Path) -> None:
    assert export(str(checkpoint_of("bert")), tmp_path / "again")[1].digest == graphs_of("bert")[1].digest


def test_weights_are_stored_once_for_all_lengths(graphs_of: Graphs) -> None:
    checkpoint, onnx = graphs_of("tinybert")
    graphs = [onnx.path(length).stat().st_size for length in onnx.files]
    assert max(graphs) < 200_000
    used = sum(p.elements for p in checkpoint.parameters) * 4
    assert used <= (onnx.root / onnx.weights).stat().st_size + 4096 * len(checkpoint.parameters)
    assert (onnx.root / onnx.weights).stat().st_size < 1.1 * used


def test_dense_layers_and_every_pooling_are_part_of_the_graph(checkpoint_of: Make, tmp_path: Path) -> None:
    import json
    import shutil

    from safetensors.numpy import save_file

    folder = shutil.copytree(checkpoint_of("minilm"), tmp_path / "dense")
    write_sentence_modules(folder, 48, normalize=False, pooling_mode_max_tokens=True)
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "2_Dense").mkdir()
    config = {"in_features": 48, "out_features": 7, "bias": True, "activation_function": "torch.nn.modules.Tanh"}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config))
    random = np.random.default_rng(0)
    weight, bias = random.standard_normal((7, 48)).astype(np.float32), random.standard_normal(7).astype(np.float32)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense" / "model.safetensors")
    checkpoint, onnx = export(str(folder), tmp_path / "onnx")
    found = ask(onnx.path(16), feed_of(9, 16))
    assert found.shape == (1, 7)
    np.testing.assert_allclose(found, pytorch(checkpoint, 9), atol=2e-5)
    assert "2_Dense.linear.weight" in onnx.parameter_of.values()


@given(pooling=st.sampled_from(POOLINGS), tokens=st.integers(1, 9), padding=st.integers(0, 6), seed=st.integers(0, 999))
@settings(deadline=None)
def test_pooling_is_what_its_name_says_and_ignores_padding(pooling: str, tokens: int, padding: int, seed: int) -> None:
    states = np.random.default_rng(seed).standard_normal((1, tokens + padding, 5)).astype(np.float32)
    mask = (np.arange(tokens + padding) < tokens).astype(np.int32)[None]
    real = states[0, :tokens].astype(np.float64)
    weights = np.arange(1, tokens + 1)[:, None]
    expected = {
        "cls": real[0],
        "mean": real.mean(0),
        "max": real.max(0),
        "mean_sqrt_len_tokens": real.sum(0) / np.sqrt(tokens),
        "lasttoken": real[-1],
        "weightedmean": (real * weights).sum(0) / weights.sum(),
    }[pooling]
    found = pool(torch.from_numpy(states), torch.from_numpy(mask), pooling)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)


MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.out = nn.Linear(8, 3, bias=False)

    def forward(self, ids, scale):
        x = self.table(ids) * scale
        return {"scores": self.out(x), "mean": x.mean(1)}

def make():
    torch.manual_seed(0)
    return Net(), {"ids": torch.arange(6).reshape(1, 6), "scale": torch.full((1, 6, 1), 0.5)}

def unused():
    return nn.Linear(4, 2), (torch.zeros(1, 4), torch.zeros(1, 4))

def wrong():
    return nn.Linear(4, 2)

def failing():
    raise ValueError("no such weights")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module of the user's own in the current folder."""
    name = f"net_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


def test_a_plain_module_keeps_its_names_and_shapes(module: str, tmp_path: Path) -> None:
    checkpoint, onnx = export(f"{module}:make", tmp_path / "onnx")
    assert checkpoint.task == "tensors"
    assert [(p.name, p.role) for p in checkpoint.parameters] == [
        ("table.weight", "embedding"),
        ("out.weight", "linear"),
    ]
    assert [(s.name, s.dtype, s.shape) for s in onnx.inputs] == [
        ("ids", "int32", (1, 6)),
        ("scale", "float32", (1, 6, 1)),
    ]
    assert [(s.name, s.shape) for s in onnx.outputs] == [("output_0", (1, 6, 3)), ("output_1", (1, 8))]
    assert set(onnx.parameter_of.values()) == {"table.weight", "out.weight"}
    samples = example_samples(checkpoint, 5, 1, tmp_path)
    reference = read_samples(reference_outputs(checkpoint, samples, tmp_path).path)
    for sample, expected in zip(read_samples(samples.path), reference, strict=True):
        assert sample["ids"].min() >= 0
        assert sample["ids"].max() <= 5
        np.testing.assert_allclose(ask(onnx.path(), sample), expected["output_0"], atol=1e-6)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("wrong", "returned Linear"),
        ("failing", "ValueError: no such weights"),
        ("missing", "no function 'missing'"),
    ],
)
def test_a_function_that_returns_something_else_is_refused(module: str, function: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(f"{module}:{function}")
    with pytest.raises(CheckpointError, match="cannot be imported"):
        open_checkpoint("no_such_module_here:make")


def test_an_operator_without_translation_is_named_with_its_layer() -> None:
    class Loop(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1 if bool(x.sum() > 0) else x - 1

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.block = nn.ModuleDict({"inner": Loop()})

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            answer: torch.Tensor = self.block["inner"](self.first(x))
            return answer

    net = Net().eval()
    with pytest.raises(UnsupportedOpError) as caught:
        trace_module(net, {"x": torch.zeros(1, 4)}, None)
    assert caught.value.layer == "block.inner"
    assert net(torch.ones(1, 4)).shape == (1, 4)  # what tracing changes in the layers is undone
    assert "to" not in vars(net)
